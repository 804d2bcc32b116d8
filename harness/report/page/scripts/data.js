// The data of the page: the embedded JSON, whose columns become rows, and look-ups over them.

const raw = JSON.parse(document.getElementById("data").textContent);

/** Return rows of an object of columns. */
function rowsOf(columns) {
  const names = Object.keys(columns);
  const count = names.length ? columns[names[0]].length : 0;
  return Array.from({ length: count }, (_, i) => Object.fromEntries(names.map((name) => [name, columns[name][i]])));
}

const report = Object.fromEntries(
  ["architectures", "tasks", "pairs", "cells", "scores", "rates", "checkpoints", "costs", "states", "attention", "recipes", "ranks", "groups", "comparisons", "errors"].map(
    (name) => [name, rowsOf(raw[name])],
  ),
);
report.architectures.forEach((architecture, a) => (architecture.a = a));
report.tasks.forEach((task, t) => (task.t = t));

/** Scores are stored as whole numbers, losses as logarithms. */
const score = (whole) => (whole === null || whole === undefined ? null : whole / raw.score);
const loss = (whole) => 10 ** (whole / raw.loss);

/** The rows of pairs by architecture and task, and those of other kinds by pair. */
const key = (a, t) => `${a} ${t}`;
const pairs = new Map(report.pairs.map((pair) => [key(pair.a, pair.t), pair]));
const grouped = (rows) => d3.group(rows, (row) => key(row.a, row.t));
const cellsOf = grouped(report.cells);
const scoresOf = d3.group(report.scores, (row) => key(report.cells[row.c].a, row.t));

/** A task of which this row is a variant shares its trainings. */
const mainTask = (task) => report.tasks.find((other) => other.task === task.task && !other.variant) ?? task;

/** Labels of architectures and tasks in the order of the page; a table marks stale architectures with a star. */
const architectureNamed = new Map(report.architectures.map((architecture) => [architecture.name, architecture]));
const tasksNamed = d3.group(report.tasks, (task) => task.name);
