"""The interactive figures: their mathematics in Node beside PyTorch, what Jupyter gets, and a browser that plays."""

import base64
import io
import itertools
import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from tools import draw_figures
from tools.course import ROOT
from utils import figures
from utils import functional as ours

REQUIRED = bool(os.environ.get("CONVNETS_REQUIRE_BROWSER"))
MAKE = {"conv-explorer": figures.conv_explorer}


def node() -> str:
    """The Node that playwright brings along, else the one of the machine."""
    playwright = pytest.importorskip("playwright")
    bundled = Path(playwright.__file__).parent / "driver" / "node"
    found = str(bundled) if bundled.is_file() else shutil.which("node")
    if not found:
        pytest.skip("no Node on this machine")
    return found


# ---- mathematics ---------------------------------------------------------------------------------------------


def convolutions():
    """Hundreds of settings with random integers, and what PyTorch gives for them."""
    rng = np.random.default_rng(0)
    shapes = [((2, 6, 7), (2, 1, 3, 3), 2), ((2, 5, 6), (4, 2, 3, 2), 1), ((1, 6, 6), (1, 1, 2, 3), 1)]
    for (x_shape, w_shape, groups), *rest in itertools.product(
        shapes, (1, 2, 3), (0, 1, 2), (1, 2), figures.MODES, (False, True)
    ):
        stride, padding, dilation, mode, flip = rest
        x = torch.tensor(rng.integers(-5, 6, x_shape), dtype=torch.float64, requires_grad=True)
        w = torch.tensor(rng.integers(-5, 6, w_shape), dtype=torch.float64, requires_grad=True)
        padded = F.pad(x[None], (padding,) * 4, mode="constant" if mode == "zeros" else mode)
        if (
            padded.shape[2] < dilation * (w.shape[2] - 1) + 1
            or padded.shape[3] < dilation * (w.shape[3] - 1) + 1
        ):
            continue
        used = w.flip(-1, -2) if flip else w
        y = F.conv2d(padded, used, stride=stride, dilation=dilation, groups=groups)[0]
        upstream = torch.tensor(rng.integers(-3, 4, y.shape), dtype=torch.float64)
        y.backward(upstream)
        names = ("stride", "padding", "dilation", "groups", "mode", "flip")
        values = (stride, padding, dilation, groups, mode, flip)
        arrays = {"x": x, "w": w, "upstream": upstream, "y": y, "dx": x.grad, "dw": w.grad}
        yield {"options": dict(zip(names, values, strict=True))} | {k: a.tolist() for k, a in arrays.items()}


def test_the_mathematics_equals_pytorch(tmp_path):
    path = tmp_path / "fixtures.json"
    path.write_text(json.dumps(list(convolutions())))
    ran = subprocess.run(
        [node(), "--test", "tests/figures/conv.test.mjs"],
        cwd=ROOT,
        env={**os.environ, "CONVNETS_FIXTURES": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-3000:]
    assert "pass 2" in ran.stdout


# ---- what Jupyter gets ---------------------------------------------------------------------------------------


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


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"stride": 0}, "stride: got 0, expected an integer from 1 to 3"),
        ({"padding": 4}, "padding: got 4"),
        ({"dilation": 1.5}, "dilation: got 1.5"),
        ({"mode": "mirror"}, "mode: got 'mirror', expected one of zeros, reflect"),
        ({"channels": "3"}, "channels: got '3'"),
        ({"input": [[1, 2], [3]]}, "input: expected rows of equal length"),
        ({"kernel": [["a"]]}, "kernel: got"),
        ({"kernel": [[1] * 6]}, "kernel: expected rows of equal length, 1 to 5"),
    ],
)
def test_bad_arguments(wrong, told):
    with pytest.raises(ValueError, match=told.replace("(", r"\(")):
        figures.conv_explorer(**wrong)


# ---- in a browser --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser():
    program = next((p for p in map(shutil.which, ("chromium", "google-chrome", "chrome")) if p), None)
    if not program:
        if REQUIRED:
            pytest.fail("CONVNETS_REQUIRE_BROWSER is set, but no Chromium or Chrome was found")
        pytest.skip("no Chromium or Chrome on this machine")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield running
        running.close()


@pytest.fixture
def show(browser):
    """A function that shows a figure on an empty page and gives the tab and the figure in it."""
    contexts = []

    def show(figure, width=900, **settings):
        context = browser.new_context(viewport={"width": width, "height": 900}, **settings)
        contexts.append(context)
        tab = context.new_page()
        tab.errors = []
        tab.on("pageerror", lambda error: tab.errors.append(str(error)))
        tab.set_content(
            "<!doctype html><meta name=viewport content='width=device-width'>"
            + figure._repr_mimebundle_()[0]["text/html"]
        )
        return tab, tab.locator(figure.name)

    yield show
    for context in contexts:
        context.close()


def numbers(element, part: str) -> np.ndarray:
    """The numbers that stand in the tables of one part of the explorer."""
    read = """tables => tables.map(t => [...t.rows].map(r => [...r.cells].map(c =>
        Number((c.firstElementChild.value ?? c.firstElementChild.textContent).replace('−', '-')))))"""
    return np.array(element.locator(f"[data-part={part}] table").evaluate_all(read))


def computed(element, **options) -> np.ndarray:
    w = numbers(element, "w")
    return ours.conv2d(numbers(element, "x")[None], w.reshape(len(w), -1, *w.shape[1:]), **options)[0]


@pytest.mark.parametrize(("stride", "padding", "dilation"), [(1, 0, 1), (2, 1, 1), (1, 2, 2), (3, 3, 2)])
def test_explorer_shows_what_conv2d_gives(show, stride, padding, dilation):
    tab, element = show(figures.conv_explorer(stride, padding, dilation))
    # the input is read as it is shown: with its padding
    np.testing.assert_allclose(numbers(element, "y"), computed(element, stride=stride, dilation=dilation))
    assert f"= {numbers(element, 'y').shape[1]}" in element.locator("[data-size]").inner_text()
    assert tab.errors == []


def test_explorer_with_the_mouse(show):
    tab, element = show(figures.conv_explorer())
    element.locator("[data-kernel]").select_option("Sharpen")
    element.locator("[data-input]").select_option("Cross")
    element.locator("[data-option=padding]").fill("1")
    assert numbers(element, "y").shape == (1, 6, 6)
    np.testing.assert_allclose(numbers(element, "y"), computed(element))
    element.locator('[data-y="0,2,3"]').hover()
    assert element.locator(".sum").inner_text().startswith("y[2, 3] = ")
    assert element.locator("[data-part=x] td.on").count() == 9
    element.locator('[data-cell="x,0,2,3"]').fill("-4.5")
    np.testing.assert_allclose(numbers(element, "y"), computed(element))
    assert element.locator("[data-input]").input_value() == "own"
    element.locator("[data-option=mode]").select_option("reflect")
    assert 'F.pad(x, (1, 1, 1, 1), mode="reflect")' in element.locator("code").inner_text()
    np.testing.assert_allclose(numbers(element, "y"), computed(element))
    assert tab.errors == []


def test_explorer_with_the_keyboard(show):
    tab, element = show(figures.conv_explorer(padding=1))
    element.locator("[data-option=stride]").focus()
    tab.keyboard.press("ArrowRight")
    assert numbers(element, "y").shape == (1, 3, 3)
    element.locator('[data-y="0,0,0"]').focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "ArrowUp"):
        tab.keyboard.press(key)
    assert element.locator(".sum").inner_text().startswith("y[0, 2] = ")
    element.locator('[data-cell="w,0,0,0,0"]').focus()
    tab.keyboard.press("ArrowDown")
    tab.keyboard.type("7")
    assert numbers(element, "w")[0, 1, 0] == 7
    np.testing.assert_allclose(numbers(element, "y"), computed(element, stride=2))
    # one stop of the Tab key for each table
    assert element.locator('[data-part=y] [tabindex="0"]').count() == 1
    assert tab.errors == []


def test_explorer_groups_flip_and_gradients(show):
    tab, element = show(figures.conv_explorer(channels="2 → 2, groups=2", kernel=[[1, 2], [3, 4]]))
    np.testing.assert_allclose(numbers(element, "y"), computed(element, groups=2))
    before = numbers(element, "y")
    element.locator("[data-press=flip]").click()
    w = numbers(element, "w")[:, None, ::-1, ::-1]
    np.testing.assert_allclose(
        numbers(element, "y"), ours.conv2d(numbers(element, "x")[None], w, groups=2)[0]
    )
    assert not np.array_equal(before, numbers(element, "y"))
    element.locator("[data-press=gradients]").click()
    element.locator('[data-y="1,2,2"]').hover()
    small = element.locator("[data-part=w] td > small").all_inner_texts()
    window = numbers(element, "x")[1, 2:4, 2:4][::-1, ::-1]
    assert [float(s.replace("−", "-")) for s in small[4:]] == window.ravel().tolist()
    assert "groups=2" in element.locator("code").inner_text()
    assert tab.errors == []


def test_explorer_asks_for_the_size(show):
    tab, element = show(figures.conv_explorer(stride=2, padding=1, dilation=2, predict=True))
    assert element.locator("[data-part=y] table").count() == 0
    assert element.locator("[data-size]").inner_text() == ""
    fields = element.locator(".ask input")
    for guess, said in (("3", "leaves out the dilation"), ("9", "No. Count"), ("2", "")):
        for k in range(2):
            fields.nth(k).fill(guess)
        tab.keyboard.press("Enter")
        if said:
            assert said in element.locator("[role=status]").inner_text()
    assert numbers(element, "y").shape == (1, 2, 2)
    assert tab.errors == []


def test_explorer_slides_and_keeps_still_where_asked(show):
    tab, element = show(figures.conv_explorer())
    element.locator("[data-press=slide]").click()
    tab.wait_for_function(
        "document.querySelector('conv-explorer').shadowRoot.querySelector('.sum').textContent.startsWith('y[1, 3]')"
    )
    tab, element = show(figures.conv_explorer(), reduced_motion="reduce")
    element.locator("[data-press=slide]").click()
    assert element.locator(".sum").inner_text().startswith("y[1, 3]")
    tab.wait_for_timeout(900)
    assert element.locator(".sum").inner_text().startswith("y[1, 3]")


@pytest.mark.parametrize("channels", figures.CHANNELS)
def test_explorer_on_a_phone(show, channels):
    tab, _ = show(figures.conv_explorer(padding=3, channels=channels), width=375)
    assert tab.evaluate("document.documentElement.scrollWidth") <= 375
    assert tab.errors == []


def test_without_scripts_the_picture_stands_in(show):
    _, element = show(figures.conv_explorer(), java_script_enabled=False)
    image = element.locator("img")
    assert image.bounding_box()["height"] > 100
    assert len(image.get_attribute("alt")) > 60


def test_twice_on_a_page(show):
    one = figures.conv_explorer()
    twice = figures.Figure(one.name, one.alt)
    twice._repr_mimebundle_ = lambda: ({"text/html": one._repr_mimebundle_()[0]["text/html"] * 2}, {})
    tab, element = show(twice)
    assert element.count() == 2
    assert tab.errors == []
