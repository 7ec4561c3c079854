"""Print the built website into one PDF: contents with page numbers, bookmarks, links that stay inside.

python -m tools.pdf                    chapters, exercises, back matter of _build/html into _build/course.pdf
python -m tools.pdf --solutions        the solutions too
python -m tools.pdf --pages NAME ...   only pages whose name contains one of these words, such as 03_

Chromium prints each page with the site's own print style, its first page number being the one after the page
before; then pypdf puts them together. Folded answers are open, interactive figures show how they begin.
"""

from __future__ import annotations

import argparse
import functools
import html
import http.server
import io
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urldefrag

import yaml
from pypdf import PdfReader, PdfWriter
from pypdf.generic import ArrayObject, DictionaryObject, NameObject, NullObject, NumberObject

from tools.browser import FLAGS, find_browser
from tools.course import ROOT, config

SKIPPED = {"book/front/progress", "book/front/instructors"}  # of use on the site only
PAPER = {"prefer_css_page_size": True, "format": "A4", "tagged": True, "outline": True}

# Pictures that wait until they are scrolled to would be missing on paper, and figures would not have begun.
READY = """async () => {
    dispatchEvent(new Event('course:figures'));
    const figures = [...document.querySelectorAll('[data-script]')];
    const begun = figures.map(figure => customElements.whenDefined(figure.localName));
    await Promise.race([Promise.all(begun), new Promise(done => setTimeout(done, 5000))]);
    for (const image of document.images) { image.loading = 'eager' }
    await Promise.all([...document.images].map(image => image.decode().catch(() => {})));
    await document.fonts.ready;
}"""
CONTENTS_STYLE = """
@page { size: A4; margin: 18mm 16mm 20mm }
body { font: 10pt/1.4 sans-serif; color: #000 }
h1 { font-size: 26pt; line-height: 1.2; font-weight: 500; margin: 60mm 0 4mm }
h2 { font-size: 11pt; margin: 5mm 0 1mm; break-after: avoid }
h1 + p { margin: 0 0 90mm }
.start { break-before: page; font-size: 16pt }
a { color: inherit; text-decoration: none }
div { display: flex; gap: 2mm; break-inside: avoid } div.under { padding-left: 8mm }
div i { flex: 1; border-bottom: 1px dotted #888; height: 1em }
"""


@dataclass
class Sheet:
    """One page of the site in the book: where it stands, and what Chromium printed."""

    name: str  # "notebooks/03_convolution_layer"
    part: str
    depth: int  # 0 for a chapter, 1 for its exercise
    title: str = ""
    sections: list[str] = field(default_factory=list)
    first: int = 0  # its first page, counted from 1
    pdf: PdfReader | None = field(default=None, repr=False)


def sheets(contents: dict, solutions: bool, words: list[str]) -> list[Sheet]:
    """The pages of the book in the order of `_toc.yml`; words, where there are any, choose among them."""
    found = []
    for part in contents["parts"]:
        for entry in part["chapters"]:
            found.append(Sheet(entry["file"], part["caption"], 0))
            found += [Sheet(inner["file"], part["caption"], 1) for inner in entry.get("sections", [])]
    found = [s for s in found if s.name not in SKIPPED and (solutions or not s.name.startswith("solutions/"))]
    chosen = [s for s in found if not words or any(word in s.name for word in words)]
    if not chosen:
        raise ValueError(f"words is {words!r}, expected parts of page names such as '03_' or 'glossary'")
    return chosen


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address at which this machine serves a folder, while the block runs."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()


def headings(page: Path, level: int) -> list[str]:
    """The words of a page's headings of one level."""
    text = page.read_text(encoding="utf-8")
    found = re.findall(rf"<h{level}[^>]*>(.*?)</h{level}>", text, re.DOTALL)
    words = (
        re.sub(r'<a class="headerlink".*?</a>|<[^>]+>', "", heading, flags=re.DOTALL) for heading in found
    )
    return [html.unescape(" ".join(heading.split())) for heading in words]


def contents_page(book: list[Sheet], address: str) -> str:
    """Title and contents of the book in HTML, with links to the pages of the site at this address."""
    title, author = (html.escape(config()[key]) for key in ("title", "author"))
    lines, part = [], None
    for sheet in book:
        if sheet.part != part:
            part = sheet.part
            lines.append(f"<h2>{html.escape(part)}</h2>")
        under = ' class="under"' if sheet.depth else ""
        link = f'<a href="{address}{sheet.name}.html">{html.escape(sheet.title)}</a>'
        lines.append(f"<div{under}>{link}<i></i>{sheet.first}</div>")
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<style>{CONTENTS_STYLE}</style><h1>{title}</h1><p>{author}</p>"
        f'<h2 class="start">Contents</h2>{"".join(lines)}'
    )


def print_book(browser, site: Path, book: list[Sheet]) -> PdfWriter:
    """Print and bind the pages of the book with a browser of playwright."""
    with served(site) as address:
        return bind(_print_pages(browser, address, site, book), book, address)


def _print_pages(browser, address: str, site: Path, book: list[Sheet]) -> PdfReader:
    """Print every page of the book, which gets its first page number; then title and contents, the result."""

    def printed(tab) -> PdfReader:
        return PdfReader(io.BytesIO(tab.pdf(**PAPER)))

    cover = browser.new_page()
    for sheet in book:
        page = site / f"{sheet.name}.html"
        sheet.title, sheet.sections = headings(page, 1)[0], headings(page, 2)
    cover.set_content(contents_page(book, address))
    number = len(printed(cover).pages) + 1
    for sheet in book:
        tab = browser.new_page(color_scheme="light")
        tab.goto(f"{address}{sheet.name}.html", wait_until="load")
        tab.evaluate(READY)
        tab.add_style_tag(content=f"@media print {{ html {{ counter-reset: page {number - 1} }} }}")
        sheet.pdf, sheet.first = printed(tab), number
        tab.close()
        number += len(sheet.pdf.pages)
        print(f"  page {sheet.first:4}  {sheet.title}", flush=True)
    cover.set_content(contents_page(book, address))
    return printed(cover)


# ---- putting them together ---------------------------------------------------------------------------------


def bind(front: PdfReader, book: list[Sheet], address: str) -> PdfWriter:
    """One PDF of the contents and all pages, with bookmarks, and links that lead inside it."""
    writer = PdfWriter()
    writer.append(front, import_outline=False)
    for sheet in book:
        writer.append(sheet.pdf, import_outline=False)
    places = {f"{address}{sheet.name}.html": sheet for sheet in book}
    for sheet in [Sheet("", "", 0, first=1, pdf=front), *book]:
        for page in range(len(sheet.pdf.pages)):
            _bind_links(writer, sheet, page, places, address)
    part, above, chapter = None, None, None
    for sheet in book:
        if sheet.part != part:
            part, above = sheet.part, _bookmark(writer, sheet.part, sheet.first)
        chapter_or_part = chapter if sheet.depth and chapter else above
        item = _bookmark(writer, sheet.title, sheet.first, chapter_or_part)
        if not sheet.depth:
            chapter = item
        for title, page in _sections(sheet):
            _bookmark(writer, title, sheet.first + page, item)
    writer.add_metadata({"/Title": config()["title"], "/Author": config()["author"]})
    writer.page_mode = "/UseOutlines"
    writer.compress_identical_objects(remove_duplicates=True, remove_unreferenced=True)
    return writer


def _bookmark(writer: PdfWriter, title: str, page: int, above: object = None) -> object:
    """A bookmark to a page, counted from 1."""
    return writer.add_outline_item(title=title, page_number=page - 1, parent=above)


def _bind_links(writer: PdfWriter, sheet: Sheet, page: int, places: dict[str, Sheet], address: str) -> None:
    """Let the links of one page lead to pages of the PDF; drop those to pages of the site outside it."""
    ours = writer.pages[sheet.first - 1 + page]
    kept = ArrayObject()
    for reference in ours.get("/Annots") or []:
        link = reference.get_object()
        action = link.get("/A", {}).get_object() if "/A" in link else {}
        uri, name = action.get("/URI"), link.get("/Dest", action.get("/D"))
        if uri and str(uri).startswith(address):
            there, anchor = urldefrag(str(uri))
            target = places.get(there)
            if target is None:
                continue
            _lead_to(writer, link, target, unquote(anchor))
        elif name is not None and not isinstance(name, ArrayObject):
            _lead_to(writer, link, sheet, str(name).removeprefix("/"))
        kept.append(reference)
    if kept:
        ours[NameObject("/Annots")] = kept
    elif "/Annots" in ours:
        del ours["/Annots"]


def _lead_to(writer: PdfWriter, link: DictionaryObject, target: Sheet, anchor: str) -> None:
    """Point a link to an anchor of a page of the site, or to its beginning if the PDF has no such anchor."""
    place = target.pdf.named_destinations.get(anchor)
    page = target.pdf.get_destination_page_number(place) if place else 0
    top = place.get("/Top", NullObject()) if place else NullObject()
    link.pop("/A", None)
    there = writer.pages[target.first - 1 + max(page or 0, 0)].indirect_reference
    kind = [NameObject("/XYZ"), NullObject(), top, NumberObject(0)]
    link[NameObject("/Dest")] = ArrayObject([there, *kind])


def _sections(sheet: Sheet) -> Iterator[tuple[str, int]]:
    """Headings of the second level with the page, counted from 0, on which they stand."""
    words = {"".join(heading.split()): heading for heading in sheet.sections}  # Chromium loses some spaces
    for inside in sheet.pdf.outline:
        for item in inside if isinstance(inside, list) else []:  # a list holds what stands under the title
            title = "" if isinstance(item, list) else "".join(item.title.split())
            if title in words:
                yield words[title], max(sheet.pdf.get_destination_page_number(item) or 0, 0)


def main() -> int:
    """The command line. Returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--site", type=Path, default=ROOT / "_build/html", help="the built website")
    parser.add_argument("--output", type=Path, default=ROOT / "_build/course.pdf", help="the PDF")
    parser.add_argument("--solutions", action="store_true", help="print the solutions too")
    parser.add_argument("--pages", nargs="+", default=[], metavar="NAME", help="only these pages")
    arguments = parser.parse_args()
    program = find_browser()
    if not program:
        print("No Chromium, Chrome or Edge was found on this machine; it prints the pages.", file=sys.stderr)
        return 1
    if not (arguments.site / "notebooks").is_dir():
        print(f"There is no website in {arguments.site}: `make book` builds it.", file=sys.stderr)
        return 1
    started = time.perf_counter()
    contents = yaml.safe_load((ROOT / "book/_toc.yml").read_text(encoding="utf-8"))
    try:
        book = sheets(contents, arguments.solutions, arguments.pages)
    except ValueError as error:
        parser.error(str(error))
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        writer = print_book(browser, arguments.site, book)
        browser.close()
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    writer.write(arguments.output)
    size = arguments.output.stat().st_size / 1e6
    print(
        f"{arguments.output}: {len(writer.pages)} pages, {size:.1f} MB, {time.perf_counter() - started:.0f} s"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
