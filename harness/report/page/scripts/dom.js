// Elements. Text is always set as text, never as HTML, so no record can add an element.

/** Return an element with attributes, listeners (keys that begin with "on") and children. */
function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

/** Return the pieces of a label with a possible line break after each mark. */
function breakable(label) {
  return label.split(/(?<=[:,_])/).flatMap((piece, place) => (place ? [h("wbr"), piece] : [piece]));
}

/** Return a box that scrolls sideways, and that the keyboard can reach. */
const scrollBox = (label, ...children) =>
  h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": label }, ...children);
