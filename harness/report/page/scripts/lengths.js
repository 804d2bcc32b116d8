// Accuracy by length: a panel for each task, with the training range, chance and the best shortcut.

const CURVE_LABELS = { exact: "exact match", token: "token accuracy", scaled: "scaled accuracy" };

function drawLengths(view) {
  const kind = curveMeasure();
  const measured = kind === "token" ? "token" : "exact";
  const tasks = shownTasks().filter((task) => task.lengths.length && (kind !== "token" || task.multi));
  const panels = tasks.map((task) => {
    const architectures = shownArchitectures().filter(({ a }) => pairs.get(key(a, task.t))?.curves);
    if (!architectures.length) return null;
    const note = `trained on ${spanText(task.train)}, evaluated to ${task.lengths.at(-1)}, chance ${scoreText(task.chance_beyond[measured])}`;
    return panel(task.name, note, architectures, (width, members, others) => lengthPlot(width, task, kind, members, others));
  });
  showPanels(view, panels.filter(Boolean), ["training range", "chance", "best shortcut", "did not fit"]);
}

/** Return the function that puts a stored score at a length on the scale of the plot. */
function onScale(task, kind) {
  if (kind !== "scaled") return (whole) => score(whole);
  return (whole, place) => scaled(score(whole), score(task.chance.exact[place]));
}

function lengthPlot(width, task, kind, members, others) {
  const measured = kind === "token" ? "token" : "exact";
  const read = onScale(task, kind);
  const points = (values) => task.lengths.map((x, place) => ({ x, y: read(values[place], place) })).filter(({ y }) => known(y));
  const lines = (architectures) => architectures.map((architecture) => lengthLine(architecture, task, measured, read, points));
  const floors = [[task.chance[measured], "1.5 3"], [task.floor?.[measured], "7 3"]].filter(([values]) => values);
  const x = gridAxis(task.lengths, "length", task.train);
  const [low, high] = [Math.max(x.domain[0], task.train[0]), Math.min(x.domain[1], task.train[1])];
  const below = [
    low <= high ? Plot.rect([0], { x1: low === high ? x.domain[0] : low, x2: high, fill: "var(--shade)" }) : null,
    ...floors.map(([values, dash]) => Plot.line(points(values), { x: "x", y: "y", stroke: "var(--muted)", strokeDasharray: dash })),
  ].filter(Boolean);
  const marks = lineChart(lines(members), lines(others), below);
  const label = `${CURVE_LABELS[kind]} by length on ${task.name}: ${members.map(({ name }) => name).join(", ")}`;
  return plotOf(width, 230, label, { x, y: scoreAxis(CURVE_LABELS[kind]), marks, marginRight: labelMargin(members, width) });
}

/** Return the line of one architecture, or of one recipe, which names its pair: medians, band, seeds, and what is said of each point. */
function lengthLine(architecture, task, measured, read, points) {
  const name = architecture.pair ?? key(architecture.a, task.t);
  const pair = pairs.get(name);
  const [median = [], low = [], high = []] = pair.curves[measured] ?? [];
  const seeds = scoresOf.get(name) ?? [];
  const full = task.lengths.map((x, place) => {
    const [y, bottom, top] = [median, low, high].map((values) => read(values[place] ?? null, place));
    const interval = known(bottom) ? `, 95% interval ${scoreText(bottom)} to ${scoreText(top)}` : "";
    const each = seeds.map((row) => scoreText(read(row.by[measured]?.[place] ?? null, place))).join(" ");
    return { x, y, low: bottom, high: top, title: `${architecture.name}, length ${x}\nmedian ${scoreText(y)}${interval}\nseeds ${each}` };
  });
  return {
    architecture,
    points: full.filter(({ y }) => known(y)),
    seeds: state.seeds ? seeds.map((row) => points(row.by[measured] ?? [])) : [],
    dashed: !pair.fits,
    hollow: !pair.fits,
    ended: full.some(({ y }) => !known(y)) && known(full[0].y),
  };
}
