// A long page is laid out in pieces, so that it answers while it opens: first what is on the screen, then in idle time
// what is far below (far.mjs, page.css); all of it at once when the reader may go far. After that it is as any page.
(() => {
  const { dataset } = document.documentElement, PIECE = 150; // elements: less than 50 ms of work on a slow phone
  if (!("opening" in dataset)) return;
  const far = [...document.querySelectorAll(".course-far")], until = new AbortController();
  let next = 0;

  function open() {
    until.abort();
    delete dataset.opening;
    for (const block of far) block.style.contentVisibility = "";
  }

  function piece() {
    if (!("opening" in dataset)) return;
    for (let elements = 0; next < far.length && elements < PIECE; next++) {
      far[next].style.contentVisibility = "visible";
      elements += far[next].getElementsByTagName("*").length + 1;
    }
    document.body.getBoundingClientRect(); // lays it out now: what is drawn after it is a task of its own
    if (next < far.length) requestIdleCallback(piece, { timeout: 100 });
    else open();
  }

  // Links, the scroll bar, focus, menus of the browser, paper; and keys that find or go to the end.
  for (const name of ["pointerdown", "click", "hashchange", "focusin", "blur", "beforeprint"]) {
    addEventListener(name, open, { capture: true, passive: true, signal: until.signal });
  }
  addEventListener("keydown", (event) => {
    const end = event.key === "End";
    if (end || event.ctrlKey || event.metaKey || /^(F3|\/|')$/.test(event.key)) open();
    if (!end || event.target !== document.body || event.shiftKey) return;
    event.preventDefault(); // a smooth scroll on its way may end where it began when the page changes its height
    scrollTo(0, document.body.scrollHeight);
  }, { capture: true, signal: until.signal });
  requestIdleCallback(piece, { timeout: 1000 });
})();

// What needs scrolling can be reached and scrolled by keyboard: formulas, code, tables and outputs that are larger
// than their box get a Tab stop, and lose it where there is room.
(() => {
  const BOXES = ".course-formula, pre, table, .cell_output .output, .text_html, .cell_output:has(img)";
  const NAMES = { PRE: "Code or output", TABLE: "Table" };
  const scrolls = (style) => style === "auto" || style === "scroll";

  function isLarge(box) {
    const style = getComputedStyle(box), wide = box.scrollWidth > box.clientWidth + 1 && scrolls(style.overflowX);
    return wide || (box.scrollHeight > box.clientHeight + 1 && scrolls(style.overflowY));
  }

  function mark(box, large) {
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

  const watch = new ResizeObserver((entries) => { // all are measured before one changes
    entries.map(({ target }) => [target, isLarge(target)]).forEach(([box, large]) => mark(box, large));
  });
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

// On a phone the contents open where the reader is. The theme gives the focus to their first link, a tenth of a second after
// the press; from there it goes on to the page that is shown.
(() => {
  const side = document.querySelector(".bd-sidebar-primary");
  const here = side && [...side.querySelectorAll(".current > a")].at(-1);
  if (here) document.querySelector(".primary-toggle")?.addEventListener("click", () => setTimeout(() => {
    if (!side.contains(document.activeElement)) return; // closed, or not a menu that opens
    here.focus({ preventScroll: true });
    side.scrollTop += here.getBoundingClientRect().top - side.getBoundingClientRect().top - side.clientHeight / 3;
  }, 120));
})();
