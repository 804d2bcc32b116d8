// Learning rates: exact match at every rate that was tried, in validation and beyond training.

const ratesOf = grouped(report.rates);

function drawRates(view) {
  const tasks = shownTasks().filter((task) => !task.variant);
  const panels = tasks.map((task) => {
    const architectures = shownArchitectures().filter(({ a }) => ratesOf.has(key(a, task.t)));
    return architectures.length ? panel(task.name, "", architectures, (width, ...who) => ratePlot(width, task, ...who)) : null;
  });
  showPanels(view, panels.filter(Boolean), ["at training lengths (validation)", "beyond training"]);
}

function ratePlot(width, task, members, others) {
  const rowsOf = ({ a }) => d3.sort(ratesOf.get(key(a, task.t)), (row) => row.rate);
  const line = (architecture, name, options) => {
    const points = rowsOf(architecture).map((row) => ({ x: row.rate, y: row[name], title: rateTitle(architecture, row) }));
    return { architecture, points: points.filter(({ y }) => known(y)), dots: false, ...options };
  };
  const valid = members.map((architecture) => line(architecture, "valid"));
  const beyond = members.map((architecture) => line(architecture, "beyond", { dashed: true }));
  const chosen = members.map((architecture) =>
    Plot.dot(rowsOf(architecture).filter((row) => row.chosen), {
      ...{ x: "rate", y: "valid", r: 3.5, fill: architecture.color, className: `arch-${architecture.a}` },
      symbol: PLAIN_SHAPES[architecture.shape],
    }),
  );
  const rates = [...new Set([...members, ...others].flatMap((x) => rowsOf(x).map((row) => row.rate)))].sort(d3.ascending);
  const marks = [...beyond.flatMap(lineMarks).filter(Boolean), ...lineChart(valid, others.map((x) => line(x, "valid"))), ...chosen];
  const label = `exact match by learning rate on ${task.name}`;
  return plotOf(width, 230, label, { x: gridAxis(rates, "learning rate"), y: scoreAxis("exact match"), marks, marginRight: labelMargin(members, width) });
}

const rateTitle = ({ name }, row) =>
  `${name}, learning rate ${row.rate}${row.chosen ? " (chosen)" : ""}\nvalidation ${scoreText(row.valid, 3)}\nbeyond training ${scoreText(row.beyond)}`;
