"""What every interactive figure keeps: what Jupyter gets, a small script, a phone, a page without scripts."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from tests.browser import run_in_node
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


SMALLEST = """figure => Math.min(...[...figure.shadowRoot.querySelectorAll('*')]
    .filter(e => e.checkVisibility() && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
    .filter(e => !['STYLE', 'OPTION'].includes(e.tagName)).map(e => parseFloat(getComputedStyle(e).fontSize)))"""


@pytest.mark.parametrize("name", MAKE)
def test_no_text_is_smaller_than_eleven_pixels(show, name):
    _, element = show(MAKE[name](), width=375)
    assert element.evaluate(SMALLEST) >= 11


@pytest.mark.parametrize("make", [figures.cost_calculator, figures.confusion_browser, figures.lenet_explorer])
def test_bars_keep_their_color_in_high_contrast(show, make):
    _, element = show(make(), forced_colors="active")
    bar = element.locator(".bars i, td > i").first
    bar.wait_for(state="attached")
    assert bar.evaluate("bar => getComputedStyle(bar).backgroundColor") == "rgb(0, 114, 178)"


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
    _, element = show(twice)
    assert element.count() == 2


def test_numbers_are_read_and_written_alike(tmp_path):
    rng = np.random.default_rng(0)
    sizes = rng.choice([-1, 1], 400) * 10 ** rng.uniform(-3, 12, 400)
    values = np.where(rng.random(400) < 0.3, sizes.round(), sizes)
    fixtures = [{"value": v, "room": r} for v, r in zip(values, rng.uniform(2, 6, 400).round(2), strict=True)]
    assert "pass 3" in run_in_node("kit.test.mjs", fixtures, tmp_path)


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
