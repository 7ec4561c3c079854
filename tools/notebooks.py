"""Chapters: text to executed notebooks.

python -m tools.notebooks build [NAME ...] [--force] [--jobs N]    run what changed
python -m tools.notebooks check                                    fail where a notebook is stale or edited
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from tools.build import Target, build_all, check_all
from tools.course import ROOT


def chapters() -> list[Target]:
    """Every chapter of the book, in order."""
    sources = sorted((ROOT / "book/chapters").glob("[0-9]*.md"))
    return [Target(s, ROOT / "notebooks" / f"{s.stem}.ipynb", as_written) for s in sources]


def as_written(notebook):
    """A chapter runs as it is written. (A named function, so that it travels to worker processes.)"""
    return notebook


def main(targets: Callable[[], list[Target]], folders: list[Path], doc: str) -> int:
    """The command line that chapters and exercises share. Returns the exit status."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=["build", "check"])
    parser.add_argument("names", nargs="*", help="only these, for instance 03_convolution_layer")
    parser.add_argument("--force", action="store_true", help="run even what did not change")
    parser.add_argument("--jobs", type=int, help="notebooks at once (default: one a core)")
    arguments = parser.parse_args()
    chosen = targets()
    if arguments.names:
        known = {t.source.stem for t in chosen}
        if unknown := sorted(set(arguments.names) - known):
            parser.error(f"names: got {', '.join(unknown)}, expected some of {', '.join(sorted(known))}")
        chosen = [t for t in chosen if t.source.stem in arguments.names]
    if arguments.verb == "build":
        return 1 if build_all(chosen, arguments.force, arguments.jobs) else 0
    wrong = check_all(chosen, [] if arguments.names else folders)
    if wrong:
        print("Rebuild with `make notebooks exercises` and commit the result.")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main(chapters, [ROOT / "notebooks"], __doc__))
