// Colours and shapes: one colour for each family, one shade and shape for each of its architectures.

// Okabe and Ito's colours, which colour-blind readers can tell apart, and grey for anything else.
const HUES = {
  recurrent: "#0072B2",
  attention: "#D55E00",
  linear: "#009E73",
  seq2seq: "#CC79A7",
  convolution: "#B8860B",
  memory: "#7A5BD0",
  other: "#7a7f87",
};
const SPARE = ["#3AA6DD", "#A8326F", "#8F8F2E"];
const SHAPES = [d3.symbolCircle, d3.symbolSquare2, d3.symbolTriangle, d3.symbolDiamond2, d3.symbolCross, d3.symbolStar];
const PLAIN_SHAPES = SHAPES.map((shape) => ({ draw: shape.draw }));

const families = [...new Set(report.architectures.map(({ family }) => family))].sort(
  d3.ascending, // the order in the controls and in plots by family
);
const spare = families.filter((family) => !(family in HUES));
const hueOf = (family) => HUES[family] ?? SPARE[spare.indexOf(family) % SPARE.length];

/** Give each architecture its shade: families with more members use a wider range of lightness. */
for (const family of families) {
  const members = report.architectures.filter((architecture) => architecture.family === family);
  members.forEach((architecture, place) => {
    const move = members.length < 2 ? 0 : (place / (members.length - 1) - 0.5) * Math.min(34, 9 * members.length);
    const shade = (lightness) => {
      const color = d3.lch(hueOf(family));
      return d3.lch(lightness + move, color.c * 0.95, color.h).formatHex();
    };
    architecture.shape = place % PLAIN_SHAPES.length;
    const names = `--a${architecture.a}`;
    document.documentElement.style.setProperty(names, `light-dark(${shade(46)}, ${shade(66)})`);
    architecture.color = `var(${names})`;
  });
}

/** Return a small picture of the line and the point of an architecture. */
function swatch({ color, shape }) {
  const path = d3.symbol(PLAIN_SHAPES[shape], 42)();
  const svg = d3.create("svg").attr("class", "swatch").attr("viewBox", "0 0 24 12").attr("aria-hidden", "true");
  svg.append("path").attr("d", "M0 6H24").style("stroke", color).style("stroke-width", 1.6);
  svg.append("path").attr("d", path).attr("transform", "translate(12 6)").style("fill", color);
  return svg.node();
}

const nameOf = (architecture) => h("span", { class: "name" }, swatch(architecture), h("span", {}, breakable(architecture.name)));

/** Let one architecture stand out in all plots and in the matrix; null ends it. */
const rule = document.head.appendChild(document.createElement("style"));
function highlight(a) {
  rule.textContent =
    a === null || a === undefined
      ? ""
      : `.plots [class*="arch-"]:not(.arch-${a}) { opacity: 0.12; } .plots .arch-${a} { opacity: 1; stroke-width: 2.6; }` +
        `.plots .arch-${a}[aria-label="area"] { opacity: 1 !important; } .plots text.arch-${a} { font-weight: 700; stroke-width: 0; } .matrix tr[data-a="${a}"] th { font-weight: 700; }`;
}
