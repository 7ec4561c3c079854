"""The site's search knows sizes and spares readers the answers: a Sphinx extension.

Sphinx cuts texts into words of letters and digits, so that "1×1 convolution" would be found by "convolution"
alone. Here a size is one word, written with × as on our pages or with the letter x, as it is typed: "1x1",
"28x28". And a solution stands below all other pages that a search finds.
"""

from __future__ import annotations

import re

import sphinx.search
from sphinx.search.en import SearchEnglish

SIZE = re.compile(r"(?<=\d) ?× ?(?=\d)")

# Sphinx writes this into language_data.js, which the page of the search loads behind Sphinx's own script.
SCRIPT = r"""
var splitQuery = (query) => query
  .replace(/(?<=\d) ?× ?(?=\d)/g, "x")
  .split(/[^\p{Letter}\p{Number}_\p{Emoji_Presentation}]+/u)
  .filter((word) => word);
Scorer.score = ([page, , , , score]) => score - (/^solutions/.test(page) ? 1000 : 0);
"""


class CourseSearch(SearchEnglish):
    """English words, and sizes like 3×3 as words of their own."""

    js_splitter_code = SCRIPT

    def split(self, input: str) -> list[str]:
        return super().split(SIZE.sub("x", input))


def setup(app) -> dict:
    sphinx.search.languages["en"] = CourseSearch
    return {"parallel_read_safe": True, "parallel_write_safe": True}
