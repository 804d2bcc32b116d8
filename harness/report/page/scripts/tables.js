// Plain tables: the tables of the report as text, sortable by each column and filtered like everything else.

const MOST_ROWS = 300;
const TEXT_COLUMNS = new Set([
  ...["architecture", "task", "what", "which", "why", "solved to", "seeds", "expected", "measured", "holds"],
  ...["measure", "differences", "lengths", "stops", "answer", "optimizer", "schedule", "learning rates"],
]);
const WRAPPED = new Set(["differences", "which", "why", "expected", "measured", "schedule", "learning rates"]);

/** Return the rows of a table as lists of texts; a column may hold places in a list of its values. */
function textRows({ columns }) {
  const read = ({ texts, places }, i) => (places ? texts[places[i]] : texts[i]);
  const [first] = columns;
  const count = first ? (first.places ?? first.texts).length : 0;
  return Array.from({ length: count }, (_, i) => columns.map((column) => read(column, i)));
}

/** Return a number to sort by: the first one in the text; texts without a number sort as text. */
function sortValue(text) {
  const found = /-?\d+(?:[.,]\d+)*(?:e-?\d+)?/.exec(text);
  if (!found) return null;
  const value = Number(found[0].replaceAll(",", ""));
  const unit = { k: 1e3, M: 1e6, G: 1e9, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, min: 60, h: 3600 };
  return value * (unit[/^\s*(KiB|MiB|GiB|min|[kMGh])\b/.exec(text.slice(found.index + found[0].length))?.[1]] ?? 1);
}

/** Compare two texts as numbers where both begin with one, else as text; dashes come last. */
function compareTexts(a, b) {
  if ((a === NOTHING || a === "") !== (b === NOTHING || b === "")) return a === NOTHING || a === "" ? 1 : -1;
  const numbers = [sortValue(a), sortValue(b)];
  return numbers.includes(null) ? a.localeCompare(b) : numbers[0] - numbers[1];
}

const architectureOf = (text) => architectureNamed.get(text) ?? architectureNamed.get(text.replace(/\*$/, ""));

/** Return whether the filters show a row and a column. */
function rowIsShown(names, row) {
  return names.every((name, place) => {
    if (name === "architecture") return !architectureOf(row[place]) || isShown(architectureOf(row[place]));
    if (name === "task") return (tasksNamed.get(row[place]) ?? []).every(isTaskShown);
    return true;
  });
}
const columnIsShown = (name) =>
  architectureNamed.has(name) ? isShown(architectureNamed.get(name)) : (tasksNamed.get(name) ?? []).every(isTaskShown);

/** Draw a table into an element; it keeps its own order of rows. */
function drawTable(element, name) {
  const table = raw.tables[name];
  const names = table.columns.map((column) => column.name);
  const order = element.order ?? {};
  const group = table.group.map((title) => names.indexOf(title));
  const shown = names.map((_, place) => place).filter((place) => !group.includes(place) && columnIsShown(names[place]));
  const rows = textRows(table).filter((row) => rowIsShown(names, row));
  const groups = d3.group(rows, (row) => JSON.stringify(group.map((place) => row[place])));
  const compare = (a, b) => compareTexts(a[order.place], b[order.place]) * order.sign;
  const body = [];
  let left = element.all ? Infinity : MOST_ROWS;
  for (const of of groups.values()) {
    if (left <= 0) break;
    if (group.length) body.push(groupRow(names, group, of[0], shown.length));
    const sorted = order.sign ? [...of].sort(compare) : of;
    body.push(...sorted.slice(0, left).map((row) => bodyRow(names, shown, row)));
    left -= of.length;
  }
  const sortBy = (place) => {
    const sign = order.place !== place ? 1 : order.sign === 1 ? -1 : 0;
    element.order = sign ? { place, sign } : {};
    drawTable(element, name);
    element.querySelector(`[data-place="${place}"]`)?.focus();
  };
  const more = rows.length > MOST_ROWS && !element.all
    ? [h("button", { type: "button", class: "more", onclick: () => ((element.all = true), drawTable(element, name)) }, `Show all ${rows.length} rows`)]
    : [];
  const summary = element.querySelector(":scope > summary");
  element.replaceChildren(
    ...(summary ? [summary] : []),
    rows.length
      ? scrollBox(table.title, h("table", { class: "plain" }, headRow(names, shown, order, sortBy), h("tbody", {}, body)))
      : h("p", {}, "The filters show no row of this table."),
    ...more,
    h("p", { class: "caption" }, pretty(table.caption)),
  );
}

const textClass = (name) => [TEXT_COLUMNS.has(name) && "text", WRAPPED.has(name) && "wrapped"].filter(Boolean).join(" ");

function headRow(names, shown, order, sortBy) {
  const cell = (place) => {
    const sorted = order.place === place ? { 1: "ascending", [-1]: "descending" }[order.sign] : null;
    const button = h("button", { type: "button", class: "sort", "data-place": place, onclick: () => sortBy(place) }, names[place]);
    return h("th", { scope: "col", class: textClass(names[place]), "aria-sort": sorted }, button);
  };
  return h("thead", {}, h("tr", {}, shown.map(cell)));
}

function groupRow(names, group, row, width) {
  const [first, ...rest] = group;
  const facts = rest.filter((place) => row[place]).map((place) => h("small", {}, `${names[place]} ${pretty(row[place])}`));
  return h("tr", { class: "group" }, h("th", { scope: "rowgroup", colspan: width }, h("span", {}, row[first], facts)));
}

function bodyRow(names, shown, row) {
  const cell = (place) => {
    if (names[place] === "architecture" && architectureOf(row[place])) {
      const label = h("span", { class: "name" }, swatch(architectureOf(row[place])), h("span", {}, breakable(row[place])));
      return h("th", { scope: "row" }, label);
    }
    const chosen = row[place].startsWith("▸") ? " chosen" : "";
    return h("td", { class: `${textClass(names[place])}${chosen}` }, pretty(row[place]));
  };
  return h("tr", {}, shown.map(cell));
}
