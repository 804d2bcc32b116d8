// The start: draw every view, and draw those again that a change concerns.

const FILTERS = ["architecture", "task", "family", "hide", "off"];
const VIEWS = {
  matrix: { draw: drawMatrix, keys: [...FILTERS, "measure", "sort", "pair"] },
  pair: { draw: drawPair, keys: ["pair"] },
  lengths: { draw: drawLengths, keys: [...FILTERS, "measure", "seeds", "split"] },
  rates: { draw: drawRates, keys: [...FILTERS, "split"] },
  steps: { draw: drawSteps, keys: FILTERS },
  loss: { draw: drawLosses, keys: [...FILTERS, "split"] },
  checkpoints: { draw: drawCheckpoints, keys: [...FILTERS, "split"] },
  recipes: { draw: drawRecipes, keys: [...FILTERS, "measure", "seeds", "split"] },
  errors: { draw: drawErrors, keys: [...FILTERS, "errors"] },
  cost: { draw: drawCost, keys: [...FILTERS, "measure", "split"] },
  programs: { draw: drawPrograms, keys: [...FILTERS, "split"] },
  compare: { draw: drawRanks, keys: FILTERS },
  two: { draw: drawTwo, keys: ["task", "family", "measure", "seeds", "two"] },
  attention: { draw: drawAttention, keys: FILTERS },
};

const controls = document.getElementById("controls");

/** Draw the views and the open tables that depend on some keys of the state. */
function redraw(keys) {
  const concerns = (own) => own.some((name) => keys.includes(name));
  for (const view of document.querySelectorAll("[data-view]")) if (concerns(VIEWS[view.dataset.view].keys)) VIEWS[view.dataset.view].draw(view);
  if (concerns(FILTERS)) {
    for (const element of document.querySelectorAll("[data-table]")) refreshTable(element);
    for (const item of document.querySelectorAll("[data-finding]")) item.hidden = !(tasksNamed.get(item.dataset.finding) ?? []).some(isTaskShown);
  }
  forgetOld();
}

/** Draw a table that is open; a folded one is drawn when it is opened. */
function refreshTable(element) {
  if (element.open === false) element.replaceChildren(element.querySelector("summary"));
  else drawTable(element, element.dataset.table);
}

function goTo(anchor, options) {
  document.getElementById(anchor)?.scrollIntoView(options);
}

drawControls(controls);
for (const element of document.querySelectorAll("details[data-table]"))
  element.addEventListener("toggle", () => element.open && element.children.length === 1 && drawTable(element, element.dataset.table));
redraw(Object.keys(DEFAULTS));
onChange((keys) => {
  updateControls(controls);
  redraw(keys);
  if (keys.includes("pair") && !keys.includes("at")) goTo("pair", { block: "nearest" });
  if (keys.includes("at")) goTo(state.at);
});

// Links to sections keep the rest of the state.
document.addEventListener("click", (event) => {
  const link = event.target.closest('a[href^="#at="]');
  if (!link) return;
  event.preventDefault();
  change({ at: link.hash.slice(4) });
});
if (state.at) goTo(state.at);
document.documentElement.dataset.ready = "yes";
