// One pair of architecture and task: its seeds and interval as a tooltip, and with commands as a section.

/** Return the seeds of a pair: trainings next to their scores on this task or variant. */
function seedsOf({ a, t }) {
  const scores = new Map((scoresOf.get(key(a, t)) ?? []).map((row) => [row.c, row]));
  const cells = cellsOf.get(key(a, mainTask(report.tasks[t]).t)) ?? [];
  return cells.map((cell) => ({ ...scores.get(report.cells.indexOf(cell)), cell }));
}

/** Return the content of the tooltip of a pair. */
function pairDetails(pair) {
  const title = h("b", {}, `${report.architectures[pair.a].name} on ${report.tasks[pair.t].name}`);
  if (pair.text) return [title, h("p", {}, [pair.text, pair.reason].filter(Boolean).join(": "))];
  return [title, seedTable(pair, seedsOf(pair)), ...pairNotes(pair).map((text) => h("p", {}, text))];
}

/** Say the interval, the learning rate and what the marks mean. */
function pairNotes(pair) {
  const interval = known(pair.low)
    ? `95% interval of exact match beyond training (interquartile mean): ${scoreText(pair.low)} to ${scoreText(pair.high)}.`
    : `No interval: it takes ${raw.intervalSeeds} seeds.`;
  const rate = known(pair.rate) ? `Learning rate ${pair.rate}.` : "";
  return [interval, rate, ...[...pair.marks].map((mark) => `${mark} ${raw.marks[mark]}.`)].filter(Boolean);
}

const SEED_COLUMNS = {
  seed: ({ cell }) => String(cell.seed),
  fits: ({ fit, cell }) => (cell.failed ? "failed" : fit === true ? "yes" : fit === false ? "no" : NOTHING),
  "solved to": ({ solved }) => pretty(solved || NOTHING),
  exact: ({ exact }) => scoreText(exact),
  token: ({ token }) => scoreText(token),
  "in range": ({ range }) => scoreText(range),
  "steps to fit": ({ cell }) => (known(cell.fitted) ? countText(cell.fitted) : NOTHING),
};

function seedTable(pair, seeds) {
  const columns = { ...SEED_COLUMNS };
  if (!report.tasks[pair.t].multi) delete columns.token;
  const head = h("tr", {}, Object.keys(columns).map((name) => h("th", { scope: "col" }, name)));
  const rows = seeds.map((seed) => h("tr", {}, Object.values(columns).map((write) => h("td", {}, write(seed)))));
  return h("table", { class: "seeds" }, h("thead", {}, head), h("tbody", {}, rows));
}

/** Draw the chosen pair: its seeds, why seeds failed, and a command for each seed. */
function drawPair(view) {
  const [name, title] = state.pair;
  const [a, t] = [architectureNamed.get(name)?.a, tasksNamed.get(title)?.[0].t];
  const pair = pairs.get(key(a, t));
  if (!pair) {
    view.replaceChildren(h("p", {}, "Choose a cell of the matrix with a click, or with the arrow keys and Enter."));
    return;
  }
  const seeds = seedsOf(pair);
  const failed = seeds.filter(({ cell }) => cell.failed).map(({ cell }) => h("p", {}, `Seed ${cell.seed} failed: ${cell.failed}`));
  const finding = h("h3", {}, nameOf(report.architectures[a]), ` on ${title}`);
  const details = pair.text ? pairDetails(pair).slice(1) : [scrollBox("Seeds", seedTable(pair, seeds)), ...pairNotes(pair).map((text) => h("p", {}, text))];
  const commands = seeds.map(({ cell }) => h("li", {}, `Seed ${cell.seed}: `, h("code", { class: "command" }, commandOf(cell))));
  const heading = commands.length ? h("p", {}, "Each command trains and evaluates one of these models again:") : "";
  view.replaceChildren(finding, ...details, ...failed, heading, h("ul", { class: "commands" }, commands));
}

/** Return the command that trains and evaluates one cell. */
function commandOf(cell) {
  const parts = [report.architectures[cell.a].command, report.tasks[cell.t].command];
  return `lengthwise run ${parts.join(" ")} --seeds 1 --first-seed ${cell.seed} --learning-rate ${cell.rate}`;
}
