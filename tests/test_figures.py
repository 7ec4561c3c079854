"""What every interactive figure keeps: what Jupyter gets, a small script, a phone, a page without scripts."""

import base64
import io

import pytest
from PIL import Image

from tools import draw_figures
from utils import figures
from utils.figures._figure import _squeezed

MAKE = draw_figures.SHOWN


@pytest.mark.parametrize("name", MAKE)
def test_bundle(name):
    bundle, about = MAKE[name]()._repr_mimebundle_()
    assert about["image/png"]["alt"] in bundle["text/plain"]
    assert set(bundle) == {"text/html", "image/png", "text/plain"}
    picture = base64.b64decode(bundle["image/png"])
    assert len(picture) <= draw_figures.LARGEST
    assert Image.open(io.BytesIO(picture)).width >= 600
    assert 60 < len(bundle["text/plain"]) < 400
    assert f"<{name}" in bundle["text/html"]
    assert 'alt="' in bundle["text/html"]
    assert bundle == MAKE[name]()._repr_mimebundle_()[0]


@pytest.mark.parametrize("name", MAKE)
def test_script_is_small_and_alone(name):
    text = figures.script(name)
    assert len(text.encode()) <= 20_000
    assert "import " not in text
    assert "export " not in text
    assert "http" not in text
    assert "</script" not in text


@pytest.mark.parametrize("name", MAKE)
def test_on_a_phone(show, name):
    tab, element = show(MAKE[name](), width=375)
    assert element.bounding_box()["height"] > 100
    assert tab.evaluate("document.documentElement.scrollWidth") <= 375
    assert tab.errors == []


@pytest.mark.parametrize("name", MAKE)
def test_without_scripts_the_picture_stands_in(show, name):
    _, element = show(MAKE[name](), java_script_enabled=False)
    image = element.locator("img")
    assert image.bounding_box()["height"] > 100
    assert len(image.get_attribute("alt")) > 60


@pytest.mark.parametrize("name", MAKE)
def test_twice_on_a_page(show, name):
    one = MAKE[name]()
    twice = figures.Figure(one.name, one.alt)
    twice._repr_mimebundle_ = lambda: ({"text/html": one._repr_mimebundle_()[0]["text/html"] * 2}, {})
    tab, element = show(twice)
    assert element.count() == 2
    assert tab.errors == []


@pytest.mark.parametrize(
    ("line", "squeezed"),
    [
        ("const f = (a, b) => a === b;", "const f=(a,b)=>a===b;"),
        ('say("one, two; three: a = b", c);', 'say("one, two; three: a = b",c);'),
        ("<p>One, two; three</p>;", "<p>One, two; three</p>;"),
        ("note = `height = ${a}, ${b}`;", "note = `height = ${a}, ${b}`;"),
        (
            ".paper :hover > * { margin: 0 auto; width: calc(1px + 2em) }",
            ".paper :hover > *{margin:0 auto;width:calc(1px + 2em)}",
        ),
    ],
)
def test_only_spaces_that_nobody_sees_are_left_out(line, squeezed):
    assert _squeezed(line) == squeezed
