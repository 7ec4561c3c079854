"""Scripts without the spaces that only a reader of the code needs: what stands in quotes stays as it is."""

from __future__ import annotations

import re

_BEFORE = r"[(,=:\[!&|?;>]"  # after one of these, a slash begins a pattern and is no division
_CODE = re.compile(
    r"""("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|"""
    rf"""(?:(?<={_BEFORE})|(?<={_BEFORE} ))/(?:\\.|\[(?:\\.|[^]\\])*]|[^/\\\n[])+/)|[`{{}}]|[^"'`{{}}/]+|/"""
)
_TEXT = re.compile(r"(?:\\.|\$(?!\{)|[^`$\\])*(?:`|\$\{)", re.DOTALL)  # of a template, to its end or to a ${
_SPACES = [
    (re.compile(r" ?([=*<>&|?:;,()\[\]!%]) ?"), r"\1"),
    (re.compile(r"(?<![+ ]) ?\+ (?!\+)"), "+"),  # "a + +b" needs its spaces
    (re.compile(r"(?<![- ]) ?- (?!-)"), "-"),
]


def tight(script: str) -> str:
    """The script without the spaces around its signs; strings, patterns, the text of templates are kept."""
    done, braces, at = "", [], 0  # braces: how many are open inside of each ${ } around this place
    while at < len(script):
        found = _CODE.match(script, at)
        piece, at = found[0], found.end()
        ends = piece == "}" and bool(braces) and braces[-1] == 0  # a ${ }: the text of its template goes on
        if ends:
            braces.pop()
        elif piece in "{}" and braces:
            braces[-1] += 1 if piece == "{" else -1
        elif not found[1]:
            for pattern, sign in _SPACES:
                piece = pattern.sub(sign, piece)
            piece = piece.lstrip(" ") if done.endswith(("{", "}")) else piece
            piece = piece.rstrip(" ") if script.startswith(("{", "}"), at) else piece
        done += piece
        if ends or piece == "`":
            text = _TEXT.match(script, at)
            done, at = done + text[0], text.end()
            if text[0].endswith("{"):
                braces.append(0)
    return done
