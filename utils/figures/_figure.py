"""What every interactive figure is to Jupyter: an element, its script, and a picture that stands in."""

from __future__ import annotations

import base64
import functools
import html
import json
import re
from collections import Counter
from pathlib import Path

from utils.figures._tight import tight

HERE = Path(__file__).resolve().parent
_IMPORT = re.compile(r'^import \{.*?\} from "\./([\w-]+\.js)";\n', re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"^\s*//(?: .*)?\n|\s+// .*$", re.MULTILINE)
_STATEMENT = re.compile(r"^(?=(?:export|const|class|function|async|define)\b)", re.MULTILINE)
_WORD = re.compile(r"(?:(?<=\.\.\.)|(?<![\w$.<#-]))\w+(?![\w:{=-])")
_CONSTANTS = re.compile(r"^( *)(const [^;\n]*);\n\1const ", re.MULTILINE)
_EXPORT = re.compile(r"export (?:async )?(?:const|function) (\w+)")


class Figure:
    """A custom element with its attributes: what Jupyter shows for it, with script and without."""

    def __init__(self, name: str, alt: str, **attributes: object):
        self.name, self.alt = name, alt
        self.attributes = {key: value for key, value in attributes.items() if value not in (None, False)}

    def __repr__(self) -> str:
        return f"Figure: {self.alt}"

    def words(self) -> str:
        """The attributes as HTML writes them."""
        return "".join(f' {key}="{html.escape(_text(value))}"' for key, value in self.attributes.items())

    def element(self) -> str:
        """The element in HTML, with its picture inside, which shows until the script runs.

        JupyterLab takes no key that is pressed in it for a shortcut: the attribute is its own way to say so.
        """
        picture = f"data:image/png;base64,{base64.b64encode(self.picture()).decode()}"
        stand_in = f'<img alt="{html.escape(self.alt)}" src="{picture}" style="max-width:100%">'
        return f'<{self.name}{self.words()} data-lm-suppress-shortcuts="true">{stand_in}</{self.name}>'

    def picture(self) -> bytes:
        """The PNG that stands in where scripts do not run."""
        return (HERE / "pictures" / f"{self.name}.png").read_bytes()

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict[str, str], dict[str, dict]]:
        shown = {
            "text/html": f"{self.element()}<script>{script(self.name)}</script>",
            "image/png": base64.b64encode(self.picture()).decode(),
            "text/plain": repr(self),
        }
        return shown, {"image/png": {"alt": self.alt}}


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value if isinstance(value, str) else "" if value is True else json.dumps(value)


def _squeezed(line: str) -> str:
    """A line without the spaces that only a reader needs: none that could stand in a text on the page."""
    line = re.sub(r" ?(?<!\$)\{ ", "{", line).replace(" }", "}")
    line = re.sub(r" (=>|===|!==|&&|\|\||\?\?=?) ", r"\1", line)
    if line.endswith((";", ",", "{", "}")) and not re.search(r"['`]|</?\w", line):
        code = re.split(r'("[^"]*")', line)
        code[::2] = [re.sub(r"([,;:]) | (=|<=) ", r"\1\2", part) for part in code[::2]]
        line = "".join(code)
    return line


@functools.cache
def script(name: str) -> str:
    """The script of a figure: what it uses of its modules, without comments, in a scope of its own."""
    parts = _used(_modules(f"{name}.js", []))
    lines = (line.strip() for part in parts for line in _joined(part.removeprefix("export ")).splitlines())
    text = "".join(f"{_squeezed(line)}\n" for line in lines if line)
    return tight("(() => {\n" + re.sub(r"(?<=[;{])\n|\n(?=[}.:?])", "", text) + "})();\n")


def _joined(part: str) -> str:
    """The statements with neighbors that declare constants, too, as one: const a = 1, b = 2."""
    joined = _CONSTANTS.sub(r"\1\2, ", part)
    return part if joined == part else _joined(joined)


def _modules(file: str, done: list[str]) -> list[str]:
    """The statements of a module after those of the modules that it imports, each module once."""
    text = (HERE / "scripts" / file).read_text(encoding="utf-8")
    before = [part for name in _IMPORT.findall(text) if name not in done for part in _modules(name, done)]
    done.append(file)
    return before + _STATEMENT.split(_COMMENT.sub("", _IMPORT.sub("", text)))


def _used(parts: list[str]) -> list[str]:
    """The parts without exports whose name no other part has, as word of a script and not of a style."""
    exports = [(part, found[1]) for part in parts if (found := _EXPORT.match(part))]
    words = Counter(_WORD.findall("".join(parts)))
    unused = [part for part, name in exports if words[name] == 1]
    return _used([part for part in parts if part not in unused]) if unused else parts
