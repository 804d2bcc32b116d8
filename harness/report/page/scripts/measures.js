// The measures of the matrix: their values, texts, colours and order.

/** Return the share of the way from chance (0) to a perfect score (1), below 0 for less than chance. */
function scaled(value, chance) {
  if (!known(value)) return null;
  const floor = known(chance) && chance < 1 ? chance : 0;
  return (value - floor) / (1 - floor);
}

/** Return how far a pair gets on the way from its training lengths to the longest length, on a logarithmic scale. */
function reach(pair, task) {
  const [trained, longest] = [task.train[1], task.lengths.at(-1)];
  if (!known(pair.length) || !(longest > trained) || pair.length <= trained) return 0;
  return Math.log(pair.length / trained) / Math.log(longest / trained);
}

const plainScore = (name) => ({
  value: (pair) => pair[name],
  text: (pair) => scoreText(pair[name]),
  level: (pair, task) => scaled(pair[name], name === "range" ? 0 : task.chance_beyond[name]),
});

const MEASURES = {
  solved: {
    title: "Solved to",
    value: (pair) => (known(pair.length) ? pair.length + (pair.solved.startsWith(">") ? 0.5 : 0) : null),
    text: (pair) => pretty(pair.solved || "unknown"),
    level: reach,
  },
  exact: { title: "Exact match beyond training", ...plainScore("exact") },
  scaled: {
    title: "Scaled accuracy (chance 0, perfect 1)",
    value: (pair, task) => scaled(pair.exact, task.chance_beyond.exact),
    text: (pair, task) => scoreText(scaled(pair.exact, task.chance_beyond.exact)),
    level: (pair, task) => scaled(pair.exact, task.chance_beyond.exact),
  },
  token: { title: "Token accuracy beyond training", ...plainScore("token") },
  range: { title: "Exact match in range (training lengths)", ...plainScore("range") },
  steps: {
    title: "Steps to fit",
    ascending: true,
    value: (pair) => pair.steps,
    text: (pair) => (known(pair.steps) ? countText(pair.steps) : "never"),
    level: (pair) => (known(pair.steps) ? 1 - pair.steps / pair.budget : 0),
    note: (pair) => `${pair.stepped} of ${cellsOf.get(key(pair.a, mainTask(report.tasks[pair.t]).t))?.length ?? 0} seeds`,
  },
};
const measure = () => MEASURES[state.measure] ?? MEASURES.solved;
const fitNote = (pair) => `${pair.fitted}/${pair.graded} fit${pair.failed ? `, ${pair.failed} failed` : ""}`;

/** Return the measure that plots of scores show: the chosen one, or another where it is no score. */
const curveMeasure = () => (["token", "scaled"].includes(state.measure) ? state.measure : "exact");
