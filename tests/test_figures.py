"""What every interactive figure keeps: what Jupyter gets, a small script, a phone, a page without scripts."""

import base64
import io
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.browser import REQUIRED, run_in_node
from tools import build_figures, draw_figures
from tools.site_node import SITE_TOOLS, install
from utils import figures

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
    assert "<!--" not in text


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


START = """(figure, n) => {
    const grid = [...figure.shadowRoot.querySelectorAll("table[role=grid]")].filter(e => e.checkVisibility())[n];
    const stops = grid ? [...grid.querySelectorAll("[tabindex]")].filter(e => e.checkVisibility({visibilityProperty: true})) : [];
    stops[stops.length >> 1]?.focus();
    return stops.length;
}"""
# Where the focus is in its grid, and the places in that grid that can have it, as rows and columns.
PLACES = """figure => {
    const { activeElement } = figure.shadowRoot, cells = [...activeElement.closest("table").querySelectorAll("td")];
    const can = e => [...e.querySelectorAll("[tabindex]")].some(stop => stop.checkVisibility({visibilityProperty: true}));
    return [activeElement.closest("td"), ...cells.filter(can)].map(cell => [cell.parentNode.rowIndex, cell.cellIndex]);
}"""


@pytest.mark.parametrize("name", MAKE)
def test_home_and_end_in_every_grid(show, name):
    """As in ARIA's pattern of a grid: to the ends of the row; with Ctrl to the first and the last cell of all."""
    tab, element = show(MAKE[name]())
    element.locator(".frame").first.wait_for()
    for n in range(element.locator("table[role=grid]:visible").count()):
        for key in ("End", "Home", "Control+End", "Control+Home"):
            if not element.evaluate(START, n):  # nothing to choose, or not shown any more
                continue
            here, *places = element.evaluate(PLACES)
            among = places if "Control" in key else [place for place in places if place[0] == here[0]]
            tab.keyboard.press(key)
            assert element.evaluate(PLACES)[0] == among[-1 if "End" in key else 0], (n, key)


# ---- from scripts/ to built/ ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built():
    """The committed scripts, by the names of their figures, where esbuild is there to compare them with."""
    try:
        install(SITE_TOOLS)
    except (FileNotFoundError, RuntimeError) as error:
        if REQUIRED:
            pytest.fail(f"CONVNETS_REQUIRE_BROWSER is set, but {error}")
        pytest.skip(str(error))
    return {file.stem: file.read_text(encoding="utf-8") for file in build_figures.BUILT.iterdir()}


def test_built_scripts_are_what_the_sources_give(built):
    assert set(built) == set(MAKE)
    stale = [name for name, text in build_figures.bundles().items() if text != built[name]]
    assert not stale, "python -m tools.build_figures"


@pytest.mark.parametrize(
    ("file", "old", "new", "changed"),
    [
        ("price.js", '"bias=False"', '"bias=True"', {"cost-calculator"}),
        ("cells.js", "font-style: italic", "font-weight: bold", {"backprop-explorer", "transposed-explorer"}),
        ("kit.js", "This figure could not start", "This figure did not start", set(MAKE)),
        ("price.js", "// One layer", "// A layer", set()),
    ],
)
def test_a_source_that_changes_changes_the_figures_that_use_it(built, tmp_path, file, old, new, changed):
    scripts = shutil.copytree(build_figures.SCRIPTS, tmp_path / "scripts")
    text = (scripts / file).read_text(encoding="utf-8")
    assert text.count(old) == 1
    (scripts / file).write_text(text.replace(old, new), encoding="utf-8")
    now = build_figures.bundles(scripts)
    assert {name for name in MAKE if now[name] != built[name]} == changed


def test_a_mistake_in_a_source_is_named(built, tmp_path):
    scripts = shutil.copytree(build_figures.SCRIPTS, tmp_path / "scripts")
    (scripts / "conv.js").write_text("export const = 1;\n", encoding="utf-8")
    with pytest.raises(RuntimeError, match=r"conv\.js:1:13"):
        build_figures.bundles(scripts)


def test_a_name_without_a_figure_is_refused():
    with pytest.raises(ValueError, match="name: got 'conv', expected one of architecture-explorer, "):
        figures.script("conv")
