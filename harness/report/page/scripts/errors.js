// Where errors sit: a block of rows for each architecture, one row for each length, and a square for each bin of places.

const PLACES = { position: "position in the answer", events: "events since the one that is asked for" };
const ERROR_MEASURES = { wrong: "wrong tokens", begun: "rows with an error so far", loss: "loss of a token" };
const errorsOf = d3.group(report.errors, ({ kind }) => kind, ({ t }) => t, ({ a }) => a);

function drawErrors(view) {
  const measure = ERROR_MEASURES[state.errors] ? state.errors : "wrong";
  const panels = shownTasks().map((task) => Object.keys(PLACES).map((kind) => errorPanel(task, kind, measure)).filter(Boolean));
  const plots = h("div", {});
  showPanels(plots, panels.filter((kinds) => kinds.length));
  const options = Object.entries(ERROR_MEASURES).map(([value, text]) => h("option", { value, selected: value === measure }, text));
  const choose = h("select", { onchange: (event) => change({ errors: event.target.value }) }, options);
  view.replaceChildren(h("p", {}, h("label", {}, "Colour: ", choose)), plots);
}

function errorPanel(task, kind, measure) {
  const byArchitecture = errorsOf.get(kind)?.get(task.t);
  const architectures = shownArchitectures().filter(({ a }) => byArchitecture?.has(a));
  if (!architectures.length || (kind === "events" && measure === "begun")) return null;
  const height = 62 + 34 * architectures.length;
  const note = `by ${PLACES[kind]}, trained on ${spanText(task.train)}, tested on ${spanText(task.lengths)}`;
  const heading = h("h4", {}, breakable(task.name), h("small", {}, note));
  return h("div", { class: "panel" }, heading, plotLater((width) => errorPlot(width, height, task, kind, measure, architectures), height));
}

/** Return the value of a letter; a space stands for no value. */
const letterValue = (letter, top) => (letter === " " ? null : ((letter.charCodeAt(0) - FIRST_LETTER) / 63) * top);

/** Return the squares of an architecture: its rows fill the height from ``place`` to almost ``place + 1``. */
function errorSquares(architecture, place, rows, task, kind, measure) {
  const sorted = d3.sort(rows, ({ length }) => length);
  const height = 0.88 / sorted.length;
  return sorted.flatMap((row, index) =>
    [...row[measure]].map((letter, bin) => {
      const [from, to] = [row.starts[bin], row.starts[bin + 1]];
      const value = letterValue(letter, measure === "loss" ? row.top : 1);
      const x1 = kind === "events" ? bin - 0.5 : from - 0.5;
      const x2 = kind === "events" ? bin + 0.5 : to - 0.5;
      const said = measure === "loss" ? value?.toPrecision(2) : scoreText(value);
      const trained = row.length <= task.train[1] ? " (a training length)" : "";
      const title = `${architecture.name}, length ${row.length}${trained}\n${kind === "events" ? "events" : "position"} ${spanText([from, to - 1])}\n${ERROR_MEASURES[measure]} ${said}`;
      return { a: architecture.a, x1, x2, y1: place + index * height, y2: place + (index + 1) * height, value, title };
    }).filter(({ value }) => known(value)),
  );
}

function errorPlot(width, height, task, kind, measure, architectures) {
  const rows = errorsOf.get(kind).get(task.t);
  const squares = architectures.flatMap((architecture, place) => errorSquares(architecture, place, rows.get(architecture.a), task, kind, measure));
  const lines = architectures.flatMap((architecture, place) => {
    const lengths = rows.get(architecture.a).map(({ length }) => length);
    const trained = lengths.filter((length) => length <= task.train[1]).length;
    return trained && trained < lengths.length ? [place + (0.88 * trained) / lengths.length] : [];
  });
  const top = measure === "loss" ? d3.max(squares, ({ value }) => value) || 1 : 1;
  const sides = { x1: "x1", x2: "x2", y1: "y1", y2: "y2", shapeRendering: "crispEdges" };
  const marks = [
    Plot.rect(squares, { ...sides, fill: "var(--soft)" }),
    Plot.rect(squares, { ...sides, fill: "var(--score)", fillOpacity: ({ value }) => value / top }),
    Plot.ruleY(lines, { stroke: "currentColor", strokeWidth: 0.8 }),
    Plot.tip(squares, Plot.pointer({ x: (d) => (d.x1 + d.x2) / 2, y: (d) => (d.y1 + d.y2) / 2, title: "title", maxRadius: 60 })),
  ];
  const starts = d3.greatest([...rows.values()].flat(), (row) => row.starts.length).starts;
  const ticks = kind === "events" ? d3.range(starts.length - 1) : undefined;
  const tickFormat = kind === "events" ? (bin) => spanText([starts[bin], starts[bin + 1] - 1]) : undefined;
  const x = { domain: [d3.min(squares, ({ x1 }) => x1), d3.max(squares, ({ x2 }) => x2)], label: PLACES[kind], labelArrow: "none", ...(ticks ? { ticks, tickFormat } : {}) };
  const names = d3.range(architectures.length).map((place) => place + 0.44);
  const y = { domain: [0, architectures.length], reverse: true, ticks: names, tickSize: 0, label: null, tickFormat: (at) => short(architectures[Math.floor(at)].name, 20) };
  return plotOf(width, height, `${ERROR_MEASURES[measure]} by ${PLACES[kind]} on ${task.name}`, { x, y, marks, marginLeft: 128, marginRight: 12, opacity: { type: "identity" } });
}
