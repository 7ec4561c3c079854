// What needs scrolling can be reached and scrolled by keyboard: formulas, code, tables and outputs that are larger
// than their box get a Tab stop, and lose it where there is room.
(() => {
  const BOXES = ".course-formula, pre, table, .cell_output .output, .text_html, .cell_output:has(img)";
  const NAMES = { PRE: "Code or output", TABLE: "Table" };
  const scrolls = (style) => style === "auto" || style === "scroll";

  function mark(box) {
    const style = getComputedStyle(box), wide = box.scrollWidth > box.clientWidth + 1 && scrolls(style.overflowX);
    const large = wide || (box.scrollHeight > box.clientHeight + 1 && scrolls(style.overflowY));
    const inside = box.querySelector("a[href], button, input, [tabindex]");
    if (large && !inside && !box.hasAttribute("tabindex")) {
      box.tabIndex = 0;
      box.dataset.scrolls = "";
      if (box.tagName !== "TABLE") {
        if (!box.hasAttribute("role")) box.setAttribute("role", "group");
        if (!box.hasAttribute("aria-label")) box.setAttribute("aria-label", `${NAMES[box.tagName] ?? "Formula or picture"}, larger than its box`);
      }
    } else if (!large && "scrolls" in box.dataset) {
      box.removeAttribute("tabindex");
      delete box.dataset.scrolls;
    }
  }

  const watch = new ResizeObserver((entries) => entries.forEach((entry) => mark(entry.target)));
  for (const box of document.querySelectorAll(BOXES.split(", ").map((b) => `article ${b}`).join())) watch.observe(box);
})();

// A figure begins when it is about to be seen: its script is fetched, and its data where it has much.
(() => {
  const asked = new Set();

  function start(target) {
    near.unobserve(target);
    const { script } = target.dataset;
    if (script && !asked.has(script)) {
      asked.add(script);
      document.head.append(Object.assign(document.createElement("script"), { src: script }));
    }
    if (target.localName !== "course-later") return;
    const figure = document.createElement(target.getAttribute("figure"));
    for (const { name, value } of target.attributes) if (name !== "figure") figure.setAttribute(name, value);
    figure.append(...target.childNodes);
    target.replaceWith(figure);
  }

  const near = new IntersectionObserver((entries) => entries.filter((e) => e.isIntersecting).forEach((e) => start(e.target)), { rootMargin: "1000px" });
  const figures = document.querySelectorAll("[data-script], course-later");
  figures.forEach((figure) => near.observe(figure));
  addEventListener("course:figures", () => figures.forEach(start)); // all of them at once, for paper
})();

// Code has a button that copies it, made when the code is about to be seen.
(() => {
  const drawing = (paths) => `<svg viewBox="0 0 24 24" fill="none" stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">${paths}</svg>`;
  const COPY = drawing('<rect x="9" y="9" width="11" height="11" rx="2"/><path d="M5 15a1 1 0 0 1-1-1V6a2 2 0 0 1 2-2h8a1 1 0 0 1 1 1"/>');
  const DONE = drawing('<path d="m5 13 4.5 4.5L19 8"/>');

  async function copied(code) {
    const text = code.textContent.replace(/\n$/, "");
    try { await navigator.clipboard.writeText(text); return true; } catch { // not from a secure address, or not allowed
      getSelection().selectAllChildren(code);
      const done = document.execCommand("copy");
      getSelection().removeAllRanges();
      return done;
    }
  }

  function show(button, [tip, icon, success]) {
    button.dataset.tooltip = tip;
    button.ariaLabel = tip;
    button.innerHTML = icon;
    button.classList.toggle("success", success);
  }

  const near = new IntersectionObserver((entries) => entries.filter((e) => e.isIntersecting).forEach(({ target: code }) => {
    near.unobserve(code);
    const button = Object.assign(document.createElement("button"), { type: "button", className: "copybtn o-tooltip--left" });
    show(button, ["Copy", COPY, false]);
    button.addEventListener("click", async () => {
      show(button, await copied(code) ? ["Copied", DONE, true] : ["The browser does not let the page copy", COPY, false]);
      setTimeout(() => show(button, ["Copy", COPY, false]), 2000);
    });
    code.after(button);
  }), { rootMargin: "1000px" });
  document.querySelectorAll("article div.highlight pre").forEach((code) => code.closest(".cell_output") || near.observe(code));
})();
