// Program length: scores beyond training against the length of a task's RASP-L program, and against that of its answer.

function drawPrograms(view) {
  const shown = (name, title) => {
    const tasks = shownTasks().filter((task) => !task.variant && known(task[name]));
    const architectures = shownArchitectures().filter(({ a }) => tasks.some((task) => known(pairs.get(key(a, task.t))?.exact)));
    const note = name === "program" ? "tasks without a known program are left out" : "";
    return architectures.length ? panel(title, note, architectures, (width, ...who) => programPlot(width, name, title, tasks, ...who)) : null;
  };
  showPanels(view, [shown("program", "By core operations of the program"), shown("answer", "By graded tokens of the answer")].filter(Boolean));
}

/** Return the points of an architecture, moved to its side so that equal scores do not hide each other. */
function programPoints(architecture, place, count, name, tasks) {
  const most = d3.max(tasks, (task) => task[name]);
  const move = (most / 90) * (place - (count - 1) / 2) * Math.min(1, 10 / count);
  return tasks.flatMap((task) => {
    const pair = pairs.get(key(architecture.a, task.t));
    if (!known(pair?.exact)) return [];
    const title = `${architecture.name} on ${task.name}\n${task[name]} ${name === "program" ? "operations" : "tokens"}\nexact match ${scoreText(pair.exact)}, ${fitNote(pair)}`;
    return [{ a: architecture.a, x: task[name] + move, y: pair.exact, fits: pair.fits, title }];
  });
}

function programPlot(width, name, title, tasks, members, others) {
  const points = members.map((architecture, place) => programPoints(architecture, place, members.length, name, tasks));
  const dots = members.map((architecture, place) =>
    Plot.dot(points[place], {
      ...{ x: "x", y: "y", r: 3.4, stroke: architecture.color, className: `arch-${architecture.a}` },
      ...{ fill: (point) => (point.fits ? architecture.color : "var(--paper)"), symbol: PLAIN_SHAPES[architecture.shape] },
    }),
  );
  const grey = others.flatMap((architecture) => programPoints(architecture, 0, 1, name, tasks));
  const last = points.map((own, place) => ({ architecture: members[place], points: d3.sort(own, ({ x }) => x) }));
  const marks = [
    Plot.dot(grey, { x: "x", y: "y", r: 2, stroke: "currentColor", strokeOpacity: 0.2 }),
    ...dots,
    endLabels(last),
    Plot.tip(points.flat(), Plot.pointer({ x: "x", y: "y", title: "title", maxRadius: 60 })),
  ];
  const x = { label: title.replace("By ", ""), labelAnchor: "center", labelArrow: "none", ticks: 6, nice: true };
  return plotOf(width, 240, `exact match ${title.toLowerCase()}`, { x, y: scoreAxis("exact match"), marks, marginRight: labelMargin(members, width), color: { type: "identity" } });
}
