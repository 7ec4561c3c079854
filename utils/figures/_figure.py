"""What every interactive figure is to Jupyter: an element, its script, and a picture that stands in."""

from __future__ import annotations

import base64
import functools
import html
import json
import re
from pathlib import Path

HERE = Path(__file__).resolve().parent
_IMPORT = re.compile(r'^import \{.*?\} from "\./([\w-]+\.js)";\n', re.MULTILINE | re.DOTALL)


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
        """The element in HTML, with its picture inside, which shows until the script runs."""
        picture = f"data:image/png;base64,{base64.b64encode(self.picture()).decode()}"
        stand_in = f'<img alt="{html.escape(self.alt)}" src="{picture}" style="max-width:100%">'
        return f"<{self.name}{self.words()}>{stand_in}</{self.name}>"

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
    """The script of a figure: its modules one after the other, without comments, in a scope of their own."""
    return "(() => {\n" + "".join(_modules(f"{name}.js", [])) + "})();\n"


def _modules(file: str, done: list[str]) -> list[str]:
    """The text of a module after those that it imports, each once."""
    text = (HERE / "scripts" / file).read_text(encoding="utf-8")
    parts = [part for name in _IMPORT.findall(text) if name not in done for part in _modules(name, done)]
    done.append(file)
    body = re.sub(r"^export ", "", _IMPORT.sub("", text), flags=re.MULTILINE)
    lines = [re.sub(r"\s+// .*$", "", line).strip() for line in body.splitlines()]
    lines = [_squeezed(line) for line in lines]
    return [*parts, "".join(f"{line}\n" for line in lines if line and not line.startswith("//"))]
