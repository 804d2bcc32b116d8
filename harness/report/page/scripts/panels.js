// Panels: a title over one plot, or over one small plot for each family; plots are drawn when they come into view.

const MOST_IN_ONE = 8; // architectures in one plot; more are split by family
const MOST_BANDS = 4; // bands in one plot; where there are more, only the highlighted one is drawn
const NO_DATA = "There are no data of the architectures and tasks that are shown.";
const waiting = new Map();
const observer = new IntersectionObserver(
  (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => drawNow(entry.target)),
  { rootMargin: "600px" },
);

function drawNow(element) {
  const draw = waiting.get(element);
  waiting.delete(element);
  observer.unobserve(element);
  if (draw) element.replaceChildren(draw(Math.max(180, element.clientWidth || 320)));
}

/** Return an element in which a function of the width will draw. */
function plotLater(draw, height) {
  const element = h("div", { class: "plot", style: `min-height:${height}px` });
  waiting.set(element, draw);
  observer.observe(element);
  return element;
}

/** Forget the plots of views that were drawn again. */
function forgetOld() {
  for (const element of waiting.keys()) {
    if (element.isConnected) continue;
    waiting.delete(element);
    observer.unobserve(element);
  }
}

addEventListener("beforeprint", () => [...waiting.keys()].forEach(drawNow));

const isSplit = (count) => (state.split ? state.split === "yes" : count > MOST_IN_ONE);

/** Return groups of architectures to draw together: all of them, or each family before the others in grey. */
function groupsOf(architectures) {
  if (!isSplit(architectures.length)) return [{ family: "", members: architectures, others: [] }];
  const members = d3.group(architectures, ({ family }) => family);
  return [...members].map(([family, own]) => ({ family, members: own, others: architectures.filter((x) => x.family !== family) }));
}

/**
 * Return a panel of architectures; ``draw(width, members, others)`` draws those of one plot.
 * Beside the title stands a note on ranges and chance.
 */
function panel(title, note, architectures, draw, height = 230) {
  const groups = groupsOf(architectures);
  const plots = groups.map(({ family, members, others }) => {
    const plot = plotLater((width) => draw(width, members, others), height);
    plot.classList.toggle("crowded", members.length > MOST_BANDS);
    return groups.length > 1 || family ? h("div", { class: "mini" }, h("h5", {}, family), plot) : plot;
  });
  const heading = h("h4", {}, breakable(title), note ? h("small", {}, note) : "");
  const wide = groups.length > 1 ? " split" : "";
  return h("div", { class: `panel${wide}` }, heading, h("div", { class: "minis" }, plots));
}

/** Put panels into a view, one or a list of them for each task; of many tasks only the first until asked for all. */
function showPanels(view, tasks, keys = []) {
  const legend = keys.length && tasks.length ? h("ul", { class: "keys" }, keys.map((name) => h("li", {}, keySign(name), name))) : "";
  const most = view.all ? Infinity : isSplit(shownArchitectures().length) ? 4 : 12;
  const some = tasks.slice(0, most).flat();
  const shown = some.length ? h("div", { class: "panels plots" }, some) : h("p", {}, NO_DATA);
  const showAll = () => ((view.all = true), showPanels(view, tasks, keys));
  const more = tasks.length > most ? h("button", { type: "button", class: "more", onclick: showAll }, `Show all ${tasks.length} tasks`) : "";
  view.replaceChildren(...[legend, shown, more].filter(Boolean));
}

const SIGNS = {
  chance: "M0 6H24",
  "best shortcut": "M0 6H24",
  "did not fit": "M0 6H24",
  "beyond training": "M0 6H24",
  "at training lengths (validation)": "M0 6H24",
};
const DASHES = { chance: "1.5 3", "best shortcut": "7 3", "did not fit": "4 3", "beyond training": "4 3" };

/** Return the small picture of a kind of line in a legend. */
function keySign(name) {
  const svg = d3.create("svg").attr("class", "swatch").attr("viewBox", "0 0 24 12").attr("aria-hidden", "true");
  if (name === "training range") svg.append("rect").attr("width", 24).attr("height", 12).attr("class", "range");
  else svg.append("path").attr("d", SIGNS[name]).attr("stroke", "currentColor").attr("stroke-dasharray", DASHES[name] ?? null);
  return svg.node();
}
