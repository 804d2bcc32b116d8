// Loss, validation and checkpoints: what happens during training.

const CURVES = { loss: "training loss", valid: "exact match in validation" };

function drawLosses(view) {
  const panels = shownTasks().filter((task) => !task.variant).map((task) => {
    const architectures = shownArchitectures().filter(({ a }) => cellsOf.has(key(a, task.t)));
    if (!architectures.length) return null;
    return Object.entries(CURVES).map(([kind, note]) => {
      const measured = architectures.filter(({ a }) => cellsOf.get(key(a, task.t)).some((cell) => cell[kind][1].length));
      return measured.length ? panel(task.name, note, measured, (width, ...who) => trainingPlot(width, task, kind, ...who)) : null;
    }).filter(Boolean);
  });
  showPanels(view, panels.filter((kinds) => kinds?.length));
}

const lossText = (value) => (value < 1e-3 ? value.toExponential(0).replace("+", "") : `${Number(value.toPrecision(2))}`);

/** Return the points of one kind of curve of a cell. */
function curvePoints(cell, kind, name) {
  const [place, values] = cell[kind];
  const read = kind === "loss" ? loss : score;
  return raw.steps[place].map((x, i) => {
    const y = read(values[i]);
    return { x, y, title: `${name}, seed ${cell.seed}\nstep ${x}\n${kind === "loss" ? `loss ${y.toPrecision(3)}` : `exact match ${scoreText(y)}`}` };
  });
}

function trainingPlot(width, task, kind, members, others) {
  const line = (architecture) => {
    const seeds = cellsOf.get(key(architecture.a, task.t)).map((cell) => curvePoints(cell, kind, architecture.name));
    const longest = d3.greatest(seeds, (points) => points.length) ?? [];
    return { architecture, seeds: seeds.filter((points) => points.length), points: longest.slice(-1), thin: true };
  };
  const [lines, grey] = [members.map(line), others.map(line)];
  const marks = lineChart(lines, grey.map((one) => ({ ...one, points: [] })));
  const domain = d3.extent([...lines, ...grey].flatMap(({ seeds }) => seeds.flat()), (point) => point.y);
  const y = kind === "loss"
    ? { type: "log", domain, ticks: logTicks(domain), tickFormat: lossText, label: "loss", labelArrow: "none", grid: true }
    : scoreAxis("exact match");
  const label = `${CURVES[kind]} by step on ${task.name}`;
  return plotOf(width, 230, label, { x: { ...stepAxis, nice: true }, y, marks, marginLeft: 46, marginRight: labelMargin(members, width) });
}

const checkpointsOf = grouped(report.checkpoints);

function drawCheckpoints(view) {
  const panels = shownTasks().map((task) => {
    const architectures = shownArchitectures().filter(({ a }) => checkpointsOf.has(key(a, task.t)));
    return architectures.length ? panel(task.name, `lengths ${spanText(task.beyond)}`, architectures, (width, ...who) => checkpointPlot(width, task, ...who)) : null;
  });
  showPanels(view, panels.filter(Boolean));
}

function checkpointPlot(width, task, members, others) {
  const line = (architecture) => ({
    architecture,
    points: checkpointsOf.get(key(architecture.a, task.t)).map(({ step, exact }) => ({ x: step, y: exact, title: `${architecture.name}, step ${step}\n${scoreText(exact)}` })),
    dashed: !pairs.get(key(architecture.a, task.t))?.fits,
  });
  const marks = lineChart(members.map(line), others.map(line));
  return plotOf(width, 230, `exact match by checkpoint on ${task.name}`, { x: stepAxis, y: scoreAxis("exact match"), marks, marginRight: labelMargin(members, width) });
}
