"""The kernel playground: its mathematics in Node beside PyTorch and NumPy, and a browser that plays with it."""

import base64
import io
import itertools
import re

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from tests.browser import press, run_in_node
from utils import data, figures, kernels
from utils import functional as ours
from utils.figures.kernels import BORDERS, PLAYGROUND

FACE = data.photograph(gray=True, size=(240, 205))[24:144, 48:152].astype(float)

# ---- mathematics ---------------------------------------------------------------------------------------------


def filtered():
    """Random pictures and kernels with every border, and what PyTorch makes of them."""
    rng = np.random.default_rng(0)
    for shape, k, border, _ in itertools.product([(9, 12), (13, 8)], range(3, 8), BORDERS, range(7)):
        x, w = rng.uniform(0, 255, shape), rng.normal(size=(k, k))
        before = 0 if border == "valid" else (k - 1) // 2
        after = 0 if border == "valid" else k - 1 - before
        mode = "constant" if border in ("zeros", "valid") else border
        padded = F.pad(torch.tensor(x)[None, None], (before, after, before, after), mode=mode)
        y = F.conv2d(padded, torch.tensor(w)[None, None])[0, 0]
        yield {"x": x.tolist(), "w": w.tolist(), "border": border, "y": y.tolist()}


def ranks():
    """Kernels of every rank with whole and with broken weights, and what NumPy says about them."""
    rng = np.random.default_rng(1)
    made = list(PLAYGROUND.values())
    for k, rank, whole in itertools.product(range(3, 8), range(8), (False, True)):
        for _ in range(5):
            parts = rng.integers(-3, 4, (2, k, rank)) if whole else rng.normal(size=(2, k, rank))
            made.append(parts[0] @ parts[1].T)
    for w in made:
        yield {
            "w": w.tolist(),
            "s": np.linalg.svd(w, compute_uv=False).tolist(),
            "r": int(np.linalg.matrix_rank(w)),
        }


def test_the_mathematics_equals_pytorch_and_numpy(tmp_path):
    fixtures = {"filtered": list(filtered()), "ranks": list(ranks())}
    assert "pass 6" in run_in_node("kernels.test.mjs", fixtures, tmp_path)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"kernel": "Sobel z"}, "kernel: got 'Sobel z', expected one of identity"),
        (
            {"kernel": [[1, 2], [3, 4]]},
            r"kernel: got \[\[1, 2\], \[3, 4\]\], expected a name or a square table",
        ),
        ({"kernel": [[1] * 8] * 8}, "kernel: expected rows of equal length, 1 to 7"),
        ({"kernel": [[1, 2, 3]] * 4}, "expected a name or a square table of 3 to 7 rows"),
        ({"kernel": None}, "kernel: got None"),
        ({"border": "same"}, "border: got 'same', expected one of zeros, reflect"),
        ({"shown": "log"}, "shown: got 'log', expected one of by the sum"),
        (
            {"picture": np.zeros((3, 200))},
            r"picture: got shape \(3, 200\), expected \(H, W\) with sides of 1",
        ),
        ({"picture": np.zeros((4, 4, 3))}, r"picture: got shape \(4, 4, 3\)"),
        ({"picture": np.full((4, 4), 256)}, "picture: got values from 256.0 to 256.0, expected 0"),
        ({"picture": [["a"]]}, "picture: got"),
        ({"picture": np.full((2, 2), np.nan)}, "picture: got values from nan"),
    ],
)
def test_bad_arguments(wrong, told):
    with pytest.raises(ValueError, match=told):
        figures.kernel_playground(**wrong)


def test_the_picture_is_the_one_of_the_chapter():
    address = figures.kernel_playground().attributes["picture"]
    assert len(address) < 13_000
    packed = base64.b64decode(address.removeprefix("data:image/png;base64,"))
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(packed))), FACE)


# ---- in a browser --------------------------------------------------------------------------------------------


def said(element, name: str) -> str:
    return element.locator(f"#{name}").inner_text().replace("−", "-")


def results(element) -> np.ndarray:
    return np.array(element.evaluate("figure => figure.y"))


def weights(element) -> np.ndarray:
    return np.array(element.evaluate("figure => figure.w"))


@pytest.mark.parametrize("name", ["Sobel x", "sharpen", "a bend 7×7"])
def test_it_filters_the_photograph_as_the_chapter_does(show, name):
    _, element = show(figures.kernel_playground(name))
    np.testing.assert_array_equal(element.evaluate("figure => figure.x"), FACE)
    expected = ours.correlate(FACE, PLAYGROUND[name], "same")
    np.testing.assert_allclose(results(element), expected, atol=1e-9)
    assert f"run from {expected.min():.0f} to {expected.max():.0f}" in said(element, "range")


def test_what_is_drawn_is_what_the_words_say(show):
    _, element = show(figures.kernel_playground("box blur", border="replicate"))
    read = "c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.join()"

    def drawn():
        return np.array(element.locator("canvas#y").evaluate(read).split(","), int).reshape(120, 104, 4)

    expected = ours.correlate(np.pad(FACE, 1, mode="edge"), kernels.box(3))
    np.testing.assert_allclose(drawn()[..., 0], expected, atol=0.51)
    element.locator("#shown").select_option("stretched")
    y = results(element)
    np.testing.assert_allclose(drawn()[..., 1], (y - y.min()) / np.ptp(y) * 255, atol=0.51)
    assert f"(y - {y.min():.1f}) · 255 / {np.ptp(y):.1f}" in said(element, "range")
    element.locator("#shown").select_option("signed")
    assert (drawn()[..., 2] >= drawn()[..., 0]).all()


def test_with_the_mouse(show):
    tab, element = show(figures.kernel_playground("identity", border="valid"))
    assert said(element, "y-size") == "Filtered, 118×102"
    element.locator("#kernel").select_option("edge (Laplacian, 4-neighbor)")
    assert "becomes 0" in said(element, "range")
    assert "Not separable: rank 2" in said(element, "rank")
    box = element.locator("canvas#y").bounding_box()
    scale = box["width"] / 102
    tab.mouse.move(box["x"] + 30.5 * scale, box["y"] + 41.5 * scale)
    window = FACE[41:44, 30:33]
    value = (window * kernels.GALLERY["edge (Laplacian, 4-neighbor)"]).sum()
    assert f"y[41, 30] = {window[0, 0]:.0f}·0 + {window[0, 1]:.0f}·(-1)" in said(element, "sum")
    assert f"= {value:.0f}. " in said(element, "sum")
    shown = element.locator("#window td").all_inner_texts()
    np.testing.assert_array_equal(np.array(shown, float).reshape(3, 3), window)
    element.locator("#border").select_option("zeros")
    element.locator("canvas#x").click(position={"x": 1, "y": 1})
    assert element.locator("#window td.padding").count() == 5
    element.locator('[data-cell="w,1,1"]').fill("8/2")
    assert element.locator("#kernel").input_value() == "edge (Laplacian, 4-neighbor)"
    element.locator('[data-cell="w,1,1"]').fill("5")
    assert element.locator("#kernel").input_value() == "sharpen"
    element.locator("#size").select_option("5×5")
    assert weights(element).shape == (5, 5)
    np.testing.assert_allclose(results(element), ours.correlate(FACE, kernels.GALLERY["sharpen"], "same"))


def test_with_the_keyboard(show):
    tab, element = show(figures.kernel_playground())
    element.locator("canvas#x").focus()
    press(tab, "ArrowDown", "ArrowRight", "ArrowRight", "Shift+ArrowUp")
    assert said(element, "sum").startswith("y[51, 54] = ")
    for _ in range(8):
        tab.keyboard.press("Shift+ArrowUp")
    assert said(element, "sum").startswith("y[0, 54] = ")
    tab.keyboard.press("Tab")  # the other picture, then one stop for the kernel
    press(tab, "Tab", "ArrowDown")
    tab.keyboard.type("-5")
    assert weights(element)[1].tolist() == [-5, 0, 2]
    assert "Not separable: rank 2" in said(element, "rank")


def test_a_kernel_from_its_column_and_its_row(show):
    _, element = show(figures.kernel_playground("Gaussian blur 5×5"))
    assert (
        "2·5 = 10 multiplications a pixel (124,800 for this picture), one piece 5·5 = 25 (312,000)"
        in said(element, "rank")
    )
    for i, number in enumerate([1, 0, 0, 0, -1]):
        element.locator(f'[data-cell="column,{i}"]').fill(str(number))
    for j in range(5):
        element.locator(f'[data-cell="row,{j}"]').fill("0.5")
    np.testing.assert_allclose(weights(element), np.outer([1, 0, 0, 0, -1], [0.5] * 5))
    for j in range(5):  # through zero and back
        element.locator(f'[data-cell="row,{j}"]').fill("0")
    assert "All weights are 0" in said(element, "rank")
    element.locator('[data-cell="row,2"]').fill("3")
    assert weights(element)[:, 2].tolist() == [3, 0, 0, 0, -3]


def test_changes_of_all_weights(show):
    start = [[1, 2, 3], [4, 5, 6], [7, 8, 10]]
    _, element = show(figures.kernel_playground(start))
    u, s, v = np.linalg.svd(start)
    for name, expected in {
        "Sum 1": np.array(start) / 46,
        "Sum 0": np.array(start) / 46 - 1 / 9,
        "Half a turn": (np.array(start) / 46 - 1 / 9)[::-1, ::-1],
        "Transpose": (np.array(start) / 46 - 1 / 9)[::-1, ::-1].T,
    }.items():
        element.get_by_role("button", name=name).click()
        np.testing.assert_allclose(weights(element), expected, atol=1e-12)
    _, element = show(figures.kernel_playground(start))
    element.get_by_role("button", name="Nearest separable").click()
    np.testing.assert_allclose(weights(element), s[0] * np.outer(u[:, 0], v[0]), atol=1e-12)
    assert said(element, "rank").startswith("Separable")


def test_a_picture_of_the_reader(show):
    rng = np.random.default_rng(0)
    mine = rng.integers(0, 256, (60, 90, 3)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(mine).save(file, "PNG")
    tab, element = show(figures.kernel_playground())
    chooser = element.locator("#file")
    chooser.set_input_files({"name": "mine.png", "mimeType": "image/png", "buffer": file.getvalue()})
    element.get_by_text("mine.png: 90×60 pixels").wait_for()
    gray = mine @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(element.evaluate("figure => figure.x"), gray, atol=0.51)
    assert element.locator("#picture").input_value() == "own"
    chooser.set_input_files({"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no picture"})
    element.get_by_text("notes.txt is no picture").wait_for()
    wide = io.BytesIO()
    Image.new("L", (900, 300), 100).save(wide, "JPEG")
    chooser.set_input_files({"name": "wide.jpg", "mimeType": "image/jpeg", "buffer": wide.getvalue()})
    element.get_by_text("wide.jpg: 900×300 pixels, here 128×43 in gray").wait_for()
    np.testing.assert_allclose(element.evaluate("figure => figure.x"), 100, atol=1)
    element.locator("#picture").select_option("photograph")
    tab.wait_for_function("document.querySelector('kernel-playground').x.length === 120")
    element.locator("#picture").select_option("own")
    assert said(element, "y-size") == "Filtered, 43×128"


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_a_picture_dropped_or_pasted(show, kind):
    file = io.BytesIO()
    Image.new("L", (20, 10), 50).save(file, "PNG")
    _, element = show(figures.kernel_playground())
    element.locator("canvas#x").click()
    element.evaluate(
        """(figure, [bytes, kind]) => {
            const held = new DataTransfer();
            held.items.add(new File([Uint8Array.from(bytes)], "mine.png", {type: "image/png"}));
            const about = {bubbles: true, cancelable: true, composed: true};
            figure.shadowRoot.querySelector("canvas").dispatchEvent(kind === "drop"
                ? new DragEvent("drop", {...about, dataTransfer: held})
                : new ClipboardEvent("paste", {...about, clipboardData: held}));
        }""",
        [list(file.getvalue()), kind],
    )
    element.get_by_text("mine.png: 20×10 pixels").wait_for()


def test_a_square_one_pixel_and_a_kernel_that_does_not_fit(show):
    tab, element = show(figures.kernel_playground("edge (corners)"))
    element.locator("#picture").select_option("a square")
    corners = np.argwhere(np.abs(results(element)[1:-1, 1:-1]) > 1e-9)
    assert len(corners) == 16  # four around each corner, none along the edges
    element.locator("#picture").select_option("one pixel")
    np.testing.assert_array_equal(results(element)[6:9, 6:9], 255 * PLAYGROUND["edge (corners)"][::-1, ::-1])
    tab, element = show(figures.kernel_playground("box blur 5×5", border="valid", picture=np.ones((4, 4))))
    assert "smaller than the kernel" in said(element, "range")
    element.locator("canvas#x").focus()
    tab.keyboard.press("ArrowDown")
    element.locator("#border").select_option("circular")
    assert said(element, "y-size") == "Filtered, 4×4"


def test_a_click_keeps_the_pixel(show):
    tab, element = show(figures.kernel_playground())
    box = element.locator("canvas#x").bounding_box()
    place = [(box["x"] + k * box["width"], box["y"] + k * box["height"]) for k in (0.25, 0.5, 0.75)]
    tab.mouse.move(*place[0])
    pointed = said(element, "sum")
    tab.mouse.click(*place[1])
    kept = said(element, "sum")
    assert kept != pointed
    tab.mouse.move(*place[2])
    assert said(element, "sum") == kept
    tab.mouse.click(*place[2])
    assert said(element, "sum") != kept


@pytest.mark.parametrize(("weight", "how"), [("1", "as it is"), ("2", "as it is"), ("9", "stretched")])
def test_by_the_sum(show, weight, how):
    _, element = show(figures.kernel_playground("identity"))
    element.locator('[data-cell="w,1,1"]').fill(weight)
    words = said(element, "range")
    assert ("as they are" in words) == (how == "as it is")
    assert "(--" not in words


def test_how_far_a_signed_picture_goes(show):
    _, element = show(figures.kernel_playground("Sobel x"))
    y = np.abs(results(element))
    full = float(
        re.search(r"full from ±([\d.]+) on \(([\d.]+) % of the pixels go further\)", said(element, "range"))[
            1
        ]
    )
    assert (y > full).mean() == pytest.approx(0.01, abs=0.002)
    element.locator("#picture").select_option("a square")
    assert "further" not in said(element, "range")
    element.locator("#kernel").select_option("identity")
    element.locator('[data-cell="w,1,1"]').fill("0")
    assert "full from ±1 on." in said(element, "range")
    assert element.locator("[data-change]").first.is_disabled()  # what adds up to 0 cannot be scaled to 1
