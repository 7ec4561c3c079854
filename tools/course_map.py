"""What each chapter needs and how long it takes, read from the chapters and shown on the site.

python -m tools.course_map           print the map

The facts stand once: in the line under each chapter's title (`*Needs: ... Reading: ... Running: ...*`) and in
the opening of each exercise. As a Sphinx extension, this module gives the pages in `book/front` three
directives: `{course-chapters} Part I` lists the chapters of a part with their times, `{course-map}` draws
which chapter needs which, and `{course-table}` is the table of all chapters.
"""

from __future__ import annotations

import html
import os
import re
from dataclasses import dataclass
from pathlib import Path

import yaml

from tools.course import ROOT, relative

FACTS = re.compile(
    r"^\*Needs: (?P<needs>.+?)\. Reading: (?P<reading>[^.]+?)\. "
    r"Running: (?P<running>[^.]+?) on two CPU cores\b.*\*$"
)
AMOUNT = re.compile(
    r"(?P<low>half a|[a-z]+|\d+)(?: to (?P<high>[a-z]+|\d+))? (?P<unit>second|minute)s?(?:,.*)?"
)
WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
TITLE = re.compile(r"^# (?:Exercise )?(\d+) · (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Chapter:
    """One chapter with its exercise: the facts that a reader plans with. Times are (least, most)."""

    number: int
    title: str
    name: str  # of the files, without their ending
    part: str
    needs: tuple[int, ...]  # chapters
    reading: tuple[float, float]  # minutes
    running: tuple[float, float]  # minutes
    exercise: tuple[float, float]  # minutes


def minutes(text: str) -> tuple[float, float]:
    """The least and the most minutes that words such as "20 seconds" or "two to five minutes" mean."""
    found = AMOUNT.fullmatch(text.strip())
    if found:
        numbers = [_number(found[side]) for side in ("low", "high") if found[side]]
        if None not in numbers and numbers[0] <= numbers[-1] and numbers[-1] > 0:
            unit = 1 if found["unit"] == "minute" else 60
            return numbers[0] / unit, numbers[-1] / unit
    raise ValueError(f'text is {text!r}, expected a time such as "20 seconds" or "two to five minutes"')


def _number(word: str) -> float | None:
    if word.isdecimal():
        return float(word)
    return 0.5 if word == "half a" else WORDS.index(word) + 1 if word in WORDS else None


def chapter(name: str, part: str = "", root: Path = ROOT) -> Chapter:
    """The facts of one chapter, from its text and the text of its exercise; name is that of the files."""
    source = root / "book/chapters" / f"{name}.md"
    text = source.read_text(encoding="utf-8")
    title = TITLE.search(text)
    paragraphs = [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]
    facts = next(filter(None, map(FACTS.match, paragraphs)), None)
    if not title or not facts:
        raise ValueError(
            f"{name}: no title `# N · ...` with a line under it that reads "
            "`*Needs: ... Reading: ... minutes. Running: ... on two CPU cores. ...*`"
        )
    exercise = (root / "book/exercises" / f"{name}.md").read_text(encoding="utf-8")
    opening = " ".join(exercise.split("\n## ")[0].split())
    time = re.search(r"(\d+ to )?\d+ minutes", opening)
    if not time:
        raise ValueError(f"{name}: the opening of its exercise does not say how many minutes it takes")
    return Chapter(
        int(title[1]),
        title[2].strip(),
        name,
        part,
        tuple(sorted({int(n) for n in re.findall(r"\bchapter (\d+)", facts["needs"])})),
        minutes(facts["reading"]),
        minutes(facts["running"]),
        minutes(time[0]),
    )


def course(root: Path = ROOT) -> list[Chapter]:
    """The chapters in the order of `book/_toc.yml`, each with the caption of its part."""
    contents = yaml.safe_load((root / "book/_toc.yml").read_text(encoding="utf-8"))
    return [
        chapter(Path(entry["file"]).name, part["caption"], root)
        for part in contents["parts"]
        for entry in part["chapters"]
        if entry["file"].startswith("notebooks/")
    ]


def problems(chapters: list[Chapter]) -> list[str]:
    """What is wrong with the facts: chapters needed that do not exist or come later, numbers out of order."""
    wrong = []
    known = {c.number for c in chapters}
    for place, c in enumerate(chapters, start=1):
        if c.number != place or not c.name.startswith(f"{c.number:02d}_"):
            wrong.append(f"{c.name}: its title says chapter {c.number}, its place is {place}")
        for needed in c.needs:
            if needed not in known:
                wrong.append(f"{c.name}: needs chapter {needed}, which does not exist")
            elif needed >= c.number:
                wrong.append(f"{c.name}: needs chapter {needed}, which does not come before it")
    return wrong


def all_needed(chapters: list[Chapter], number: int) -> set[int]:
    """Every chapter that this one builds on, directly or through others."""
    by_number = {c.number: c for c in chapters}
    found: set[int] = set()
    waiting = list(by_number[number].needs)
    while waiting:
        needed = waiting.pop()
        if needed not in found:
            found.add(needed)
            waiting += by_number[needed].needs
    return found


def steps(chapters: list[Chapter]) -> list[tuple[int, int]]:
    """Pairs (needed, chapter), without those that follow from the others."""
    pairs = []
    for c in chapters:
        implied = set().union(*(all_needed(chapters, needed) for needed in c.needs))
        pairs += [(needed, c.number) for needed in c.needs if needed not in implied]
    return pairs


# ---- as words and pictures ---------------------------------------------------------------------------------


def span(time: tuple[float, float]) -> str:
    """A time as a table shows it: "40 min", "60–90 min", "30 s"."""
    low, high = time
    unit, factor = ("s", 60) if high < 1 else ("min", 1)
    return f"{'–'.join(f'{v * factor:g}' for v in dict.fromkeys((low, high)))}\u00a0{unit}"


def hours(times: list[tuple[float, float]]) -> str:
    """The sum of several times in hours, to the half hour: "7 h", "5½–8 h"."""
    halves = dict.fromkeys(round(sum(side) / 30) for side in zip(*times, strict=True))
    return "–".join(f"{n // 2 or ''}{'½' if n % 2 else ''}" for n in halves) + "\u00a0h"


def listed(chapters: list[Chapter], up: str) -> str:
    """The chapters as a Markdown list with their reading times; `up` leads from the page to the root."""
    lines = [f"{c.number}. [{c.title}]({up}notebooks/{c.name}.ipynb), {span(c.reading)}" for c in chapters]
    return "\n".join(lines)


def table(chapters: list[Chapter], up: str) -> str:
    """All chapters as a Markdown table: what each needs, its times, and the sums of each part."""
    lines = ["| Chapter | Needs | Reading | Exercise | Running |", "|---|---|---|---|---|"]
    links = {c.number: f"{up}notebooks/{c.name}.ipynb" for c in chapters}

    def row(*cells: str) -> None:
        lines.append(f"| {' | '.join(cells)} |")

    def sums(label: str, part: list[Chapter]) -> None:
        row(
            f"*{label}*",
            "",
            *(f"*{hours([getattr(c, k) for c in part])}*" for k in ("reading", "exercise")),
            "",
        )

    for part in dict.fromkeys(c.part for c in chapters):
        mine = [c for c in chapters if c.part == part]
        sums(part, mine)
        for c in mine:
            needs = ", ".join(f"[{n}]({links[n]})" for n in c.needs) or "–"
            exercise = f"[{span(c.exercise)}]({up}exercises/{c.name}.ipynb)"
            row(
                f"[{c.number} · {c.title}]({links[c.number]})",
                needs,
                span(c.reading),
                exercise,
                span(c.running),
            )
    sums("Together", chapters)
    return "\n".join(lines)


def drawing(chapters: list[Chapter], up: str) -> str:
    """The chapters under each other as SVG, each a link, with a line from each down to those that need it."""
    left, step, wide = 84, 30, 420
    y = {c.number: 16 + step * place for place, c in enumerate(chapters)}
    lines, dots = [], []
    for start, end in steps(chapters):
        if end - start == 1:
            lines.append(f"M{left} {y[start]}V{y[end]}")
        else:
            bulge = left - 8 - min(70, 15 * (end - start))
            lines.append(f"M{left} {y[start]}C{bulge} {y[start]} {bulge} {y[end]} {left} {y[end]}")
    for c in chapters:
        dots.append(
            f'<a href="{up}notebooks/{c.name}.html" data-chapter="{c.number}">'
            f'<rect x="{left - 11}" y="{y[c.number] - 15}" width="{wide - left + 10}" height="30" rx="5"/>'
            f'<circle cx="{left}" cy="{y[c.number]}" r="6"/>'
            f'<text x="{left + 16}" y="{y[c.number] + 5}">{c.number} · {html.escape(c.title)}</text></a>'
        )
    size = f"0 0 {wide} {max(y.values()) + 16}"
    label = (
        "The chapters from first to last, with a line from each chapter down to those that need it. "
        "The table says the same in words."
    )
    return (
        f'<svg class="course-drawing" viewBox="{size}" role="group" aria-label="{label}">'
        f'<path d="{"".join(lines)}"/>{"".join(dots)}</svg>'
    )


# ---- for Sphinx --------------------------------------------------------------------------------------------


def setup(app) -> dict:
    """Give Sphinx the directives. A page that uses one is built again when a chapter's text changes."""
    from docutils import nodes
    from docutils.statemachine import StringList
    from sphinx.util.docutils import SphinxDirective

    class CourseDirective(SphinxDirective):
        def run(self) -> list:
            for source in [
                ROOT / "book/_toc.yml",
                *ROOT.glob("book/chapters/*.md"),
                *ROOT.glob("book/exercises/*.md"),
            ]:
                self.env.note_dependency(str(source))
            box = nodes.container(classes=[self.name])
            up = os.path.relpath(ROOT, Path(self.env.doc2path(self.env.docname)).parent) + "/"
            box += self.inside(course(), up.replace(os.sep, "/"))
            return [box]

        def parsed(self, markdown: str) -> list:
            inside = nodes.Element()
            self.state.nested_parse(StringList(markdown.splitlines(), self.env.docname), 0, inside)
            return inside.children

    class Chapters(CourseDirective):
        required_arguments = 1
        final_argument_whitespace = True

        def inside(self, chapters: list[Chapter], up: str) -> list:
            mine = [c for c in chapters if c.part.split(" · ")[0] == self.arguments[0]]
            if not mine:
                raise self.error(f"{relative(ROOT / 'book/_toc.yml')} has no part {self.arguments[0]!r}")
            return self.parsed(listed(mine, up))

    class Map(CourseDirective):
        def inside(self, chapters: list[Chapter], up: str) -> list:
            return [nodes.raw("", drawing(chapters, up), format="html")]

    class Table(CourseDirective):
        def inside(self, chapters: list[Chapter], up: str) -> list:
            return self.parsed(table(chapters, up))

    app.add_directive("course-chapters", Chapters)
    app.add_directive("course-map", Map)
    app.add_directive("course-table", Table)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def main() -> int:
    """Print the table and what is wrong with the facts. Returns the exit status."""
    chapters = course()
    print(table(chapters, ""))
    wrong = problems(chapters)
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
