// Cost: scores beyond training against what an architecture costs, with the Pareto front, and the state by length.

const costsOf = d3.group(report.costs, (row) => row.a);
const COSTS = {
  parameters: ["parameters", countText],
  train_seconds: ["training time of a model", secondsText],
  evaluate_seconds: ["evaluation time of a model", secondsText],
  state: ["decoding state at the longest length", sizeText],
};
const QUALITIES = { exact: "exact match beyond training", scaled: "scaled accuracy beyond training", token: "token accuracy beyond training", range: "exact match in range" };

function drawCost(view) {
  const quality = state.measure in QUALITIES ? state.measure : "scaled";
  const panels = Object.keys(COSTS).map((name) => costPanel(name, quality)).filter(Boolean);
  const sized = shownArchitectures().filter(({ a }) => report.states.some((row) => row.a === a));
  if (sized.length) panels.push(panel("Decoding state by length", "", sized, statePlot));
  showPanels(view, panels);
}

/** Return the cost and the quality of each shown architecture over the shown tasks that have both. */
function costPoints(name, quality) {
  const shown = new Set(shownTasks().map((task) => task.t));
  return shownArchitectures().flatMap((architecture) => {
    const rows = (costsOf.get(architecture.a) ?? []).filter((row) => shown.has(row.t) && known(row[name]));
    const scores = rows.map((row) => MEASURES[quality].value(pairs.get(key(row.a, row.t)) ?? {}, report.tasks[row.t])).filter(known);
    const [x, y] = [d3.median(rows, (row) => row[name]), d3.mean(scores)];
    if (!known(x) || !known(y) || x <= 0) return [];
    const title = `${architecture.name}\n${COSTS[name][0]} ${COSTS[name][1](x)}\n${QUALITIES[quality]} ${scoreText(y)}, mean over ${scores.length} of ${shown.size} tasks`;
    return [{ a: architecture.a, architecture, x, y, title }];
  });
}

/** Return the points that no other point beats in both: cheaper and better. */
function paretoFront(points) {
  let best = -Infinity;
  const front = [];
  for (const point of d3.sort(points, (p) => p.x, (p) => -p.y)) {
    if (point.y <= best) continue;
    best = point.y;
    front.push(point);
  }
  return front;
}

function costPanel(name, quality) {
  const points = costPoints(name, quality);
  if (!points.length) return null;
  const [title] = COSTS[name];
  const heading = h("h4", {}, `Against ${title}`);
  return h("div", { class: "panel" }, heading, plotLater((width) => costPlot(width, name, quality, points), 280));
}

function costPlot(width, name, quality, points) {
  const [title, write] = COSTS[name];
  const [low, high] = d3.extent(points, ({ x }) => x);
  const domain = [low / 1.3, high * 1.3];
  const ticks = name === "state" ? byteTicks(domain) : logTicks(domain, 5);
  const x = { type: "log", domain, ticks, tickFormat: write, label: title, labelAnchor: "center", labelArrow: "none" };
  const front = paretoFront(points);
  const dots = points.map((point) =>
    Plot.dot([point], { x: "x", y: "y", r: 4, fill: point.architecture.color, symbol: PLAIN_SHAPES[point.architecture.shape], className: `arch-${point.a}` }),
  );
  const marks = [
    Plot.line([...front, { x: domain[1], y: front.at(-1).y }], { x: "x", y: "y", curve: "step-after", stroke: "var(--muted)", strokeOpacity: 0.6 }),
    ...dots,
    pointLabels(points),
    Plot.tip(points, Plot.pointer({ x: "x", y: "y", title: "title", maxRadius: 60 })),
  ];
  const lowest = Math.min(-0.04, d3.min(points, ({ y }) => y) - 0.04);
  const label = `${QUALITIES[quality]} against ${title}`;
  return plotOf(width, 280, label, { x, y: scoreAxis(QUALITIES[quality].split(" beyond")[0], lowest), marks, marginRight: 0.24 * width });
}

const FARTHEST = 2.5 * GAP; // pixels from a point down to its name

/**
 * Draw the names of points at their right, moved down where another name is already there.
 *
 * A name that would be too far from its point to belong to it is left out; the tooltip has it.
 */
function pointLabels(points) {
  const names = points.map(({ architecture }) => short(architecture.name, 22));
  const render = (index, scales, values, dimensions, context, next) => {
    const y = Float64Array.from(values.y);
    const shown = [];
    const placed = Array.from(index, (i) => [values.x[i] - 4, values.x[i] + 4, values.y[i]]);
    for (const i of d3.sort(index, (i) => values.y[i])) {
      const [left, right] = [values.x[i] + 6, values.x[i] + 12 + LETTER * names[i].length];
      const overlaps = ([start, end, height]) => start < right && end > left && Math.abs(height - y[i]) < GAP;
      for (let other; (other = placed.find(overlaps)); ) y[i] = other[2] + GAP + 0.1;
      if (y[i] - values.y[i] > FARTHEST) continue;
      placed.push([left, right, y[i]]);
      shown.push(i);
    }
    const group = next(shown, scales, { ...values, y }, dimensions, context);
    [...group.children].forEach((text, place) => text.classList.add(`arch-${points[shown[place]].a}`));
    return group;
  };
  const style = { dx: 8, textAnchor: "start", fontSize: 10.5, fill: ({ architecture }) => architecture.color, stroke: "var(--paper)", render };
  return Plot.text(points, { x: "x", y: "y", text: (_, i) => names[i], ...style });
}

function statePlot(width, members, others) {
  const line = (architecture) => ({
    architecture,
    points: d3.sort(report.states.filter((row) => row.a === architecture.a && row.bytes > 0), (row) => row.length)
      .map((row) => ({ x: row.length, y: row.bytes, title: `${architecture.name}, length ${row.length}\n${sizeText(row.bytes)}` })),
  });
  const lengths = [...new Set(report.states.map((row) => row.length))].sort(d3.ascending);
  const domain = d3.extent(report.states.filter((row) => row.bytes > 0), (row) => row.bytes);
  const y = { type: "log", domain: [domain[0] / 1.3, domain[1] * 1.3], ticks: byteTicks(domain), tickFormat: sizeText, label: "state", labelArrow: "none", grid: true };
  const marks = lineChart(members.map(line), others.map(line));
  return plotOf(width, 230, "decoding state by length", { x: gridAxis(lengths, "length"), y, marks, marginLeft: 54, marginRight: labelMargin(members, width) });
}
