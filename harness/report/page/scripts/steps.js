// Steps to fit: a line for each seed, from the end of the plateau of its loss to its fit.

function drawSteps(view) {
  const tasks = shownTasks().filter((task) => !task.variant);
  const panels = tasks.map((task) => {
    const architectures = shownArchitectures().filter(({ a }) => (cellsOf.get(key(a, task.t)) ?? []).some((cell) => !cell.failed));
    if (!architectures.length) return null;
    const height = 62 + 17 * Math.max(2, architectures.length);
    const heading = h("h4", {}, breakable(task.name));
    return h("div", { class: "panel" }, heading, plotLater((width) => stepPlot(width, height, task, architectures), height));
  });
  showPanels(view, panels.filter(Boolean));
}

function stepPlot(width, height, task, architectures) {
  const rows = architectures.flatMap((architecture, row) => seedLines(architecture, task, row));
  const low = d3.min(rows, ({ from, to }) => Math.min(from, to)) || 1;
  const high = d3.max(rows, ({ to }) => to);
  const domain = [0.8 * low, 1.25 * Math.max(high, low)];
  const axis = { ...stepAxis, type: "log", domain, ticks: logTicks(domain), grid: true };
  const style = { y: "y", stroke: "color" };
  const marks = [
    Plot.ruleY(rows.filter(({ fits }) => fits), { ...style, x1: "from", x2: "to" }),
    Plot.ruleY(rows.filter(({ fits, left }) => !fits && left), { ...style, x1: "from", x2: "to", strokeDasharray: "4 3" }),
    Plot.dot(rows, { ...style, x: "to", r: 3, fill: (row) => (row.fits ? row.color : "var(--paper)"), symbol: "shape" }),
    Plot.tip(rows, Plot.pointer({ x: "to", y: "y", title: "title", maxRadius: 60 })),
  ];
  const label = `steps to fit on ${task.name}`;
  const names = (row) => short(architectures[row]?.name ?? "", 20);
  const y = { domain: [-0.6, architectures.length - 0.4], ticks: d3.range(architectures.length), tickFormat: names, tickSize: 0, label: null, reverse: true };
  const scales = { color: { type: "identity" }, symbol: { type: "identity" } };
  const svg = plotOf(width, height, label, { x: axis, y, marks, marginLeft: 128, marginRight: 12, ...scales });
  markRows(svg, rows);
  return svg;
}

/** Let rules and points follow the highlight of their architectures. */
function markRows(svg, rows) {
  const groups = [rows.filter(({ fits }) => fits), rows.filter(({ fits, left }) => !fits && left), rows];
  const elements = [...svg.querySelectorAll("g[aria-label='rule'], g[aria-label='dot']")].filter((group) => group.children.length);
  const used = groups.filter((group) => group.length);
  elements.forEach((group, place) => [...group.children].forEach((child, i) => used[place]?.[i] && child.classList.add(`arch-${used[place][i].a}`)));
}

/** Return the seeds of an architecture, spread over its row. */
function seedLines(architecture, task, row) {
  const cells = cellsOf.get(key(architecture.a, task.t)).filter((cell) => !cell.failed);
  return cells.map((cell, place) => {
    const [fits, left] = [known(cell.fitted), known(cell.left)];
    const to = fits ? cell.fitted : cell.used;
    const from = Math.min(left ? cell.left : to, to);
    const said = [`left the plateau at ${left ? cell.left : "no step"}`, fits ? `fitted at ${cell.fitted}` : `not fitted after ${cell.used}`];
    const title = `${architecture.name}, seed ${cell.seed}\n${said.join("\n")}`;
    const y = row + 0.7 * ((place + 0.5) / cells.length - 0.5);
    return { a: architecture.a, color: architecture.color, shape: PLAIN_SHAPES[architecture.shape], fits, left, from, to, y, title };
  });
}
