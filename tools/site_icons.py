"""The icons of the website, as SVG: the glyphs of Font Awesome that the theme's pages name.

The theme would load all of Font Awesome, 1.5 MB of script and three fonts, on every page.
"""

from __future__ import annotations

import re
from pathlib import Path

from fontTools.pens.svgPathPen import SVGPathPen
from fontTools.pens.transformPen import TransformPen
from fontTools.ttLib import TTFont

# Font file: the icons of it that the pages use. tools/web/icons.mjs stops at one that is not here.
USED = {
    "fa-solid-900.ttf": [
        *["angle-left", "angle-right", "arrow-up", "bars", "chevron-down", "circle-half-stroke", "download"],
        *["expand", "file", "file-pdf", "lightbulb", "list", "magnifying-glass", "moon", "rocket", "sun"],
    ],
    "fa-brands-400.ttf": ["github"],
}


def icons(site: Path) -> dict[str, dict[str, str]]:
    """Each icon's `viewBox` and `path`, from the fonts and the stylesheet in the raw site's folder."""
    folder = next((site / "_static/vendor/fontawesome").glob("*/webfonts"))
    style = (folder.parent / "css/all.min.css").read_text(encoding="utf-8")
    codes = {}
    for selectors, code in re.findall(r'([^{}]+)\{content:"\\([0-9a-f]+)"\}', style):
        for name in re.findall(r"\.fa-([\w-]+):{1,2}before", selectors):
            codes[name] = int(code, 16)
    found = {}
    for file, names in USED.items():
        with TTFont(folder / file) as font:
            glyphs, letters, top = font.getGlyphSet(), font.getBestCmap(), font["hhea"].ascent
            bottom = font["hhea"].descent
            for name in names:
                glyph = glyphs[letters[codes[name]]]
                pen = SVGPathPen(glyphs, ntos=lambda v: f"{v:.0f}")
                glyph.draw(TransformPen(pen, (1, 0, 0, -1, 0, top)))  # in SVG, y points down
                found[name] = {
                    "viewBox": f"0 0 {glyph.width:.0f} {top - bottom:.0f}",
                    "path": pen.getCommands(),
                }
    return found
