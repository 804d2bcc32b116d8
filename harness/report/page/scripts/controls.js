// The controls: what is measured, which architectures and tasks are shown, and how plots are drawn.

/** Draw all controls. Those of architectures are also the legend of every plot. */
function drawControls(bar) {
  const select = (name, label, options) => {
    const choices = Object.entries(options).map(([value, text]) => h("option", { value, selected: state[name] === value }, text));
    return h("label", {}, label, h("select", { name, onchange: (event) => change({ [name]: event.target.value }) }, choices));
  };
  const search = (name, label) =>
    h("label", {}, label, h("input", { type: "search", name, value: state[name], placeholder: "all", oninput: (event) => change({ [name]: event.target.value }) }));
  const groups = [...new Set(report.tasks.map(({ family }) => family))].filter(Boolean);
  const titles = Object.fromEntries(Object.entries(MEASURES).map(([name, { title }]) => [name, title]));
  const seeds = h("input", { type: "checkbox", name: "seeds", checked: state.seeds === "1", onchange: (event) => change({ seeds: event.target.checked ? "1" : "" }) });
  bar.replaceChildren(
    h(
      "form",
      { class: "bar", role: "search", "aria-label": "What is shown", onsubmit: (event) => event.preventDefault() },
      select("measure", "Measure", titles),
      search("architecture", "Architectures"),
      search("task", "Tasks"),
      groups.length > 1 ? select("family", "Family of tasks", { "": "all", ...Object.fromEntries(groups.map((name) => [name, name])) }) : "",
      select("split", "Plots", { "": "as many as fit", no: "all in one", yes: "by family" }),
      h("label", { class: "check" }, seeds, "every seed"),
      h("button", { type: "button", class: "reset", onclick: () => change({ ...DEFAULTS, at: state.at }) }, "Reset"),
      h("output", { name: "count" }),
    ),
    h("details", { class: "legend", open: report.architectures.length <= 24 && innerWidth > 700 }, h("summary", {}, "Architectures: colours and filter"), h("div", { class: "families" }, families.map(familyChips))),
  );
  updateControls(bar);
  const form = bar.querySelector("form");
  const keepClear = () => document.documentElement.style.setProperty("--bar-height", `${form.offsetHeight}px`);
  new ResizeObserver(keepClear).observe(form); // sections that are gone to stay below the bar
}

const toggled = (list, item) => (list.includes(item) ? list.filter((other) => other !== item) : [...list, item]);

function familyChips(family) {
  const members = report.architectures.filter((architecture) => architecture.family === family);
  const toggle = h("button", { type: "button", class: "chip family", "data-family": family, onclick: () => change({ off: toggled(state.off, family) }) }, family);
  return h("div", { class: "chips" }, toggle, members.map(architectureChip));
}

function architectureChip(architecture) {
  const events = {
    onclick: () => change({ hide: toggled(state.hide, architecture.name) }),
    onmouseenter: () => highlight(architecture.a),
    onmouseleave: () => highlight(null),
    onfocus: () => highlight(architecture.a),
    onblur: () => highlight(null),
  };
  return h("button", { type: "button", class: "chip", "data-a": architecture.a, ...events }, nameOf(architecture));
}

/** Bring the controls up to the state without drawing them again, so that the focus stays. */
function updateControls(bar) {
  for (const field of bar.querySelectorAll("select, input")) {
    if (field.type === "checkbox") field.checked = state[field.name] === "1";
    else if (field.value !== state[field.name]) field.value = state[field.name];
  }
  for (const chip of bar.querySelectorAll("[data-a]")) chip.setAttribute("aria-pressed", isShown(report.architectures[chip.dataset.a]));
  for (const chip of bar.querySelectorAll("[data-family]")) chip.setAttribute("aria-pressed", !state.off.includes(chip.dataset.family));
  bar.querySelector("output").value =
    `${shownArchitectures().length} of ${report.architectures.length} architectures, ${shownTasks().length} of ${report.tasks.length} tasks`;
}
