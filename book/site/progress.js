// The reader's progress: chapters read, points earned, where to continue. It stays in this browser (localStorage).
// On every page: the marks in the contents at the side, and the end of a chapter or exercise.
(() => {
  const KEY = "convnets-from-first-principles", VERSION = 1;
  const root = new URL(document.documentElement.dataset.content_root || "./", location.href);
  const PAGE = /^(notebooks|exercises)\/(\d\d)_\w+\.html$/;
  const inCourse = (path) => decodeURI(path).slice(decodeURI(root.pathname).length);
  const page = inCourse(location.pathname);
  const empty = () => ({ course: KEY, version: VERSION, chapters: {}, exercises: {} });

  // ---- what is stored, and how it is checked

  const plain = (v) => v !== null && typeof v === "object" && !Array.isArray(v);

  function wrong(where, got, expected) {
    throw new Error(`${where} is ${got === undefined ? "missing" : JSON.stringify(got).slice(0, 60)}, expected ${expected}.`);
  }

  function entries(value, where, key) {
    if (!plain(value)) wrong(where, value, "an object");
    return Object.entries(value).map(([name, entry]) => {
      if (!key.test(name)) throw new Error(`${where} has an entry "${name.slice(0, 40)}", which the course never writes.`);
      if (!plain(entry)) wrong(`${where}.${name}`, entry, "an object");
      return [name, entry, `${where}.${name}`];
    });
  }

  const within = (v, most, where) => Number.isFinite(v) && v >= 0 && v <= most ? v : wrong(where, v, `a number from 0 to ${most}`);

  // A clean copy of stored or imported progress; an Error that names the first thing that is wrong.
  function checked(data) {
    if (!plain(data) || data.course !== KEY) throw new Error("It does not hold progress of this course.");
    if (data.version > VERSION) throw Object.assign(new Error("It comes from a newer edition of this site."), { newer: true });
    if (data.version !== VERSION) wrong("version", data.version, VERSION);
    const state = empty();
    for (const [n, entry, where] of entries(data.chapters, "chapters", /^[1-9]\d?$/)) {
      if (typeof entry.read !== "boolean") wrong(`${where}.read`, entry.read, "true or false");
      state.chapters[n] = { read: entry.read };
    }
    for (const [n, entry, where] of entries(data.exercises, "exercises", /^[1-9]\d?$/)) {
      const kept = state.exercises[n] = { tasks: {} };
      if (entry.typed !== undefined) kept.typed = within(entry.typed, 10, `${where}.typed`);
      for (const [name, task, place] of entries(entry.tasks ?? {}, `${where}.tasks`, /^ex\d\d\.\w{1,60}$/)) {
        const of = within(task.of, 10, `${place}.of`);
        kept.tasks[name] = { points: within(task.points, of, `${place}.points`), of };
      }
    }
    if (data.last !== undefined) {
      const { page, anchor, title, at } = data.last ?? {};
      if (!PAGE.test(page) || !/^[\w-]*$/.test(anchor) || typeof title !== "string" || !Number.isFinite(at)) wrong("last", data.last, "a place in the course");
      state.last = { page, anchor, title: title.slice(0, 200), at };
    }
    return state;
  }

  let memory = empty(), problem = "", newer = false, stuck = false;

  function blocked() {
    stuck = true;
    problem = "This browser does not let the page store anything: your progress is forgotten when you leave the page.";
    return memory;
  }

  function load() {
    let text;
    problem = "";
    newer = false;
    try { text = localStorage.getItem(KEY); } catch { return blocked(); }
    try { return memory = text ? checked(JSON.parse(text)) : empty(); } catch (error) {
      newer = !!error.newer; // left as it is: the page that wrote it can read it
      problem = "The stored progress could not be read. " + (newer ? "It comes from a newer edition of this site: reload the page." : `It is kept aside in this browser as ${KEY}.unreadable, and counting begins anew.`);
      if (!newer) try { localStorage.setItem(`${KEY}.unreadable`, text); localStorage.removeItem(KEY); } catch { return blocked(); }
      return memory = empty();
    }
  }

  // Read, change, write: another tab may have written meanwhile.
  function update(change) {
    const before = problem, state = stuck || newer ? memory : load();
    memory = change(state) ?? state;
    problem ||= before;
    if (!newer) try { localStorage.setItem(KEY, JSON.stringify(memory)); } catch { blocked(); }
    render();
  }

  const isRead = (n) => !!memory.chapters[n]?.read;
  const setRead = (n, read) => update((s) => { s.chapters[n] = { read }; });

  function points(n) {
    const { typed = 0, tasks } = memory.exercises[n] ?? {};
    if (!tasks) return null;
    const earned = Object.values(tasks).reduce((sum, task) => sum + task.points, 0);
    return Math.min(10, Math.round(Math.max(typed, earned) * 100) / 100);
  }

  const setPoints = (n, value) => update((s) => {
    const entry = s.exercises[n] ??= { tasks: {} };
    if (value !== null) entry.typed = value;
    else if (Object.keys(entry.tasks).length) delete entry.typed;
    else delete s.exercises[n];
  });

  // ---- what the pages show

  function make(tag, attributes, ...inside) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...inside);
    return element;
  }

  // New words only where they differ: a screen reader says again whatever is written anew.
  function fill(element, ...parts) {
    const fresh = make("p", {}, ...parts);
    if (fresh.textContent !== element.textContent) element.replaceChildren(...fresh.childNodes);
  }

  const renders = [];
  const shows = (show) => { renders.push(show); };
  const render = () => renders.forEach((show) => show());
  const whither = (a) => { const [, kind, nn] = (a && PAGE.exec(inCourse(a.pathname))) ?? []; return [kind, Number(nn)]; };
  const course = { notebooks: {}, exercises: {} }; // number -> address, from the contents at the side

  for (const a of document.querySelectorAll("nav.bd-links a")) {
    const [kind, n] = whither(a);
    if (!kind) continue;
    course[kind][n] = a.pathname;
    const mark = a.appendChild(make("span", { class: "course-mark" }));
    shows(() => {
      const got = points(n), done = kind === "notebooks" ? isRead(n) : got === 10;
      const spoken = kind === "notebooks" ? " (read)" : " (10 of 10 points)";
      mark.replaceChildren(...(done ? [make("span", { "aria-hidden": "true" }, "✓"), make("span", { class: "course-spoken" }, spoken)]
        : kind === "exercises" && got !== null ? [`${got}/10`] : []));
    });
  }

  function note(box) {
    const text = box.appendChild(make("p", { class: "course-problem", role: "status" }));
    shows(() => { fill(text, problem); text.hidden = !problem; });
  }

  function pointsField(n, attributes) {
    const input = make("input", { type: "number", min: 0, max: 10, step: "any", inputmode: "decimal", ...attributes });
    input.addEventListener("change", () => {
      if (input.reportValidity()) setPoints(n, input.value === "" ? null : Number(input.value));
    });
    shows(() => { if (input.validity.valid) input.value = points(n) ?? ""; });
    return input;
  }

  // "Next: exercise 3, then chapter 4.", with links, for what follows chapter n or its exercise.
  function next(n, exercise) {
    const steps = [[!exercise && course.exercises[n], `exercise ${n}`], [course.notebooks[n + 1], `chapter ${n + 1}`]]
      .filter(([href]) => href).map(([href, text]) => make("a", { href }, text));
    return steps.length ? [" Next: ", steps[0], ...steps.slice(1).flatMap((a) => [", then ", a]), "."] : [];
  }

  function ending(kind, n) {
    const box = make("section", { class: "course-ending", "aria-label": "Your progress" });
    const words = box.appendChild(make("p", { role: "status" }));
    if (kind === "notebooks") {
      const button = box.appendChild(make("button", { type: "button" }));
      button.addEventListener("click", () => setRead(n, !isRead(n)));
      let timer;
      new IntersectionObserver(([{ isIntersecting }]) => {
        clearTimeout(timer);
        if (isIntersecting) timer = setTimeout(() => memory.chapters[n] || document.hidden || setRead(n, true), 2000);
      }).observe(box);
      shows(() => {
        fill(words, isRead(n) ? `Chapter ${n} read.` : `This is the end of chapter ${n}.`, ...next(n));
        button.textContent = isRead(n) ? "Mark as not read" : "Mark as read";
      });
    } else {
      box.append(make("label", {}, "Your points: ", pointsField(n, {}), " of 10"));
      shows(() => fill(words, `Exercise ${n}: ${points(n) === null ? "no points yet" : `${points(n)} of 10 points`}.`, ...next(n, true)));
    }
    note(box);
    document.querySelector("article.bd-article")?.append(box);
  }

  // Where the reader is: the page, and the last heading above the middle of the window.
  function remember() {
    const heads = [...document.querySelectorAll("article section[id] > :is(h1, h2)")];
    const head = heads.filter((h) => h.getBoundingClientRect().top < innerHeight / 2).at(-1) ?? heads[0];
    const words = [...new Set([heads[0], head])].map((h) => h.textContent.replace(/[#¶]$/, "").trim());
    update((s) => { s.last = { page, anchor: head === heads[0] ? "" : head.parentNode.id, title: words.join(", "), at: Date.now() }; });
  }

  load();
  const [kind, n] = whither(location);
  if (kind) {
    ending(kind, n);
    addEventListener("pagehide", remember);
    document.addEventListener("visibilitychange", () => { if (document.hidden) remember(); });
  }
  render();
  const again = () => { load(); render(); };
  addEventListener("storage", (event) => { if (event.key === KEY || event.key === null) again(); });
  addEventListener("pageshow", (event) => { if (event.persisted) again(); });

  // On paper nothing unfolds: folded answers are open while the page prints.
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("article details:not([open])")];
    for (const fold of opened) fold.open = true;
  });
  addEventListener("afterprint", () => { for (const fold of opened) fold.open = false; });

  // A check on the page printed points: {exercise: "ex03", task: "ex03.conv2d", points: 1.5, of: 2.5}.
  document.addEventListener("course:points", ({ detail }) => {
    const { exercise, task, points: got, of } = detail ?? {}, n = Number(/\d+/.exec(exercise)?.[0]);
    if (!n || !/^ex\d\d\.\w{1,60}$/.test(task) || !(got >= 0 && got <= of && of <= 10)) return;
    update((s) => {
      const { tasks } = s.exercises[n] ??= { tasks: {} };
      if (!(tasks[task]?.points >= got)) tasks[task] = { points: got, of };
    });
  });

  // For the pages with an overview (progress-overview.js).
  window.courseProgress = { KEY, PAGE, root, course, checked, empty, load, update, render, shows, make, note, pointsField, next, whither,
    isRead, setRead, points, state: () => memory };
})();
