"""Build the website from the notebooks and pages.

python -m tools.site                 into _build/html, what changed
python -m tools.site --strict        from nothing, warnings are errors
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tools.course import ROOT

# Jupyter Book always loads Thebe, and twice, which is a script error on every page. We do not use it.
THEBE = re.compile(
    r"<script[^>]*>\s*const THEBE_JS_URL.*?</script>|<script[^>]*sphinx-thebe\.js[^>]*></script>", re.S
)


def build(output: Path, strict: bool) -> int:
    """Run Jupyter Book and tidy the pages. Returns the exit status; `output` gets a folder `_build/html`."""
    if strict:
        shutil.rmtree(output / "_build", ignore_errors=True)
    start = "from jupyter_book.cli.main import main; main()"  # the package has no `python -m`
    command = [sys.executable, "-c", start, "build", ROOT, "--toc", ROOT / "book/_toc.yml"]
    command += ["--path-output", output, *(["-W", "--keep-going"] if strict else [])]
    status = subprocess.run([str(part) for part in command], cwd=ROOT, check=False).returncode
    if status == 0:
        tidy(output / "_build/html")
    return status


def tidy(html: Path) -> None:
    """Remove from the pages what the course does not use."""
    for page in html.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        clean = THEBE.sub("", text)
        if clean != text:
            page.write_text(clean, encoding="utf-8")
    (html / ".nojekyll").touch()


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
    status = build(arguments.output, arguments.strict)
    page = arguments.output / "_build/html/index.html"
    if status:
        print("The website was not built: see the warnings above.", file=sys.stderr)
    else:
        print(f"\nBuilt in {time.perf_counter() - started:.0f} s. Open {page} in a browser,")
        print("or type `make serve` and go to http://localhost:8000")
    return status


if __name__ == "__main__":
    raise SystemExit(main())
