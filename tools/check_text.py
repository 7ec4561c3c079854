"""Do the sources keep the rules of CONTRIBUTING.md, and do the built notebooks show what the prose says?

python -m tools.check_text [NAME ...]

Looks at the chapters and exercises (text that must render in Colab, JupyterLab, GitHub, VS Code and on the
site), at the notebooks built from them (numbers, alternative text, machine paths, size) and at the glossary.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from tools.build import picture_type, read_text
from tools.course import ROOT, relative

CELL_LINES = 15
LINE_LENGTH = 96  # what the site shows without scrolling
NOTEBOOK_BYTES = 1_500_000
FILE_BYTES = 5_000_000

BRITISH = "colour|behaviour|centre|grey|neighbour|labell|modell|(normal|optim|visual|initial|regular)is"

# pattern in a Markdown cell (outside code) -> what is wrong with it
MARKDOWN_RULES = {
    r"\\operatorname": r"\operatorname (write \mathrm{})",
    r"\\newcommand|\\def\\": r"\newcommand",
    r"\\\((?!\w)|\\\[(?!\w)": r"\( or \[ (write $ or $$)",
    r"\b(simply|obviously|trivially|it is easy to see|of course)\b": "a filler word",
    rf"\b({BRITISH})\w*": "British spelling",
    r"[\U0001F300-\U0001FAFF\u2600-\u26FF\u2705\u274C]": "an emoji",
    r"\b(TODO|FIXME|XXX|coming soon)\b": "an unfinished word",
}
CODE_RULES = {
    r"tqdm\.auto|tqdm\.notebook": "tqdm.auto (use plain tqdm)",
    r";\s*$": "a semicolon at the end of a line",
    r"plt\.show\(": "plt.show (end the cell with plot.show(fig, alt=...))",
    r"np\.random\.(seed|rand|randn|randint|normal|uniform)\(": "NumPy's global random state",
}
MACHINE_PATH = re.compile(
    r"(/(?:root|work)/|/home/\w+/|/(?:tmp|Users)/\w|[A-Z]:\\\\Users|0x[0-9a-f]{8,}|\.pyenv)"
)
HTML_TAG = re.compile(r"</?([a-zA-Z][a-zA-Z0-9]*)[^>]*>")
ALLOWED_TAGS = {"details", "summary", "code", "em", "sub", "sup", "br"}
BOLD = re.compile(r"\*\*(.+?)\*\*", re.S)
LABELS = re.compile(
    r"^(Question|Note|Warning|Famous number|Claim|Predict|Prediction|Task|Try it|Check|Step \d+)\b.*$"
)


def outside_code(text: str) -> str:
    """Markdown without fenced code, inline code and comments."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    return re.sub(r"`[^`\n]*`", "", text)


def outside_math(text: str) -> str:
    """Markdown without formulas."""
    return re.sub(r"\$\$.*?\$\$|\$[^$\n]*\$", " ", text, flags=re.S)


def markdown_problems(text: str) -> Iterator[str]:
    """What a Markdown cell does that some place cannot show, or the house style forbids."""
    for hit in re.finditer(r"^\s*(?:```|:::)\{[a-z-]+\}|(?<!`)\{[a-z:]+\}`", text, flags=re.M):
        yield f"a MyST directive or role: {hit.group(0)!r}"
    prose = outside_code(text)
    for pattern, what in MARKDOWN_RULES.items():
        for hit in re.finditer(pattern, prose, flags=re.M | re.I):
            yield f"{what}: {hit.group(0)!r}"
    for line in prose.splitlines():
        if "$$" in line and line.strip() != "$$":
            yield f"$$ must stand on a line of its own: {line.strip()[:60]!r}"
    for tag in HTML_TAG.findall(outside_math(prose)):
        if tag.lower() not in ALLOWED_TAGS:
            yield f"HTML tag <{tag}>"
    if re.search(r"</summary>\s*\n(?!\s*\n)", text + "\n") and not re.search(r"</summary>\s*\n\s*\n", text):
        yield "a folded answer needs a blank line after </summary>"
    if re.search(r"[^\n]\n</details>", text):
        yield "a folded answer needs a blank line before </details>"


def code_problems(cell: NotebookNode, exercise: bool) -> Iterator[str]:
    """What a code cell does that the rules forbid."""
    tags = cell.metadata.get("tags", [])
    for pattern, what in CODE_RULES.items():
        for hit in re.finditer(pattern, cell.source, flags=re.M):
            yield f"{what}: {hit.group(0)!r}"
    if exercise and re.search(r"^\s*[%!]", cell.source, flags=re.M):
        yield "a magic in an exercise"
    for line in cell.source.splitlines():
        if len(line) > LINE_LENGTH and "setup" not in tags:
            yield f"a code line of {len(line)} characters, more than {LINE_LENGTH}: {line.strip()[:50]!r}"
    lines = [line for line in cell.source.splitlines() if line.strip()]
    if len(lines) > CELL_LINES and not {"setup", "solution"} & set(tags):
        yield f"a cell of {len(lines)} lines, more than {CELL_LINES}: {lines[0]!r}"


# ---- numbers in the prose --------------------------------------------------------------------------------

NUMBER = re.compile(r"(?<![\w.,/^{×-])\d[\d,]*(?:\.\d+)?(?![\w/^×]|\.\d|,\d)")


@cache
def sections() -> set[str]:
    """Numbers of the chapters' sections, such as "3.2", by which the exercises speak of them."""
    texts = (ROOT / "book/chapters").glob("*.md")
    return {
        number for text in texts for number in re.findall(r"^## (\d+\.\d+)", text.read_text("utf-8"), re.M)
    }


def spoken_numbers(text: str) -> Iterator[str]:
    """Numbers of the prose with three digits or a decimal point. Years and citations do not count."""
    prose = outside_math(outside_code(text))
    prose = re.sub(r"\[([^\]]*)\]\([^)]*\)", " ", prose)  # links: citations, chapters
    prose = re.sub(r"^#.*$|^\*Needs:.*$", " ", prose, flags=re.M)
    prose = re.sub(
        r"\b(chapter|section|exercise|part|NumPy|Python|PyTorch|version)\s+\d[\d.]*", " ", prose, flags=re.I
    )
    prose = re.sub(r"\((\d+\.\d+)\)", " ", prose)  # equation numbers
    for hit in NUMBER.finditer(prose):
        number = hit.group(0).rstrip(",")
        value = number.replace(",", "")
        year = re.fullmatch(r"(1[6-9]|20)\d\d", number)
        if (len(value) >= 3 or "." in value) and not year and number not in sections():
            yield number


def shown_numbers(notebook: NotebookNode) -> str:
    """All text that the cells of a notebook print or contain, with thousands separators removed."""
    parts = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            parts.append(cell.source)
            for output in cell.outputs:
                parts.append(str(output.get("text", "")))
                parts += [
                    str(output.data[k]) for k in ("text/plain", "text/html") if k in output.get("data", {})
                ]
    return re.sub(r"(?<=\d)[,_](?=\d{3})", "", "\n".join(parts))


def number_problems(notebook: NotebookNode) -> Iterator[str]:
    """Numbers of the prose that no cell of the page prints."""
    shown = shown_numbers(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for number in spoken_numbers(cell.source):
                value = number.replace(",", "")
                if not re.search(rf"(?<![\d.]){re.escape(value)}(?!\d)", shown):
                    yield f"{number} stands in the prose, but no cell prints it"


def output_problems(path: Path, notebook: NotebookNode) -> Iterator[str]:
    """Outputs that tell of the machine, pictures without alternative text, notebooks too large."""
    if path.stat().st_size > NOTEBOOK_BYTES:
        yield f"{path.stat().st_size / 1e6:.1f} MB, more than {NOTEBOOK_BYTES / 1e6} MB"
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            text = str(output.get("text", "")) + "".join(map(str, output.get("traceback", [])))
            text += "".join(str(v) for k, v in output.get("data", {}).items() if not k.startswith("image/"))
            for hit in MACHINE_PATH.finditer(text):
                yield f"an output shows a path or address of the machine: {hit.group(0)!r}"
            if output.output_type == "stream" and output.name == "stderr":
                yield f"an output on stderr: {output.text.strip()[:80]!r}"
            kind = picture_type(output)
            if kind and not output.metadata.get(kind, {}).get("alt"):
                yield f"a figure without alternative text, in the cell {cell.source.splitlines()[0]!r}"


# ---- the glossary ----------------------------------------------------------------------------------------


def glossary_terms() -> set[str]:
    """The terms that the glossary defines, in lower case."""
    text = (ROOT / "book/back/glossary.md").read_text(encoding="utf-8")
    block = re.search(r"^(`{3,}|:{3,})\{glossary\}\n(.*?)^\1", text, flags=re.M | re.S)
    lines = block.group(2).splitlines() if block else []
    return {line.strip().lower() for line in lines if line.strip() and not line.startswith((" ", ":"))}


def term_problems(notebook: NotebookNode, terms: set[str]) -> Iterator[str]:
    """Bold words that are neither a callout's label nor a term of the glossary."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for term in BOLD.findall(outside_code(cell.source)):
                name = " ".join(term.split()).rstrip(".:,").lower()
                if (
                    not LABELS.match(term)
                    and not {name, name.removesuffix("s"), name.removesuffix("es")} & terms
                ):
                    yield f"**{term}** is bold, but not a term of book/back/glossary.md"


# ---- all together ----------------------------------------------------------------------------------------


def source_problems(source: Path) -> Iterator[str]:
    """What is wrong with one chapter or exercise and with the notebooks built from it."""
    exercise = source.parent.name == "exercises"
    text = read_text(source)
    for cell in text.cells:
        yield from (
            markdown_problems(cell.source) if cell.cell_type == "markdown" else code_problems(cell, exercise)
        )
    yield from term_problems(text, glossary_terms())
    for folder in ("solutions", "exercises") if exercise else ("notebooks",):
        path = ROOT / folder / f"{source.stem}.ipynb"
        if not path.exists():
            yield f"{relative(path)} is not built"
            continue
        notebook = nbformat.read(path, as_version=4)
        yield from (f"{folder}: {what}" for what in output_problems(path, notebook))
        if folder != "exercises":
            yield from (f"{folder}: {what}" for what in number_problems(notebook))


def main() -> int:
    """The command line. Returns the exit status."""
    names = set(sys.argv[1:])
    sources = sorted((ROOT / "book/chapters").glob("*.md")) + sorted((ROOT / "book/exercises").glob("*.md"))
    wrong = 0
    for source in sources:
        if not names or source.stem in names:
            for what in source_problems(source):
                wrong += 1
                print(f"  {relative(source)}: {what}")
    print(f"{len(sources)} texts, {wrong} problems")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
