// Live pages: a Run button under each code cell. Python (Pyodide) runs in a worker, which the first Run starts;
// before that nothing is fetched. What a reader types is kept in this browser, for this page, until Reset.
(() => {
  const HERE = new URL(".", document.currentScript.src);
  const KEY = `course:live:${location.pathname}`;
  const MB = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
  const RUNTIME = 13e6; // bytes of Pyodide itself, unpacked

  function make(name, fields = {}, ...children) {
    const element = Object.assign(document.createElement(name), fields);
    element.append(...children);
    return element;
  }

  // ---- the cells -------------------------------------------------------------------------------------------

  const blocks = [...document.querySelectorAll("div.cell")].filter((cell) => cell.querySelector(".cell_input pre"));
  if (!blocks.length) return;
  const textOf = (pre) => pre.textContent.replace(/\n$/, "");
  const seen = new Map();
  const cells = blocks.map((root, index) => {
    const pre = root.querySelector(".cell_input pre"), source = textOf(pre), tag = (name) => root.classList.contains(`tag_${name}`);
    const times = seen.get(source) ?? 0;
    seen.set(source, times + 1);
    return {
      root, pre, source, index, number: index + 1, input: root.querySelector(".cell_input"), code: source, key: `${hash(source)}-${times}`,
      original: null, output: root.querySelector(".cell_output"),
      stored: root.querySelector(".cell_output"), torch: tag("torch"), check: tag("check"), summary: tag("check-summary"), ran: false,
    };
  });

  function hash(text) { // FNV-1a: names a cell by what it said before anyone edited it
    let h = 0x811c9dc5;
    for (const byte of new TextEncoder().encode(text)) h = Math.imul(h ^ byte, 0x01000193) >>> 0;
    return h.toString(36);
  }

  // ---- what the reader typed -------------------------------------------------------------------------------

  function stored() {
    try { return JSON.parse(localStorage.getItem(KEY)) ?? {}; } catch { return {}; }
  }
  function keep(change) {
    const all = stored();
    change(all);
    try {
      if (Object.keys(all).length) localStorage.setItem(KEY, JSON.stringify(all));
      else localStorage.removeItem(KEY);
    } catch {
      announce("This browser keeps nothing: your changes are gone when you leave the page.");
    }
  }

  // ---- the page's own bar ------------------------------------------------------------------------------------

  const voice = make("p", { className: "live-voice" });
  voice.setAttribute("role", "status");
  const announce = (text) => { voice.textContent = text; };
  const bar = document.querySelector(".live-page"), [words, all] = bar.children; // tools/web/live.mjs puts them there
  all.disabled = false;
  const clear = make("button", { type: "button", className: "live-button", textContent: "Reset page", hidden: true });

  function unable() {
    if (location.protocol === "file:") return "from a file: open the site from a web server (make serve)";
    if (typeof Worker === "undefined") return "in this browser, which has no workers";
    if (typeof WebAssembly === "undefined") return "in this browser, which has no WebAssembly";
    return "";
  }
  const why = unable();
  if (why) {
    bar.classList.add("live-unable");
    for (const empty of [all, ...document.querySelectorAll(".live-bar, .live-skip")]) empty.remove();
    words.textContent = `The code on this page cannot run ${why}. Everything reads as it is, or open the page in Colab (the rocket above).`;
    return;
  }
  bar.append(clear, voice);
  all.onclick = () => runTo(cells.length - 1, true);
  clear.onclick = () => {
    const count = Object.keys(stored()).length;
    if (count && !confirm(`Discard your changes to ${count} ${count === 1 ? "cell" : "cells"} of this page?`)) return;
    keep((kept) => Object.keys(kept).forEach((key) => delete kept[key]));
    document.querySelector(".live-old-edits")?.remove();
    if (worker) stop("");
    cells.forEach(reset);
    announce("The page is as it was.");
  };

  // ---- a cell's bar ------------------------------------------------------------------------------------------

  const button = (text, label, onclick) => {
    const made = make("button", { type: "button", className: "live-button", textContent: text, onclick });
    made.setAttribute("aria-label", label);
    return made;
  };
  for (const cell of cells) {
    cell.bar = cell.input.querySelector(".live-bar");
    cell.status = make("span", { className: "live-status" });
    if (cell.torch) {
      cell.status.textContent = "This cell needs PyTorch, which does not run in a browser. Nothing below depends on it.";
      cell.bar.append(cell.status);
    } else {
      const n = cell.number;
      cell.run = button("Run", `Run cell ${n}`, () => { if (!busy(cell)) runTo(cell.index); });
      cell.run.classList.add("live-run");
      cell.edit = button("Edit", `Edit cell ${n}`, () => edit(cell));
      cell.stop = button("Stop", `Stop cell ${n}`, () => stop());
      cell.reset = button("Reset", `Reset cell ${n}: its code and output as they were`, () => {
        keep((kept) => delete kept[cell.key]);
        reset(cell);
        cell.run.focus();
      });
      cell.stop.hidden = cell.reset.hidden = true;
      cell.bar.append(cell.run, cell.stop, cell.edit, cell.reset, make("span", { className: "live-number", textContent: `cell ${n}` }), cell.status);
      cell.pre.addEventListener("click", (event) => {
        if (!String(getSelection())) edit(cell, offset(cell.pre, event));
      });
    }
  }

  // Not `disabled`: a button that becomes so loses the focus, and with it the place of who works by keyboard.
  const busy = (cell) => cell.run.hasAttribute("aria-disabled");

  function say(cell, text, ...more) {
    cell.status.replaceChildren(text, ...more);
  }

  function changed(cell) {
    const differs = cell.code !== cell.source;
    cell.root.classList.toggle("live-edited", differs);
    cell.reset.hidden = !differs && cell.output === cell.stored;
    clear.hidden = cells.every((other) => !other.reset || other.reset.hidden);
  }

  function reset(cell) {
    if (cell.torch) return;
    cell.code = cell.source;
    cell.ran = false;
    if (cell.area) cell.area.value = cell.source;
    if (cell.original) cell.pre.replaceChildren(...cell.original);
    cell.original = null;
    if (cell.output !== cell.stored) {
      cell.output.remove();
      if (cell.stored) cell.place.append(cell.stored);
      cell.output = cell.stored;
    }
    cell.output?.classList.remove("live-stale");
    say(cell, "");
    changed(cell);
  }

  // ---- the editor: a text area over the colored code ---------------------------------------------------------

  function offset(pre, event) { // which character was clicked
    const at = document.caretPositionFromPoint?.(event.clientX, event.clientY);
    const range = at ? null : document.caretRangeFromPoint?.(event.clientX, event.clientY);
    const [node, count] = at ? [at.offsetNode, at.offset] : range ? [range.startContainer, range.startOffset] : [null, 0];
    if (!node || !pre.contains(node)) return null;
    const before = document.createRange();
    before.setStart(pre, 0);
    before.setEnd(node, count);
    return before.toString().length;
  }

  function edit(cell, at = null) {
    if (!cell.area) {
      const style = getComputedStyle(cell.pre), area = make("textarea", { className: "live-area", value: cell.code, spellcheck: false, wrap: "off" });
      for (const [name, value] of [["autocapitalize", "off"], ["autocomplete", "off"], ["autocorrect", "off"]]) area.setAttribute(name, value);
      area.setAttribute("aria-label", `Code of cell ${cell.number}. Shift and Enter run it, Escape leaves it.`);
      for (const name of ["fontFamily", "fontSize", "lineHeight", "letterSpacing", "tabSize", "padding", "borderWidth"]) area.style[name] = style[name];
      area.addEventListener("input", () => typed(cell));
      area.addEventListener("keydown", (event) => keys(cell, event));
      area.addEventListener("scroll", () => { cell.pre.scrollLeft = area.scrollLeft; });
      cell.pre.parentElement.classList.add("live-editor");
      cell.pre.setAttribute("aria-hidden", "true");
      cell.pre.removeAttribute("tabindex");
      cell.pre.after(area);
      cell.area = area;
    }
    cell.area.focus({ preventScroll: at !== null });
    const place = at ?? cell.area.value.length;
    cell.area.setSelectionRange(place, place);
    cell.area.scrollLeft = cell.pre.scrollLeft;
  }

  function typed(cell) {
    cell.code = cell.area.value;
    cell.ran = false;
    color(cell);
    keep((kept) => {
      if (cell.code === cell.source) delete kept[cell.key];
      else kept[cell.key] = cell.code;
    });
    say(cell, cell.code === cell.source ? "" : "changed, kept in this browser");
    changed(cell);
  }

  function keys(cell, event) {
    const area = cell.area;
    const insert = (text) => { event.preventDefault(); document.execCommand("insertText", false, text); };
    if (event.isComposing) return;
    if (event.key === "Enter" && (event.shiftKey || event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      runTo(cell.index);
    } else if (event.key === "Escape") {
      event.preventDefault();
      (busy(cell) ? cell.stop : cell.run).focus();
    } else if (event.key === "Enter") { // the next line begins where this one does, or deeper after a colon
      const line = area.value.slice(0, area.selectionStart).split("\n").pop();
      insert(`\n${/^ */.exec(line)[0]}${/:\s*(#.*)?$/.test(line) ? "    " : ""}`);
    } else if (event.key === "Tab" && !event.ctrlKey && !event.altKey) {
      indent(area, event);
    }
  }

  function indent(area, event) {
    event.preventDefault();
    const { value, selectionStart: from, selectionEnd: to } = area, start = value.lastIndexOf("\n", from - 1) + 1;
    if (from === to && !event.shiftKey) {
      document.execCommand("insertText", false, " ".repeat(4 - ((from - start) % 4)));
      return;
    }
    const lines = value.slice(start, to).split("\n");
    const moved = lines.map((line) => (event.shiftKey ? line.replace(/^ {1,4}/, "") : line && `    ${line}`)).join("\n");
    area.setSelectionRange(start, to);
    document.execCommand("insertText", false, moved);
    if (from !== to) area.setSelectionRange(start, start + moved.length);
    else area.setSelectionRange(...Array(2).fill(Math.max(start, from + moved.length - (to - start))));
  }

  // Colors for edited code: the classes that the page's own code has.
  const TOKENS = [
    ["c1", /#.*/], ["s2", /[rbfu]{0,2}("""[^]*?(?:"""|$)|'''[^]*?(?:'''|$)|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?)/],
    ["k", /\b(?:and|as|assert|break|class|continue|def|del|elif|else|except|finally|for|from|global|if|import|in|is|lambda|match|nonlocal|not|or|pass|raise|return|try|while|with|yield)\b/],
    ["kc", /\b(?:True|False|None)\b/], ["nb", /\b(?:abs|all|any|bool|dict|enumerate|float|int|isinstance|len|list|map|max|min|print|range|repr|reversed|round|set|sorted|str|sum|tuple|type|zip)\b/],
    ["mi", /\b\d[\d_]*(?:\.\d*)?(?:e[+-]?\d+)?\b/], ["n", /\w+/], ["o", /[-+*/%@=<>!&|^~]+/],
  ];
  const TOKEN = new RegExp(TOKENS.map(([name, rule]) => `(?<${name}>${rule.source})`).join("|"), "gi");
  function color(cell) {
    const parts = [];
    let end = 0;
    for (const match of cell.code.matchAll(TOKEN)) {
      const name = Object.keys(match.groups).find((key) => match.groups[key] !== undefined);
      parts.push(cell.code.slice(end, match.index), make("span", { className: name, textContent: match[0] }));
      end = match.index + match[0].length;
    }
    cell.original ??= [...cell.pre.childNodes];
    cell.pre.replaceChildren(...parts, `${cell.code.slice(end)}\n`);
  }

  // ---- Python --------------------------------------------------------------------------------------------------

  let worker = null, starting = null, current = null, queue = [], id = 0, interrupt = null;

  function start() {
    if (starting) return starting;
    starting = new Promise((resolve, reject) => {
      interrupt = self.crossOriginIsolated && typeof SharedArrayBuffer !== "undefined" ? new Uint8Array(new SharedArrayBuffer(1)) : null;
      const file = new URL("live-worker.mjs", HERE);
      let modules = false; // a browser that knows module workers asks for the type
      worker = new Worker(file, { get type() { modules = true; return "module"; } });
      const mine = worker;
      let up = false;
      worker.onmessage = ({ data }) => {
        if (worker !== mine) return;
        if (data.type === "ready") { up = true; resolve(data); }
        else if (data.type === "fatal") reject(new Error(data.text));
        else heard(data);
      };
      worker.onerror = (event) => {
        if (worker !== mine) return;
        if (up) current?.done({ type: "dead", text: event.message || "no reason given" });
        else if (!modules) reject(unloaded("This browser is too old to run Python: its workers load no modules.", event.message));
        else if (event.message) reject(new Error(event.message));
        else { // no network, or a rule that forbids workers
          fetch(file).then((answer) => {
            if (!answer.ok) throw new Error(`${answer.status} for ${file.pathname}`);
            reject(unloaded("Python could not be started: the browser blocks the page's worker.", "a rule of the site, or an extension of the browser"));
          }).catch(reject);
        }
      };
      worker.postMessage({ type: "start", interrupt });
    });
    return starting;
  }

  const unloaded = (said, text) => Object.assign(new Error(text || ""), { said });

  function forget() { // the worker is gone, and with it all that cells computed
    worker?.terminate();
    worker = starting = null;
    for (const cell of cells) cell.ran = false;
  }

  function stop(text = "Stopped. Python starts anew at the next Run, and runs the cells above again.") {
    queue = [];
    const running = current;
    if (interrupt && running?.started) {
      interrupt[0] = 2; // what Ctrl+C does in a terminal
      setTimeout(() => { if (current === running) kill(running, text); }, 2000);
    } else {
      kill(running, text);
    }
  }
  function kill(running, text) {
    forget();
    running?.done({ type: "stopped", text });
  }

  function heard(data) {
    if (data.type === "load") return loading(data);
    if (data.type === "points") {
      const { exercise, task, points, of } = data;
      document.dispatchEvent(new CustomEvent("course:points", { detail: { exercise, task, points, of } }));
      return;
    }
    if (!current || data.id !== current.id) return;
    if (data.type === "out") print(current.cell, data);
    else if (data.type === "running") current.started = performance.now();
    else current.done(data);
  }

  let what = "Python";
  function loading(data) {
    if (data.what) what = data.what;
    if (!current || current.started) return;
    const size = what === "Python" ? `${MB(data.bytes)} of about ${MB(RUNTIME)}` : `${MB(data.bytes)} so far`;
    tellBoth(what === "Python" && data.bytes > 0.97 * RUNTIME ? "Starting Python" : `Loading ${what}: ${size}`);
    if (data.what) announce(`Loading ${what}`);
  }
  function tellBoth(text) {
    say(current.cell, text);
    if (current.target !== current.cell) say(current.target, `First what stands above. Cell ${current.cell.number}: ${text}`);
  }

  // ---- running ---------------------------------------------------------------------------------------------------

  async function runTo(index, everything = false) {
    const target = cells.slice(0, index + 1).findLast((cell) => !cell.torch);
    const needed = cells.slice(0, target.index).filter((cell) => !cell.torch && !cell.ran && (!cell.check || everything || target.summary));
    target.ran = false;
    const idle = !current && !queue.length;
    for (const cell of [...needed, target]) {
      if (!queue.some((job) => job.cell === cell) && (current?.cell !== cell || cell === target)) queue.push({ cell, target });
    }
    if (!idle) return say(target, "waits for the cell that runs");
    while (queue.length) {
      const { cell, target: goal } = queue.shift();
      if (cell.ran && cell !== goal) continue;
      if (!await run(cell, goal)) {
        queue = [];
        if (cell !== goal) {
          const go = make("button", { type: "button", className: "live-link", textContent: `cell ${cell.number}` });
          go.onclick = () => { cell.root.scrollIntoView({ block: "center" }); cell.run.focus(); };
          say(goal, "Not run: look at ", go, " above.");
        }
      }
    }
  }

  function run(cell, target) {
    return new Promise((resolve) => {
      const fold = cell.run.closest("details");
      const job = { id: ++id, cell, target, started: 0, done };
      current = job;
      const tick = () => {
        const seconds = Math.round((performance.now() - job.started) / 1000);
        if (job.started) tellBoth(`Running, ${seconds} s${seconds > 20 ? " (a browser takes longer than a notebook; Stop ends it)" : ""}`);
      };
      const timer = setInterval(tick, 1000);
      for (const each of new Set([cell, target])) { each.stop.hidden = false; each.run.setAttribute("aria-disabled", "true"); }
      cell.root.setAttribute("aria-busy", "true");
      cell.fresh = true;
      cell.output?.classList.add("live-stale");
      say(cell, "Running");
      if (target !== cell) say(target, `First what stands above. Cell ${cell.number}: Running`); // not what it said last time
      if (!starting) { what = "Python"; announce("Loading Python"); say(cell, "Loading Python"); }
      try {
        if (interrupt) interrupt[0] = 0;
        const code = cell.code;
        start().then(
          () => { if (current === job) worker.postMessage({ type: "run", id: job.id, code, name: `cell ${cell.number}` }); },
          (error) => lost(error),
        );
      } catch (error) {
        lost(error);
      }
      function lost(error) {
        if (current === job) { forget(); done({ type: "lost", said: error.said, text: String(error?.message ?? error) }); }
      }
      function done(data) {
        if (current !== job) return;
        current = null;
        clearInterval(timer);
        for (const each of new Set([cell, target])) {
          const held = document.activeElement === each.stop;
          each.stop.hidden = true;
          each.run.removeAttribute("aria-disabled");
          if (held) each.run.focus();
        }
        cell.root.removeAttribute("aria-busy");
        if (data.type === "done") {
          if (cell.fresh && cell.output) begin(cell); // it showed nothing this time
          cell.ran = data.ok;
          say(cell, data.ok ? `Done in ${data.ms < 1000 ? `${Math.round(data.ms)} ms` : `${(data.ms / 1000).toFixed(1)} s`}` : "Stopped at an error");
        } else if (data.type === "stopped") {
          cell.output?.classList.remove("live-stale");
          say(cell, data.text);
        } else if (data.type === "dead") {
          forget();
          say(cell, `Python broke down (${data.text}). It starts anew at the next Run.`);
        } else {
          cell.output?.classList.remove("live-stale");
          const reason = data.text.split("\n")[0].slice(0, 160), small = reason ? [make("small", { textContent: `(${reason})` })] : [];
          say(cell, `${data.said ?? "Python could not be loaded. Is there a network?"} The page reads as it is, and Run tries again. `, ...small);
        }
        if (cell === target || !cell.ran) announce(`Cell ${cell.number}: ${cell.status.textContent}`);
        if (fold && !cell.ran && data.type !== "stopped") fold.open = true;
        changed(cell);
        resolve(cell.ran);
      }
    });
  }

  // ---- what a cell shows ------------------------------------------------------------------------------------------

  function begin(cell) { // an empty place for outputs, instead of the stored ones
    cell.place ??= cell.stored?.parentElement ?? cell.input.parentElement;
    cell.output?.remove();
    cell.output = make("div", { className: "cell_output docutils container live-output" });
    cell.stored?.classList.remove("live-stale");
    cell.place.append(cell.output);
    cell.fresh = false;
    cell.stream = null;
  }

  function print(cell, { kind, data, metadata }) {
    if (cell.fresh) begin(cell);
    if (kind === "stdout" || kind === "stderr" || kind === "text/plain") return write(cell, kind, data);
    cell.stream = null;
    const box = cell.output;
    if (kind === "error") return box.append(trouble(JSON.parse(data)));
    if (kind === "image/png" || kind === "image/svg+xml") {
      const svg = kind !== "image/png", image = new Image();
      image.alt = metadata.alt ?? `What cell ${cell.number} drew`;
      if (metadata.width) image.style.width = `${metadata.width}px`;
      image.src = svg ? `data:image/svg+xml,${encodeURIComponent(data)}` : `data:image/png;base64,${data}`;
      return box.append(image);
    }
    const html = make("div", { className: "output text_html", innerHTML: data });
    for (const old of html.querySelectorAll("script")) { // innerHTML does not run scripts, and figures need theirs
      const script = make("script", { textContent: old.textContent });
      for (const { name, value } of old.attributes) script.setAttribute(name, value);
      old.replaceWith(script);
    }
    box.append(html);
  }

  function write(cell, kind, text) {
    if (cell.stream?.kind !== kind || kind === "text/plain") {
      const pre = make("pre"), style = kind === "stderr" ? "stderr" : kind === "stdout" ? "stream" : "text_plain";
      pre.tabIndex = 0; // what is wide scrolls, and the keyboard has to get there
      cell.output.append(make("div", { className: `output ${style} highlight-myst-ansi notranslate` }, make("div", { className: "highlight" }, pre)));
      cell.stream = { kind, pre, text: "" };
    }
    const stream = cell.stream;
    stream.text = (stream.text + text).replace(/\x1b\[[\d;]*[A-Za-z]/g, "").replace(/^.*\r(?!\n|$)/gm, "");
    stream.pre.textContent = kind === "text/plain" && !text.endsWith("\n") ? `${stream.text}\n` : stream.text;
  }

  function trouble({ short, full }) {
    const [first, ...rest] = short.split("\n");
    const box = make("div", { className: "output live-error" });
    const pre = make("pre", {}, make("strong", { textContent: first }), rest.length ? `\n${rest.join("\n")}` : "");
    pre.tabIndex = 0;
    box.append(pre);
    if (full) {
      const all = make("pre", { textContent: full });
      all.tabIndex = 0;
      box.append(make("details", {}, make("summary", { textContent: "The whole traceback" }), all));
    }
    return box;
  }

  // ---- what was typed at an earlier visit ---------------------------------------------------------------------------

  const before = stored(), known = new Set(cells.map((cell) => cell.key));
  for (const cell of cells) {
    if (cell.torch || typeof before[cell.key] !== "string") continue;
    cell.code = before[cell.key];
    color(cell);
    say(cell, "your version, kept in this browser");
    changed(cell);
  }
  const old = Object.keys(before).filter((key) => !known.has(key));
  if (old.length) {
    const text = make("pre", { textContent: old.map((key) => before[key]).join("\n\n# ----\n\n") });
    text.tabIndex = 0;
    bar.append(make("details", { className: "live-old-edits" }, make("summary", { textContent: "The page has changed. What you typed into cells that are gone" }), text));
    clear.hidden = false;
  }
})();
