// The overview of the reader's progress on the home page and on "Your progress"; needs progress.js before it.
(() => {
  const { PAGE, root, course, checked, empty, load, update, render, shows, make, note, pointsField, next, whither,
    isRead, setRead, points, state } = window.courseProgress;
  const numbers = Object.keys(course.notebooks).map(Number);
  const count = (n, one) => `${n} ${one}${n === 1 ? "" : "s"}`;

  // The better of two: read in one is read, the higher points stay, the later place is where to continue.
  function merged(a, b) {
    const all = checked(a);
    for (const [n, { read }] of Object.entries(b.chapters)) all.chapters[n] = { read: read || !!a.chapters[n]?.read };
    for (const [n, { typed, tasks }] of Object.entries(b.exercises)) {
      const mine = all.exercises[n] ??= { tasks: {} };
      if (typed !== undefined) mine.typed = Math.max(typed, mine.typed ?? 0);
      for (const [name, task] of Object.entries(tasks)) if (!(mine.tasks[name]?.points >= task.points)) mine.tasks[name] = task;
    }
    if (b.last && !(a.last?.at > b.last.at)) all.last = b.last;
    return all;
  }

  for (const item of document.querySelectorAll(".course-chapters li")) {
    const n = whither(item.querySelector("a"))[1];
    const mark = (item.querySelector("p") ?? item).appendChild(make("span", { class: "course-mark" }));
    shows(() => {
      const words = [isRead(n) && "read", points(n) !== null && `${points(n)} of 10 points`].filter(Boolean);
      mark.textContent = words.map((text) => ` · ${text}`).join("");
    });
  }

  for (const node of document.querySelectorAll(".course-drawing [data-chapter]")) {
    shows(() => node.classList.toggle("read", isRead(node.dataset.chapter)));
  }

  for (const row of document.querySelectorAll(".course-table tr")) {
    const first = row.cells[0], n = whither(first.querySelector("a"))[1];
    const tag = first.tagName.toLowerCase(), cells = [make(tag, {}), make(tag, {})];
    if (tag === "th") ["Read", "Points"].forEach((text, i) => cells[i].append(text));
    if (n) {
      const box = make("input", { type: "checkbox", "aria-label": `Chapter ${n} read` });
      box.addEventListener("change", () => setRead(n, box.checked));
      shows(() => { box.checked = isRead(n); });
      cells[0].append(make("label", {}, box));
      cells[1].append(pointsField(n, { "aria-label": `Points of exercise ${n}, of 10` }));
    }
    first.after(...cells);
  }

  function continuing(box) {
    const line = box.appendChild(make("p", {}));
    shows(() => {
      const read = numbers.filter(isRead).length, total = numbers.reduce((sum, n) => sum + points(n), 0), { last } = state();
      line.replaceChildren();
      box.classList.toggle("empty", !(last || read || total));
      if (last) {
        const [, kind, nn] = PAGE.exec(last.page), href = `${root.pathname}${last.page}${last.anchor && "#"}${last.anchor}`;
        line.append("Continue where you left off: ", make("a", { href }, last.title), ".");
        if (kind === "notebooks" && isRead(Number(nn))) line.append(...next(Number(nn)));
        line.append(" ");
      }
      line.append(`${read} of ${count(numbers.length, "chapter")} read, ${count(Math.round(total * 100) / 100, "point")}.`);
    });
  }

  async function read(file) {
    if (file.size > 1e6) throw new Error("It is larger than 1 MB.");
    const text = await file.text();
    try { return checked(JSON.parse(text)); } catch (error) {
      throw error instanceof SyntaxError ? new Error("It is not JSON, the format that Export writes.") : error;
    }
  }

  function overview(box) {
    continuing(box);
    box.classList.remove("empty");
    const said = make("p", { role: "status" }), chooser = make("input", { type: "file", accept: ".json,application/json", hidden: "" });
    const button = (text, act) => {
      const made = make("button", { type: "button" }, text);
      made.addEventListener("click", act);
      return made;
    };
    chooser.addEventListener("change", async () => {
      const [file] = chooser.files;
      if (!file) return;
      try {
        const other = await read(file);
        update((s) => merged(s, other));
        const chapters = Object.values(other.chapters).filter((chapter) => chapter.read).length;
        said.textContent = `Imported ${file.name}: ${count(chapters, "chapter")} read, points in ${count(Object.keys(other.exercises).length, "exercise")}. Of the file and of what was here, the better is kept.`;
      } catch (error) { said.textContent = `Nothing was imported from ${file.name}. ${error.message}`; }
      chooser.value = "";
    });
    const save = () => {
      const href = URL.createObjectURL(new Blob([JSON.stringify(load(), null, 1)], { type: "application/json" }));
      const download = `convnets-progress-${new Date().toISOString().slice(0, 10)}.json`;
      make("a", { href, download }).click();
      setTimeout(() => URL.revokeObjectURL(href), 10000);
      said.textContent = `Exported as ${download}.`;
    };
    const reset = () => {
      if (!confirm("Forget all chapters read and all points on this device? Export first if you may want them back.")) return;
      update(empty);
      said.textContent = "All progress on this device is forgotten.";
    };
    box.append(make("div", { class: "course-tools" }, button("Export", save), button("Import", () => chooser.click()), chooser, button("Reset", reset)), said);
    note(box);
  }

  document.querySelectorAll(".course-continue").forEach(continuing);
  document.querySelectorAll(".course-progress").forEach(overview);
  render();
})();
