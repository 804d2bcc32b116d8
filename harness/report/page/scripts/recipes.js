// Ways to train: accuracy by length, a panel for each task and architecture, with one line for each recipe.

const WAY_HUES = ["#444b55", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#B8860B", "#7A5BD0", "#3AA6DD", "#A8326F", "#8F8F2E"];

WAY_HUES.forEach((hue, place) => {
  const shade = (lightness) => d3.lch(lightness, d3.lch(hue).c, d3.lch(hue).h).formatHex();
  document.documentElement.style.setProperty(`--way${place}`, `light-dark(${shade(46)}, ${shade(68)})`);
});

/** Return what a line needs to know of a recipe: its name, colour and shape, and the pair with its scores. */
function wayOf(name, place, pair) {
  const color = `var(--way${place % WAY_HUES.length})`;
  return { name, pair, a: `way${place}`, family: "", shape: place % PLAIN_SHAPES.length, color };
}

function drawRecipes(view) {
  const kind = curveMeasure();
  const panels = report.recipes.map(({ base, names, tasks: places }) => {
    if (!isTaskShown(report.tasks[places[0]])) return null;
    return shownArchitectures().map((architecture) => {
      const ways = names.map((name, i) => wayOf(name, i, key(architecture.a, places[i]))).filter(({ pair }) => pairs.get(pair)?.curves);
      const draw = (width, members, others) => lengthPlot(width, report.tasks[places[0]], kind, members, others);
      return ways.length > 1 ? panel(`${architecture.name} on ${base}`, "", ways, draw) : null;
    });
  });
  showPanels(view, panels.flat().filter(Boolean), ["training range", "chance", "best shortcut", "did not fit"]);
}
