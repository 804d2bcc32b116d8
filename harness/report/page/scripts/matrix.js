// The matrix of architectures by tasks: sorted, filtered, and read with the pointer or the arrow keys.

/** Draw the matrix of what the filters show. */
function drawMatrix(view) {
  const [architectures, tasks] = [sortedArchitectures(), shownTasks()];
  if (!architectures.length || !tasks.length) {
    view.replaceChildren(h("p", {}, report.pairs.length ? "The filters show no pair." : "Nothing has been trained yet."));
    return;
  }
  const focused = view.contains(document.activeElement) ? document.activeElement.dataset : null;
  const head = h("thead", {}, familyRow(tasks), taskRow(tasks));
  const body = h("tbody", {}, architectures.map((architecture) => matrixRow(architecture, tasks)));
  const table = h("table", { class: "matrix", role: "grid", "aria-label": `${measure().title}, architectures by tasks` }, head, body);
  const box = h("div", { class: "scroll tall" }, table);
  view.replaceChildren(h("h3", { class: "measure" }, measure().title), box);
  table.querySelector("td[data-pair]")?.setAttribute("tabindex", 0);
  tipsFor(box, "data-pair", (cell) => pairDetails(pairs.get(cell.dataset.pair)));
  box.addEventListener("mouseover", (event) => highlight(event.target.closest("tr[data-a]")?.dataset.a));
  box.addEventListener("mouseleave", () => highlight(null));
  table.addEventListener("keydown", moveInMatrix);
  table.addEventListener("click", (event) => choosePair(event.target.closest("td[data-pair]")));
  const again = focused && (focused.pair ? `[data-pair="${focused.pair}"]` : focused.sort && `[data-sort="${CSS.escape(focused.sort)}"]`);
  if (again) view.querySelector(again)?.focus();
}

/** Return the shown architectures in the order that the reader has chosen; missing values come last. */
function sortedArchitectures() {
  const shown = shownArchitectures();
  const reverse = state.sort.startsWith("-");
  const name = reverse ? state.sort.slice(1) : state.sort;
  const task = tasksNamed.get(name)?.[0];
  if (name === "@name") return shown.sort((x, y) => (reverse ? -1 : 1) * x.name.localeCompare(y.name));
  if (!task) return shown;
  const direction = (measure().ascending ? 1 : -1) * (reverse ? -1 : 1);
  const valueOf = ({ a }) => {
    const pair = pairs.get(key(a, task.t));
    return pair && !pair.text ? measure().value(pair, task) : null;
  };
  return shown.sort((x, y) => {
    const [left, right] = [valueOf(x), valueOf(y)];
    if (!known(left) || !known(right)) return known(right) - known(left);
    return direction * (left - right);
  });
}

/** Sort by a column: best first, then worst first, then as the report orders them. */
function sortMatrix(name) {
  change({ sort: state.sort === name ? `-${name}` : state.sort === `-${name}` ? "" : name });
}

function sortButton(name, ...label) {
  const direction = state.sort === name ? " ▾" : state.sort === `-${name}` ? " ▴" : "";
  return h("button", { type: "button", class: "sort", "data-sort": name, onclick: () => sortMatrix(name) }, ...label, direction);
}

/** Sorted by best first counts as descending, except for steps, of which fewer are better. */
function ariaSort(name) {
  if (state.sort !== name && state.sort !== `-${name}`) return null;
  const first = name === "@name" || measure().ascending ? "ascending" : "descending";
  return state.sort === name ? first : first === "ascending" ? "descending" : "ascending";
}

function familyRow(tasks) {
  const runs = [];
  for (const { family } of tasks) runs.at(-1)?.family === family ? runs.at(-1).count++ : runs.push({ family, count: 1 });
  const cell = ({ family, count }) => h("th", { scope: "colgroup", colspan: count, class: "family" }, h("span", {}, family || "tasks"));
  return h("tr", { class: "families" }, h("td"), runs.map(cell));
}

function taskRow(tasks) {
  const corner = h("th", { scope: "col", class: "corner", "aria-sort": ariaSort("@name") }, sortButton("@name", "architecture"));
  const cell = (task) =>
    h("th", { scope: "col", "aria-sort": ariaSort(task.name) }, sortButton(task.name, ...breakable(task.name)), taskFacts(task));
  return h("tr", {}, corner, tasks.map(cell));
}

/** Return what every score of a task is read against. */
function taskFacts(task) {
  const measured = state.measure === "token" ? "token" : "exact";
  const lines = [
    `${spanText(task.train)} → ${spanText(task.beyond)}`,
    `chance ${scoreText(task.chance_beyond[measured])}`,
    task.shortcut ? `shortcut ${scoreText(task.shortcut[measured])}${task.shortcut.solves ? "!" : ""}` : "",
  ];
  const title = `trained on ${spanText(task.train)}, tested on ${spanText(task.beyond)}${task.shortcut ? `; shortcut: ${task.shortcut.reader}` : ""}`;
  return h("small", { title }, lines.filter(Boolean).flatMap((line, place) => (place ? [h("br"), line] : [line])));
}

function matrixRow(architecture, tasks) {
  const cells = tasks.map((task) => matrixCell(pairs.get(key(architecture.a, task.t)), task));
  return h("tr", { "data-a": architecture.a }, h("th", { scope: "row" }, nameOf(architecture)), cells);
}

function matrixCell(pair, task) {
  if (!pair) return h("td", { class: "none" });
  const common = { "data-pair": key(pair.a, pair.t), tabindex: -1 };
  if (pair.text) return h("td", { ...common, class: "none" }, pair.text);
  const { text, level, note = fitNote } = measure();
  const tint = Math.min(1, Math.max(0, level(pair, task) ?? 0));
  const chosen = state.pair[0] === report.architectures[pair.a].name && state.pair[1] === task.name;
  return h(
    "td",
    { ...common, class: `${pair.fits ? "fits" : "unfit"}${chosen ? " chosen" : ""}`, style: `--level:${tint.toFixed(2)}` },
    h("b", {}, text(pair, task)),
    pair.marks ? h("sup", {}, pair.marks) : "",
    h("small", {}, note(pair)),
  );
}

const MOVES = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

/** Move between cells with the arrow keys; Enter chooses a pair. */
function moveInMatrix(event) {
  const cell = event.target.closest("td[data-pair]");
  if (!cell) return;
  if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    choosePair(cell);
  }
  if (!(event.key in MOVES)) return;
  event.preventDefault();
  const [down, right] = MOVES[event.key];
  const rows = [...cell.closest("tbody").rows];
  let [y, x] = [rows.indexOf(cell.parentElement), cell.cellIndex];
  do [y, x] = [y + down, x + right];
  while (rows[y]?.cells[x] && !rows[y].cells[x].dataset.pair);
  const next = rows[y]?.cells[x];
  if (!next?.dataset.pair) return;
  cell.setAttribute("tabindex", -1);
  next.setAttribute("tabindex", 0);
  next.focus();
  next.scrollIntoView({ block: "nearest", inline: "nearest" });
}

function choosePair(cell) {
  if (!cell) return;
  const { a, t } = pairs.get(cell.dataset.pair);
  change({ pair: [report.architectures[a].name, report.tasks[t].name] });
}
