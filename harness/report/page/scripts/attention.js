// Attention and alignment maps: one square for each weight, darker for more, grouped by pair.

const FIRST_LETTER = 48; // the letter of weight zero; 63 more letters follow in the order of their codes
const SHADES = 16;
const MOST_TOKENS = 48;

function drawAttention(view) {
  const maps = d3.group(report.attention, (map) => key(map.a, map.t));
  const groups = [...maps.values()].filter(([{ a, t }]) => isShown(report.architectures[a]) && isTaskShown(report.tasks[t]));
  const figures = groups.map((group) => {
    const title = h("h4", {}, nameOf(report.architectures[group[0].a]), h("small", {}, `on ${report.tasks[group[0].t].name}`));
    return h("div", { class: "pair-maps" }, title, h("div", { class: "maps" }, group.map(mapFigure)));
  });
  view.replaceChildren(...(figures.length ? figures : [h("p", {}, NO_DATA)]));
}

function mapFigure(map) {
  const height = map.weights.length / map.width;
  const figure = h("figure", {}, plotLater(() => mapPicture(map, height), 60 + 9 * height), h("figcaption", {}, map.name));
  return figure;
}

/** Return the picture of a map: a path for each shade, and tokens along its sides where they are legible. */
function mapPicture(map, height) {
  const size = 11;
  const [left, top] = [tokenSpace(map.rows), tokenSpace(map.columns)];
  const svg = d3.create("svg").attr("viewBox", `0 0 ${left + size * map.width + 4} ${top + size * height + 18}`);
  svg.attr("class", "map").attr("width", left + size * map.width + 4).attr("role", "img");
  svg.attr("aria-label", `${map.name}: ${height} answered positions by ${map.width} positions`);
  const squares = svg.append("g").attr("transform", `translate(${left} ${top})`);
  squares.append("rect").attr("width", size * map.width).attr("height", size * height).attr("class", "map-ground");
  const paths = Array.from({ length: SHADES + 1 }, () => "");
  [...map.weights].forEach((letter, place) => {
    const level = Math.round((SHADES * (letter.charCodeAt(0) - FIRST_LETTER)) / 63);
    if (level) paths[level] += `M${size * (place % map.width)} ${size * Math.floor(place / map.width)}h${size}v${size}h-${size}z`;
  });
  paths.forEach((d, level) => d && squares.append("path").attr("d", d).attr("fill-opacity", level / SHADES));
  addTokens(svg, map, left, top, size);
  svg.append("text").attr("x", left).attr("y", top + size * height + 13).text(`darkest ${map.top.toPrecision(2)}`);
  squares.on("mousemove", (event) => showWeight(event, map, squares.node(), size)).on("mouseleave", hideTip);
  return svg.node();
}

const tokenSpace = (tokens) => (legible(tokens) ? 6 + 6.2 * d3.max(tokens, (token) => token.length) : 4);
const legible = (tokens) => tokens.length > 0 && tokens.length <= MOST_TOKENS;

function addTokens(svg, map, left, top, size) {
  const add = (x, y, token, turned) =>
    svg.append("text").attr("text-anchor", turned ? "start" : "end").text(token)
      .attr("transform", `translate(${x} ${y})${turned ? " rotate(-90)" : ""}`);
  if (legible(map.rows)) map.rows.forEach((token, row) => add(left - 3, top + size * (row + 0.8), token, false));
  if (legible(map.columns)) map.columns.forEach((token, column) => add(left + size * (column + 0.8), top - 3, token, true));
}

/** Say the weight under the pointer. */
function showWeight(event, map, squares, size) {
  const [x, y] = d3.pointer(event, squares);
  const [column, row] = [Math.floor(x / size), Math.floor(y / size)];
  const letter = map.weights[row * map.width + column];
  if (column < 0 || column >= map.width || !letter) return hideTip();
  const weight = ((letter.charCodeAt(0) - FIRST_LETTER) / 63) * map.top;
  const names = `position ${row + 1} (${map.rows[row] ?? "?"}) attends to position ${column + 1} (${map.columns[column] ?? "?"})`;
  showTip({ left: event.clientX + 8, top: event.clientY - 8, bottom: event.clientY + 8 }, h("p", {}, `${names}: ${weight.toFixed(2)}`));
}
