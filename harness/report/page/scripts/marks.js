// Line charts of architectures on Observable Plot: median, band, seeds, labels at the ends, and the nearest point's text.

const LETTER = 5.9; // pixels of a letter of a name next to a line
const LABELS = [56, 132]; // least and most pixels at the right for the names of lines
const MOST_LETTERS = Math.floor((LABELS[1] - 12) / LETTER); // letters of a name next to a line
const GAP = 11; // pixels between two names

/** Return what all plots have in common; ``fill`` are the options of one plot. */
function plotOf(width, height, label, ...fill) {
  const margins = { marginLeft: 38, marginTop: 12, marginBottom: 34, marginRight: LABELS[0] };
  const options = ownTicks(Object.assign({ width, height, ...margins }, ...fill));
  const svg = Plot.plot({ style: { fontSize: "11px", overflow: "visible" }, ariaLabel: label, ...options });
  svg.setAttribute("role", "img");
  svg.addEventListener("input", () => highlight(svg.value?.a));
  svg.addEventListener("pointerleave", () => highlight(null));
  return svg;
}

/** Draw all ticks of logarithmic axes, whose labels Plot would thin out. */
function ownTicks(options) {
  const marks = [];
  for (const [name, axis, grid] of [["x", Plot.axisX, Plot.gridX], ["y", Plot.axisY, Plot.gridY]]) {
    if (options[name]?.type !== "log") continue;
    const { ticks, tickFormat, grid: hasGrid, label, labelAnchor, labelArrow, ...scale } = options[name];
    if (hasGrid) marks.push(grid(ticks));
    marks.push(axis(ticks, { text: (tick) => tickFormat(tick), label, labelAnchor, labelArrow }));
    options = { ...options, [name]: { ...scale, axis: null } };
  }
  return { ...options, marks: [...marks, ...options.marks] };
}

/** Return the margin at the right that the names of some architectures need, out of a width. */
const labelMargin = (architectures, width) =>
  Math.min(LABELS[1], 0.36 * width, Math.max(LABELS[0], 12 + LETTER * d3.max(architectures, ({ name }) => name.length)));

/** Move positions apart so that names do not overlap; all stay between ``top`` and ``bottom`` if there is room. */
function spread(positions, top, bottom) {
  const order = d3.range(positions.length).sort((i, j) => positions[i] - positions[j]);
  const moved = [...positions];
  order.forEach((i, place) => (moved[i] = Math.max(moved[i], place ? moved[order[place - 1]] + GAP : top)));
  let limit = bottom;
  for (const i of order.toReversed()) {
    moved[i] = Math.min(moved[i], limit);
    limit = moved[i] - GAP;
  }
  return moved;
}

/** Return as many items as there is room for, the first, the last and others at equal distances between them. */
const thinned = (items, room) =>
  items.length <= room ? items : d3.range(room).map((place) => items[Math.round((place * (items.length - 1)) / Math.max(1, room - 1))]);

/**
 * Draw the names of lines at the right edge, at the height of their last points, moved apart.
 *
 * Where there is no room for all names, the lowest place says how many are left out; the tooltip has them.
 */
function endLabels(lines) {
  const ends = lines.filter(({ points }) => points.length).map(({ architecture, points }) => ({ architecture, ...points.at(-1) }));
  const render = (index, scales, values, dimensions, context, next) => {
    const [top, bottom] = [dimensions.marginTop, dimensions.height - dimensions.marginBottom];
    const room = 1 + Math.floor((bottom - top) / GAP);
    const isFull = index.length > room;
    const shown = thinned(d3.sort(index, (i) => values.y[i]), isFull ? room - 1 : room);
    const places = spread(shown.map((i) => values.y[i]), top, isFull ? bottom - GAP : bottom);
    const y = Float64Array.from(values.y);
    shown.forEach((i, place) => (y[i] = places[place]));
    const group = next(shown, scales, { ...values, y }, dimensions, context);
    [...group.children].forEach((text, place) => text.classList.add(`arch-${ends[shown[place]].architecture.a}`));
    if (isFull) group.append(moreLabel(index.length - shown.length, dimensions.width - dimensions.marginRight, bottom));
    return group;
  };
  const fill = (end) => end.architecture.color;
  return Plot.text(ends, {
    ...{ y: "y", frameAnchor: "right", textAnchor: "start", dx: 8, text: (end) => short(end.architecture.name, MOST_LETTERS), fill },
    ...{ fontSize: 10.5, render },
  });
}

/** Return the text that says how many names are left out. */
const moreLabel = (count, x, y) =>
  d3.create("svg:text").attr("transform", `translate(${x},${y})`).attr("dy", "0.32em").attr("fill", "var(--muted)").text(`and ${count} more`).node();

/** Return the marks of one line: its band, its seeds, the line, its points, and a bar where it ends early. */
function lineMarks({ architecture, points, dashed, hollow, seeds = [], ended, dots = true, thin = false }) {
  const color = architecture.color;
  const common = { x: "x", y: "y", className: `arch-${architecture.a}` };
  const fill = hollow ? "var(--paper)" : color;
  const band = points.filter(({ low }) => known(low));
  return [
    band.length ? Plot.areaY(band, { ...common, y: undefined, y1: "low", y2: "high", fill: color, fillOpacity: 0.14 }) : null,
    ...seeds.map((seed) => Plot.line(seed, { ...common, stroke: color, strokeWidth: thin ? 1 : 0.8, strokeOpacity: thin ? 0.85 : 0.5 })),
    Plot.line(points, { ...common, stroke: color, strokeWidth: 1.6, strokeDasharray: dashed ? "4 3" : null }),
    dots ? Plot.dot(points, { ...common, stroke: color, fill, r: 2.8, symbol: PLAIN_SHAPES[architecture.shape] }) : null,
    ended ? Plot.text(points.slice(-1), { ...common, text: () => "|", fill: color, fontSize: 14, fontWeight: 700 }) : null,
  ];
}

/** Return the marks of a chart: what lies below, lines in grey, lines in colour, their names, and the tooltip. */
function lineChart(lines, others, below = []) {
  const grey = others.flatMap(({ points, seeds = [] }) => [points, ...seeds]).filter((points) => points.length);
  const nearest = lines.flatMap(({ architecture, points }) => points.map((point) => ({ a: architecture.a, ...point })));
  return [
    ...below,
    ...grey.map((points) => Plot.line(points, { x: "x", y: "y", stroke: "currentColor", strokeOpacity: 0.14, strokeWidth: 1 })),
    ...lines.flatMap(lineMarks),
    endLabels(lines),
    Plot.tip(nearest, Plot.pointer({ x: "x", y: "y", title: "title", maxRadius: 60 })),
  ].filter(Boolean);
}

/** Return ticks out of ``values`` that are at least a share of the axis apart; the first ones are preferred. */
function someTicks(values, log, share = 0.12) {
  const place = log ? Math.log : Number;
  const [low, high] = d3.extent(values);
  const least = Math.max(1e-9, share * (place(high) - place(low)));
  const ticks = [];
  for (const value of values) if (ticks.every((tick) => Math.abs(place(value) - place(tick)) >= least)) ticks.push(value);
  return ticks;
}

/** Return few ticks of a logarithmic axis: powers of ten, or 1, 2 and 5 times them where there are few powers. */
function logTicks([low, high], most = 6) {
  const powers = d3.range(Math.floor(Math.log10(low)), Math.ceil(Math.log10(high)) + 1);
  const inside = (factors) => powers.flatMap((power) => factors.map((factor) => factor * 10 ** power)).filter((x) => x >= low * 0.999 && x <= high * 1.001);
  const fine = [[1, 2, 3, 4, 5, 6, 8], [1, 2, 5], [1, 3], [1]].map(inside).find((ticks) => ticks.length <= most);
  return fine ?? inside([1]).filter((_, place, all) => place % Math.ceil(all.length / most) === 0);
}

/** Return ticks of an axis of bytes: powers of two. */
function byteTicks([low, high], most = 6) {
  const powers = d3.range(Math.ceil(Math.log2(low)), Math.floor(Math.log2(high)) + 1);
  return powers.filter((power) => power % Math.max(1, Math.ceil(powers.length / most)) === 0).map((power) => 2 ** power);
}

/** Return the axis of some lengths or rates; it is logarithmic where they span more than a factor of eight. */
function gridAxis(values, label, preferred = []) {
  const [low, high] = d3.extent(values);
  const log = high > 8 * low && low > 0;
  const margin = log ? (high / low) ** 0.03 : 0.03 * Math.max(high - low, 1);
  const domain = log ? [low / margin, high * margin] : [low - margin, high + margin];
  const ticks = someTicks([high, ...preferred.filter((value) => values.includes(value)), low, ...values.toReversed()], log).sort(d3.ascending);
  return { type: log ? "log" : "linear", domain, ticks, tickFormat: (value) => `${value}`, label, labelAnchor: "center", labelArrow: "none", grid: false };
}

/** Return the axis of a score; 1 is not at the edge. */
const scoreAxis = (label, low = -0.04) => ({ domain: [low, 1.05], ticks: [0, 0.25, 0.5, 0.75, 1], tickFormat: (v) => `${v}`, label, labelArrow: "none", grid: true });

/** Return the axis of training steps. */
const stepAxis = { label: "training steps", labelAnchor: "center", labelArrow: "none", ticks: 4, tickFormat: countText };
