// Architectures over all tasks: mean ranks with bars over those that cannot be told apart, and two of them side by side.

/** Return the bars of groups of which at least two members are shown, as pairs of shown architectures. */
function shownGroups(rows) {
  return report.groups.flatMap(({ first, last }) => {
    const members = report.ranks.slice(first, last + 1).filter(({ a }) => rows.some((row) => row.a === a));
    return members.length > 1 ? [{ top: members[0].a, bottom: members.at(-1).a }] : [];
  });
}

function drawRanks(view) {
  const rows = report.ranks.filter(({ a }) => isShown(report.architectures[a]));
  if (!rows.length) return view.replaceChildren(h("p", {}, NO_DATA));
  const title = `Mean rank over ${rows[0].tasks} ${rows[0].tasks === 1 ? "task" : "tasks"}`;
  const plot = plotLater((width) => rankPlot(width, title, rows), 24 * rows.length + 50);
  view.replaceChildren(h("div", { class: "panels plots" }, h("div", { class: "panel split" }, h("h4", {}, title), plot)));
}

function rankPlot(available, title, rows) {
  const width = Math.min(available, 760);
  const name = ({ a }) => report.architectures[a].name;
  const right = d3.max(rows, ({ rank }) => rank);
  const step = 0.05 * Math.max(right - 1, 1);
  const bars = shownGroups(rows).map(({ top, bottom }, place) => ({ x: right + step * (place + 1), top: name({ a: top }), bottom: name({ a: bottom }) }));
  const letters = Math.min(d3.max(rows, (row) => name(row).length), width < 500 ? 18 : 34);
  const points = rows.map((row) => ({ ...row, name: name(row), title: `${name(row)}\nmean rank ${row.rank.toFixed(2)}`, architecture: report.architectures[row.a] }));
  const marks = [
    ...points.flatMap(({ architecture, ...point }) => [
      Plot.ruleY([point], { y: "name", x1: 1, x2: "rank", stroke: architecture.color, className: `arch-${point.a}` }),
      Plot.dot([point], { y: "name", x: "rank", r: 4.5, fill: architecture.color, symbol: PLAIN_SHAPES[architecture.shape], className: `arch-${point.a}` }),
    ]),
    Plot.link(bars, { x1: "x", x2: "x", y1: "top", y2: "bottom", stroke: "currentColor", strokeWidth: 4, strokeLinecap: "round" }),
    Plot.tip(points, Plot.pointerY({ y: "name", x: "rank", title: "title" })),
  ];
  const x = { label: "mean rank", labelAnchor: "center", labelArrow: "none", domain: [1, right + step * (bars.length + 1)], grid: true };
  const y = { domain: points.map((point) => point.name), label: null, tickFormat: (text) => short(text, letters), tickSize: 0 };
  return plotOf(width, 24 * rows.length + 50, title, { x, y, marks, marginLeft: 16 + 6.3 * letters, marginRight: 12 });
}

/** Return the two architectures of the address, or the first two. */
function chosenTwo() {
  const given = state.two.map((name) => architectureNamed.get(name)).filter(Boolean);
  const others = report.architectures.filter((architecture) => !given.includes(architecture));
  return [...given, ...others].slice(0, 2);
}

function drawTwo(view) {
  const two = chosenTwo();
  const choose = (place) => (event) => change({ two: two.map(({ name }, i) => (i === place ? event.target.value : name)) });
  const select = (place, label) => {
    const options = report.architectures.map(({ name }) => h("option", { value: name, selected: name === two[place].name, disabled: name === two[1 - place].name }, name));
    return h("label", {}, label, h("select", { "aria-label": label, onchange: choose(place) }, options));
  };
  const box = h("div", {});
  const kind = curveMeasure();
  const tasks = shownTasks().filter((task) => task.lengths.length && (kind !== "token" || task.multi));
  const panels = tasks.map((task) => {
    const drawn = two.filter(({ a }) => pairs.get(key(a, task.t))?.curves);
    return drawn.length ? panel(task.name, twoNote(task, two), drawn, (width, members) => lengthPlot(width, task, kind, members, [])) : null;
  });
  showPanels(box, panels.filter(Boolean), ["training range", "chance", "best shortcut", "did not fit"]);
  const focused = view.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : null;
  view.replaceChildren(h("div", { class: "bar two" }, select(0, "First"), select(1, "Second")), h("p", { class: "verdict" }, twoVerdict(two)), box);
  if (focused) view.querySelector(`select[aria-label="${focused}"]`)?.focus();
}

/** Say how often and by how much one of two is better over all tasks. */
function twoVerdict([one, other]) {
  const row = report.comparisons.find(({ a, b }) => (a === one.a && b === other.a) || (a === other.a && b === one.a));
  if (!row) return "These two have no task on which both have enough seeds to be compared.";
  const [better, worse] = [report.architectures[row.a], report.architectures[row.b]].map(({ name }) => name);
  const between = (name) => `${scoreText(row[name])} [${scoreText(row[`${name}_low`])}, ${scoreText(row[`${name}_high`])}]`;
  const verdict = row.p < 0.05 ? "They differ" : "They cannot be told apart";
  const tasks = `${row.tasks} ${row.tasks === 1 ? "task" : "tasks"}`;
  return (
    `Over ${tasks}, the probability that a seed of ${better} scores higher than a seed of ${worse} is ${between("probability")}; ` +
    `the difference of the mean scaled accuracy is ${between("difference")}. ${verdict} (p = ${scoreText(row.p, 3)}, adjusted for all pairs).`
  );
}

/** Return the medians beyond training of both on a task. */
const twoNote = (task, two) =>
  `beyond training: ${two.map(({ a, name }) => `${short(name, 24)} ${scoreText(pairs.get(key(a, task.t))?.exact)}`).join(", ")}`;
