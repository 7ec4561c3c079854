"""The figure of transposed convolution: its mathematics in Node beside PyTorch, and a browser that plays with it."""

import itertools
import re

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tests import browser
from tests.browser import press, run_in_node
from utils import figures
from utils import functional as ours

# ---- mathematics ---------------------------------------------------------------------------------------------


def enlargements():
    """Hundreds of settings with random integers, and what PyTorch makes of them both ways."""
    rng = np.random.default_rng(9)
    for shape, k, stride, padding in itertools.product(
        ((4, 4), (2, 5), (1, 3), (3, 1)), (1, 2, 3, 4, 5), (1, 2, 3, 4), (0, 1, 2)
    ):
        for extra in range(stride):
            if any((n - 1) * stride + k - 2 * padding + extra < 1 for n in shape):
                continue
            x = torch.tensor(rng.integers(-5, 6, (1, 1, *shape)), dtype=torch.float64)
            w = torch.tensor(rng.integers(-5, 6, (1, 1, k, k)), dtype=torch.float64)
            options = {"stride": stride, "padding": padding, "output_padding": extra}
            large = F.interpolate(x, scale_factor=stride)
            arrays = {
                "x": x,
                "w": w,
                "y": F.conv_transpose2d(x, w, **options),
                "n": F.conv_transpose2d(torch.ones_like(x), torch.ones_like(w), **options),
                "large": large,
            }
            if min(large.shape[2:]) >= k:
                arrays["z"] = F.conv2d(large, w)
            yield {"options": options} | {name: a[0, 0].tolist() for name, a in arrays.items()}


def test_the_mathematics_equals_pytorch(tmp_path):
    assert "pass 4" in run_in_node("transposed.test.mjs", list(enlargements()), tmp_path)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"stride": 0}, "stride: got 0, expected an integer from 1 to 3"),
        ({"padding": 3}, "padding: got 3, expected an integer from 0 to 2"),
        ({"stride": 2, "output_padding": 2}, "output_padding: got 2, expected an integer from 0 to 1"),
        ({"kernel_size": 6}, "kernel_size: got 6, expected an integer from 1 to 5"),
        ({"kernel": [[1, 2]]}, "kernel: got 1 rows of 2 numbers, expected a square"),
        ({"kernel": [[1]], "kernel_size": 1}, "kernel_size: got 1 beside a kernel"),
        ({"input": [[1] * 5]}, "input: expected rows of equal length, 1 to 4"),
        ({"input": 3}, "input: got 3, expected rows of numbers"),
    ],
)
def test_bad_arguments(wrong, told):
    with pytest.raises(ValueError, match=re.escape(told)):
        figures.transposed_explorer(**wrong)


# ---- in a browser --------------------------------------------------------------------------------------------


def numbers(element, part: str) -> np.ndarray:
    """The numbers that stand in one table of the figure."""
    return browser.numbers(element, part)[0]


def said(element, what: str) -> str:
    return element.locator(what).first.inner_text().replace("−", "-")


def right(element, stride: int, padding: int = 0, extra: int = 0) -> None:
    """Compare all grids with the functions of the course."""
    x, w = numbers(element, "x")[None, None], numbers(element, "w")[None, None]
    options = {"stride": stride, "padding": padding, "output_padding": extra}
    ones = [np.ones_like(x), np.ones_like(w)]
    np.testing.assert_allclose(numbers(element, "y"), ours.conv_transpose2d(x, w, **options)[0, 0])
    np.testing.assert_array_equal(numbers(element, "n"), ours.conv_transpose2d(*ones, **options)[0, 0])
    large = ours.interpolate(x, scale_factor=stride)
    np.testing.assert_allclose(numbers(element, "b"), large[0, 0])
    np.testing.assert_allclose(numbers(element, "z"), ours.conv2d(large, w)[0, 0])
    assert (numbers(element, "m") == w.size).all()
    assert said(element, "[data-size]").endswith(f" = {len(numbers(element, 'y'))}")


@pytest.mark.parametrize("setting", [(2, 0, 0, 3), (2, 1, 1, 4), (3, 2, 2, 5), (1, 0, 0, 2), (3, 0, 0, 1)])
def test_it_shows_what_the_course_computes(show, setting):
    stride, padding, extra, k = setting
    kernel = np.random.default_rng(0).integers(-4, 5, (k, k)).tolist()
    _, element = show(figures.transposed_explorer(stride, padding, extra, kernel=kernel))
    right(element, stride, padding, extra)
    line = said(element, "code")
    assert line.startswith("F.conv_transpose2d(x, w")
    assert ("output_padding" in line) == bool(extra)


def test_with_the_mouse(show):
    _, element = show(figures.transposed_explorer())
    right(element, 2)
    element.locator("[data-part=x] [data-at='x,1,1']").hover()
    assert said(element, ".sum") == "x[1, 1] = 3 adds 3·w to rows 2 to 4 and columns 2 to 4."
    assert element.locator("[data-part=y] td.on").count() == 9
    assert element.locator("[data-part=y] td.on > small").first.inner_text() == "+3"
    element.locator("[data-part=y] [data-at='y,2,2']").hover()
    assert said(element, ".sum").endswith(": 4 stamps.")
    assert element.locator("[data-part=x] td.on").count() == 4
    element.locator("[data-part=w] [data-at='w,0,0']").hover()
    assert said(element, ".sum") == "w[0, 0] writes on 16 outputs: every second row and column."
    element.locator("[data-part=z] [data-at='z,0,1']").hover()
    assert "9 products" in said(element, ".sum >> nth=1")  # beside its own grids
    assert element.locator("[data-part=b] td.on").count() == 9
    assert "does not divide 3: a checkerboard" in said(element, "[data-stamps]")
    # even gray makes the output its own count of stamps
    element.locator("[data-preset=x]").select_option("Even gray")
    np.testing.assert_array_equal(numbers(element, "y"), numbers(element, "n"))
    element.locator("[data-option=kernel_size]").fill("4")
    assert "The stride 2 divides 4: equally many everywhere. An input of ones gives 4 inside." in said(
        element, "[data-stamps]"
    )
    element.locator("[data-preset=w]").select_option("Mixed")
    right(element, 2)
    assert len(said(element, "[data-stamps]").split("gives ")[1].split(",")) == 4
    assert len(np.unique(numbers(element, "z"))) == 1
    # with the kernel of bilinear enlargement even gray stays even
    element.locator("[data-preset=w]").select_option("Tent")
    assert numbers(element, "w")[0].tolist() == [1, 3, 3, 1]
    assert said(element, "[data-stamps]").endswith("gives 16 inside.")


def test_with_the_keyboard(show):
    tab, element = show(figures.transposed_explorer(stride=3, output_padding=2))
    right(element, 3, 0, 2)
    element.locator("[data-option=stride]").focus()
    tab.keyboard.press("ArrowLeft")
    right(element, 2, 0, 1)  # PyTorch wants output_padding below the stride
    element.locator("[data-part=x] [tabindex='0']").focus()
    press(tab, "ArrowRight", "ArrowDown", "ArrowDown")
    assert said(element, ".sum").startswith("x[2, 1] = ")
    tab.keyboard.type("-2.5")
    right(element, 2, 0, 1)
    assert element.locator("[data-preset=x]").input_value() == "own"
    element.locator("[data-part=y] [tabindex='0']").focus()
    tab.keyboard.press("ArrowRight")
    assert said(element, ".sum").startswith("y[0, 1] = ")
    for part in "xwyz":
        assert element.locator(f"[data-part={part}] [tabindex='0']").count() == 1


def test_holes_and_nothing_left(show):
    _, element = show(figures.transposed_explorer(3, kernel_size=2))
    assert "a checkerboard with holes" in said(element, "[data-stamps]")
    element.locator("[data-part=y] [data-at='y,2,2']").hover()
    assert said(element, ".sum") == "y[2, 2]: no stamp reaches this output."
    _, element = show(figures.transposed_explorer(1, 2, input=[[1]], kernel_size=3))
    assert said(element, ".sum") == "Nothing is left of the output."
    assert element.locator("[data-part=y]").is_hidden()
    element.locator("[data-option=padding]").fill("0")
    np.testing.assert_array_equal(numbers(element, "y"), np.ones((3, 3)))
    assert "does not fit" in said(element, "[data-even]")


def test_a_resting_mouse_leaves_the_keyboard_alone(show):
    tab, element = show(figures.transposed_explorer(), width=640)
    element.locator("[data-part=y] [data-at='y,4,4']").hover()
    element.locator("[data-part=x] [tabindex='0']").focus()  # scrolls other numbers under the mouse
    press(tab, "ArrowDown")
    tab.wait_for_timeout(200)
    assert said(element, ".sum").startswith("x[1, 0] = 0 adds 0·w")


def test_the_sum_of_a_resized_output_stands_beside_it(show):
    _, element = show(figures.transposed_explorer(), width=375)
    element.locator("[data-part=z] [data-at='z,2,2']").click()
    words, grid = element.locator(".sum").nth(1), element.locator("[data-part=b]")
    assert words.inner_text().startswith("z[2, 2] = ")
    gap = grid.bounding_box()["y"] - words.bounding_box()["y"]
    assert 0 < gap < 200
