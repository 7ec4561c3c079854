"""Build the website from the notebooks and pages.

python -m tools.site                 into _build/html, what changed
python -m tools.site --strict        from nothing, warnings are errors

Jupyter Book writes its pages into `_build/raw`. Then tools/web/finish.mjs, one Node process for all pages
that changed, writes them into `_build/html` as readers get them: formulas set by KaTeX, icons as SVG, one
stylesheet and one script for the whole site, pictures and interactive figures in files of their own.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tools import live
from tools.course import ROOT, repository_url
from tools.site_icons import icons
from tools.site_node import SITE_TOOLS, install, node

OWN = ROOT / "book/site"  # our scripts and styles; copied to `_course/` of the site
FINISHED = "finished.json"  # beside the raw pages: what was made into what


def content(page: str) -> bool:
    """A page that a person wrote, not one of Sphinx."""
    return "/" in page


def overview(page: str) -> bool:
    """A page that shows the reader's progress as a whole."""
    return page in ("book/front/home.html", "book/front/progress.html")


# Which page gets which file of `book/site`, in this order. Scripts are deferred, `print.css` is for paper,
# the other stylesheets are a part of the site's own. A file that does not exist is left out, every other file
# of the folder is copied, for a script to fetch. A page is named as in "notebooks/03_convolution_layer.html".
GETS: dict[str, Callable[[str], bool]] = {
    "page.js": content,
    "print.css": content,
    "progress.js": content,
    "progress-overview.js": overview,
    "live.js": live.live,
}


def build(output: Path, strict: bool) -> int:
    """Run Jupyter Book and finish the pages. Returns the exit status; `output` gets `_build/html`."""
    raw, html = output / "_build/raw", output / "_build/html"
    if strict:
        for folder in (raw, html):
            shutil.rmtree(folder, ignore_errors=True)
    install(SITE_TOOLS)
    start = "from jupyter_book.cli.main import main; main()"  # the package has no `python -m`
    command = [sys.executable, "-c", start, "build", ROOT, "--toc", ROOT / "book/_toc.yml"]
    command += ["--path-output", raw, *(["-W", "--keep-going"] if strict else [])]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    status = subprocess.run(
        [str(part) for part in command], cwd=ROOT, env=environment, check=False
    ).returncode
    return status or finish(raw / "_build/html", html)


def finish(raw: Path, html: Path) -> int:
    """Write the pages that changed as readers get them, with the files they need. Returns the exit status."""
    names = sorted(
        path.relative_to(raw).as_posix() for path in raw.rglob("*.html") if "_static" not in path.parts
    )
    ours = {path.relative_to(OWN).as_posix() for path in OWN.rglob("*") if path.is_file()}
    tools = [*sorted(SITE_TOOLS.glob("*.mjs")), SITE_TOOLS / "package-lock.json", Path(__file__)]
    tools += [Path(__file__).with_name("site_icons.py"), *sorted(raw.glob("_static/**/*.css"))]
    common = hashlib.sha256(b"".join(path.read_bytes() for path in tools))
    before = _read(raw / FINISHED)
    now, todo = {}, []
    for name in names:
        gets = [file for file, wants in GETS.items() if file in ours and wants(name)]
        page = hashlib.sha256((raw / name).read_bytes() + json.dumps(gets).encode() + common.digest())
        now[name] = page.hexdigest()
        if now[name] != before.get(name) or not (html / name).is_file():
            todo.append({"name": name, "gets": gets})
    own = hashlib.sha256(b"".join(f.encode() + (OWN / f).read_bytes() for f in sorted(ours))).hexdigest()
    now["own"] = own
    if todo or now != before:
        (raw / FINISHED).unlink(missing_ok=True)
        job = {"raw": str(raw), "html": str(html), "own": str(OWN), "pages": todo, "all": names}
        job |= {"icons": icons(raw), "repository": repository_url()}
        done = subprocess.run(
            [node(), "finish.mjs"], cwd=SITE_TOOLS, input=json.dumps(job), text=True, check=False
        )
        if done.returncode:
            return done.returncode
        (raw / FINISHED).write_text(json.dumps(now, indent=0), encoding="utf-8")
    live.add(html)
    return 0


def _read(path: Path) -> dict[str, str]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def main() -> int:
    """The command line. Returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--strict", action="store_true", help="build from nothing, with warnings as errors")
    parser.add_argument(
        "--output", type=Path, default=ROOT, help="folder that gets _build/html (default: the course)"
    )
    arguments = parser.parse_args()
    started = time.perf_counter()
    try:
        status = build(arguments.output.resolve(), arguments.strict)
    except (FileNotFoundError, RuntimeError) as error:  # no Node, or npm without a network
        print(error, file=sys.stderr)
        status = 1
    page = arguments.output / "_build/html/index.html"
    if status:
        print("The website was not built: see the messages above.", file=sys.stderr)
    else:
        print(f"\nBuilt in {time.perf_counter() - started:.0f} s. Open {page} in a browser,")
        print("or type `make serve` and go to http://localhost:8000")
    return status


if __name__ == "__main__":
    raise SystemExit(main())
