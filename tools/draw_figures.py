"""Draw the pictures that stand in for the interactive figures where scripts do not run.

python -m tools.draw_figures [NAME ...]     needs Chromium; writes utils/figures/pictures/NAME.png
"""

from __future__ import annotations

import argparse
import io
import shutil

from PIL import Image

from utils import data, figures

WIDTH, LARGEST = 640, 15_000  # CSS pixels, bytes
SHOWN = {
    "architecture-explorer": lambda: figures.architecture_explorer(
        left="alexnet", right="resnet18", quantity="multiply-adds"
    ),
    "backprop-explorer": figures.backprop_explorer,
    "confusion-browser": figures.confusion_browser,
    "conv-explorer": lambda: figures.conv_explorer(padding=1),
    "cost-calculator": lambda: figures.cost_calculator(14, 24, 24, 5),
    "depth-slider": lambda: figures.depth_slider(),
    "kernel-playground": lambda: figures.kernel_playground(
        picture=data.photograph(gray=True, size=(168, 144))[16:100, 33:106]
    ),
    "lenet-explorer": lambda: figures.lenet_explorer(picture=27),
    "pooling-explorer": lambda: figures.pooling_explorer(kernel_size=3),
    "receptive-field-explorer": lambda: figures.receptive_field_explorer("stride 2 first"),
    "transposed-explorer": figures.transposed_explorer,
}
LEFT_OUT = {  # of the picture: it must stay small
    "architecture-explorer": ".bar, .said, details, .status, .totals",
    "backprop-explorer": ".bar, .note",
    "cost-calculator": ".bar, .note, .sum, ol",
    "depth-slider": ".bar, .said, .layer, table",
    "confusion-browser": ".side, details, .note",
    "kernel-playground": ".bar, .note, .sum",
    "lenet-explorer": ".bar, .note, [aria-label^=test], figcaption:has(+ [aria-label^=test])",
    "transposed-explorer": ".bar, .note, .head + .sum, [data-part=b], [data-part=m]",
}
COLORS = {"cost-calculator": 12, "lenet-explorer": 12}  # 24 without an entry


def page(figure: figures.Figure) -> str:
    """A page with nothing but one figure."""
    body = f"<{figure.name}{figure.words()}></{figure.name}><script>{figures.script(figure.name)}</script>"
    return f"<!doctype html><meta charset=utf-8><body style='margin:8px;font-family:sans-serif'>{body}"


def draw(name: str) -> int:
    """Write the picture of one figure: a screenshot in few colors. Returns its size in bytes."""
    from playwright.sync_api import sync_playwright

    program = next(p for p in map(shutil.which, ("chromium", "google-chrome", "chrome")) if p)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        tab = browser.new_page(viewport={"width": WIDTH + 16, "height": 900})
        tab.set_content(page(SHOWN[name]()))
        tab.wait_for_function("name => document.querySelector(name).shadowRoot", arg=name)
        if name in LEFT_OUT:
            tab.locator(name).locator(LEFT_OUT[name]).evaluate_all("all => all.forEach(e => e.remove())")
        shot = Image.open(io.BytesIO(tab.locator(name).screenshot()))
        browser.close()
    path = figures.HERE / "pictures" / f"{name}.png"
    shot.convert("RGB").quantize(COLORS.get(name, 24)).save(path, optimize=True)
    return path.stat().st_size


def main() -> int:
    """The command line. Returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(SHOWN)}")
    names = parser.parse_args().names or list(SHOWN)
    if unknown := sorted(set(names) - set(SHOWN)):
        parser.error(f"NAME: got {', '.join(unknown)}, expected some of {', '.join(SHOWN)}")
    sizes = {name: draw(name) for name in names}
    print("\n".join(f"{name:24} {size:,} bytes" for name, size in sizes.items()))
    return int(any(size > LARGEST for size in sizes.values()))


if __name__ == "__main__":
    raise SystemExit(main())
