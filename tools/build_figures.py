"""Bundle the scripts of the interactive figures, so that showing one needs nothing but Python.

python -m tools.build_figures     writes utils/figures/built/NAME.js (esbuild; npm installs it once)

A custom element has a hyphen in its name, and so has the script that defines it; the modules that it imports
have none.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

from tools.course import ROOT
from tools.site_node import SITE_TOOLS, install, node

SCRIPTS = ROOT / "utils/figures/scripts"
BUILT = ROOT / "utils/figures/built"
OPTIONS = ["--bundle", "--minify", "--format=iife", "--target=es2020", "--charset=utf8"]
OPTIONS += ["--log-level=warning", "--banner:js=/* From utils/figures/scripts, by tools/build_figures.py */"]


def bundles(scripts: Path = SCRIPTS) -> dict[str, str]:
    """The bundled script of every figure, by its name. RuntimeError, with the reason, where there is none."""
    entries = sorted(scripts.glob("*-*.js"))
    install(SITE_TOOLS)
    esbuild = SITE_TOOLS / "node_modules/esbuild/bin/esbuild"
    with tempfile.TemporaryDirectory() as folder:
        command = [node(), str(esbuild), *map(str, entries), *OPTIONS, f"--outdir={folder}"]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
        if done.returncode or done.stderr:
            raise RuntimeError(f"esbuild could not bundle {scripts}:\n{done.stderr}")
        return {entry.stem: (Path(folder) / entry.name).read_text(encoding="utf-8") for entry in entries}


def main() -> int:
    """The command line. Returns the exit status."""
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    scripts = bundles()
    BUILT.mkdir(exist_ok=True)
    for path in BUILT.glob("*.js"):
        if path.stem not in scripts:
            path.unlink()
    for name, text in scripts.items():
        (BUILT / f"{name}.js").write_text(text, encoding="utf-8", newline="\n")
        print(f"{name:26} {len(text.encode()):,} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
