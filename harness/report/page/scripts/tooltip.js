// One tooltip for the page, shown next to the element that the pointer or the keyboard is at.

const tip = document.getElementById("tip");

/** Show content next to a box of the window; it is moved so that it stays in view. */
function showTip(box, ...content) {
  tip.replaceChildren(...content);
  tip.hidden = false;
  const { width, height } = tip.getBoundingClientRect();
  const left = Math.max(8, Math.min(box.left, innerWidth - width - 8));
  const below = box.bottom + 6 + height < innerHeight;
  tip.style.left = `${left}px`;
  tip.style.top = `${below ? box.bottom + 6 : Math.max(8, box.top - height - 6)}px`;
}

function hideTip() {
  tip.hidden = true;
}

/** Show the tooltip of each element inside ``root`` that has the attribute, on hover and on focus. */
function tipsFor(root, attribute, contentOf) {
  const show = (event) => {
    const element = event.target.closest?.(`[${attribute}]`);
    if (!element) return hideTip();
    element.setAttribute("aria-describedby", "tip");
    showTip(element.getBoundingClientRect(), ...contentOf(element));
  };
  root.addEventListener("mouseover", show);
  root.addEventListener("focusin", show);
  root.addEventListener("mouseleave", hideTip);
  root.addEventListener("focusout", hideTip);
}

addEventListener("keydown", (event) => event.key === "Escape" && hideTip());
addEventListener("scroll", hideTip, { passive: true, capture: true });
