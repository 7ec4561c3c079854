// What needs scrolling can be reached and scrolled by keyboard: formulas, code, tables and outputs that are wider
// than their box get a Tab stop, and lose it where there is room.
(() => {
  const BOXES = ".course-formula, pre, table, .cell_output .output, .text_html, .cell_output:has(img)";
  const NAMES = { PRE: "Code or output", TABLE: "Table" };

  function mark(box) {
    const wide = box.scrollWidth > box.clientWidth + 1 && getComputedStyle(box).overflowX !== "visible";
    const inside = box.querySelector("a[href], button, input, [tabindex]");
    if (wide && !inside && !box.hasAttribute("tabindex")) {
      box.tabIndex = 0;
      box.dataset.scrolls = "";
      if (box.tagName !== "TABLE") {
        if (!box.hasAttribute("role")) box.setAttribute("role", "group");
        if (!box.hasAttribute("aria-label")) box.setAttribute("aria-label", `${NAMES[box.tagName] ?? "Formula or picture"}, wider than the page`);
      }
    } else if (!wide && "scrolls" in box.dataset) {
      box.removeAttribute("tabindex");
      delete box.dataset.scrolls;
    }
  }

  const watch = new ResizeObserver((entries) => entries.forEach((entry) => mark(entry.target)));
  for (const box of document.querySelectorAll(BOXES.split(", ").map((b) => `article ${b}`).join())) watch.observe(box);
})();

// A figure with much data begins when it is about to be seen.
(() => {
  const near = new IntersectionObserver((entries) => entries.filter((e) => e.isIntersecting).forEach(({ target }) => {
    near.unobserve(target);
    const figure = document.createElement(target.getAttribute("figure"));
    for (const { name, value } of target.attributes) if (name !== "figure") figure.setAttribute(name, value);
    figure.append(...target.childNodes);
    target.replaceWith(figure);
  }), { rootMargin: "1000px" });
  document.querySelectorAll("course-later").forEach((figure) => near.observe(figure));
})();
