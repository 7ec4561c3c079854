"""Where a Chromium is, for the tests and for the PDF of the book."""

from __future__ import annotations

import shutil
from pathlib import Path

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
FLAGS += ["--disable-sync", "--no-first-run"]


def find_browser() -> str | None:
    """Chromium, Chrome or Edge, wherever it lies; None where there is none."""
    names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge"]
    places = ["/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"]
    return next((p for p in [*map(shutil.which, names), *places] if p and Path(p).exists()), None)
