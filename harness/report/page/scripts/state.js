// The state of the page: what the reader has chosen, kept in the hash of the address, so that a link restores it.

const DEFAULTS = {
  measure: "solved", // the measure of the matrix, and of plots that show scores
  sort: "", // the column that orders the matrix; "-" in front reverses it
  architecture: "", // text that names of architectures contain
  task: "", // text that names of tasks contain
  family: "", // the family of tasks that is shown
  hide: [], // architectures that are not shown
  off: [], // families of architectures that are not shown
  seeds: "", // "1" draws every seed
  split: "", // "yes" or "no": plots by family; empty decides by the number of architectures
  errors: "wrong", // the measure of the maps of errors
  pair: [], // the chosen architecture and task
  two: [], // the two architectures that are shown side by side
  at: "", // the section that was last visited
};
const listeners = [];
let state = readHash();

/** Return the state that the address holds; unknown keys are ignored. */
function readHash() {
  const values = new URLSearchParams(location.hash.slice(1));
  const read = (name) => (Array.isArray(DEFAULTS[name]) ? values.getAll(name) : (values.get(name) ?? DEFAULTS[name]));
  return Object.fromEntries(Object.keys(DEFAULTS).map((name) => [name, read(name)]));
}

/** Return the address of a state: the keys that differ from their defaults. */
function hashOf(values) {
  const parts = new URLSearchParams();
  for (const [name, value] of Object.entries(values))
    if (String(value) !== String(DEFAULTS[name])) for (const item of [value].flat()) parts.append(name, item);
  return `#${parts}`;
}

/** Change some keys and tell every view which ones. */
function change(values) {
  state = { ...state, ...values };
  history.replaceState(null, "", hashOf(state));
  listeners.forEach((listen) => listen(Object.keys(values)));
}

/** Call a function with the names of the keys after each change. */
const onChange = (listen) => listeners.push(listen);

addEventListener("hashchange", () => {
  state = readHash();
  listeners.forEach((listen) => listen(Object.keys(DEFAULTS)));
});

const contains = (name, text) =>
  text.toLowerCase().split(/\s+/).every((word) => name.toLowerCase().includes(word));

const isShown = ({ name, family }) =>
  !state.hide.includes(name) && !state.off.includes(family) && contains(name, state.architecture);
const shownArchitectures = () => report.architectures.filter(isShown);
const isTaskShown = ({ name, family }) => contains(name, state.task) && (!state.family || family === state.family);
/** Return the shown tasks with those of a family together, in the order in which families first appear. */
const shownTasks = () => [...d3.group(report.tasks.filter(isTaskShown), ({ family }) => family).values()].flat();
