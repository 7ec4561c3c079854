"""What every interactive figure is to Jupyter: an element, its script, and a picture that stands in."""

from __future__ import annotations

import base64
import html
import json
from pathlib import Path

HERE = Path(__file__).resolve().parent


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


def script(name: str) -> str:
    """The script that defines the element of this name: it needs nothing else, and keeps its names to itself.

    ValueError for a name that no figure has. `python -m tools.build_figures` makes it from `scripts/`.
    """
    path = HERE / "built" / f"{name}.js"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in path.parent.glob("*.js")))
        raise ValueError(f"name: got {name!r}, expected one of {known}")
    return path.read_text(encoding="utf-8")
