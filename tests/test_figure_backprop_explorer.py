"""The figure of backpropagation: its mathematics in Node beside autograd, and a browser that plays with it."""

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


def backward_passes():
    """Hundreds of settings with random integers, and the gradients that autograd finds."""
    rng = np.random.default_rng(4)
    shapes = [
        ((5, 6), (3, 3)),
        ((6, 5), (2, 3)),
        ((4, 4), (1, 1)),
        ((6, 6), (3, 1)),
        ((3, 5), (3, 2)),
        ((5, 5), (2, 2)),
        ((1, 6), (1, 2)),
        ((6, 3), (2, 1)),
    ]
    for (x_shape, w_shape), stride, padding, dilation in itertools.product(
        shapes, (1, 2, 3, 4), (0, 1, 2, 3), (1, 2, 3)
    ):
        options = {"stride": stride, "padding": padding, "dilation": dilation}
        if any(n + 2 * padding <= dilation * (k - 1) for n, k in zip(x_shape, w_shape, strict=True)):
            continue
        x, w = (
            torch.tensor(rng.integers(-5, 6, s), dtype=torch.float64, requires_grad=True)
            for s in (x_shape, w_shape)
        )
        y = F.conv2d(x[None, None], w[None, None], **options)[0, 0]
        delta = torch.tensor(rng.integers(-3, 4, y.shape), dtype=torch.float64)
        y.backward(delta)
        arrays = {"x": x, "w": w, "delta": delta, "y": y, "dx": x.grad, "dw": w.grad}
        yield {"options": options} | {name: array.tolist() for name, array in arrays.items()}


def test_the_mathematics_equals_autograd(tmp_path):
    assert "pass 5" in run_in_node("backprop.test.mjs", list(backward_passes()), tmp_path)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"stride": 4}, "stride: got 4, expected an integer from 1 to 3"),
        ({"padding": 3}, "padding: got 3, expected an integer from 0 to 2"),
        ({"dilation": True}, "dilation: got True, expected an integer from 1 to 2"),
        ({"gradient": "b"}, "gradient: got 'b', expected one of x, w"),
        ({"input": [[1] * 7]}, "input: expected rows of equal length, 1 to 6"),
        ({"kernel": [[1] * 4]}, "kernel: expected rows of equal length, 1 to 3"),
        ({"upstream": [["a"]]}, "upstream: got [['a']], expected rows of numbers"),
    ],
)
def test_bad_arguments(wrong, told):
    with pytest.raises(ValueError, match=re.escape(told)):
        figures.backprop_explorer(**wrong)


# ---- in a browser --------------------------------------------------------------------------------------------


def numbers(element, part: str) -> np.ndarray:
    """The numbers that stand in one table of the figure."""
    return browser.numbers(element, part)[0]


def gradients(element, stride, padding, dilation):
    """What the course's own backward pass gives for the numbers that are shown."""
    x = numbers(element, "x")
    x = x[padding : len(x) - padding, padding : x.shape[1] - padding]
    delta, w = numbers(element, "y")[None, None], numbers(element, "w")[None, None]
    dx, dw, _ = ours.conv2d_backward(delta, x[None, None], w, stride, padding, dilation)
    return {"x": dx[0, 0], "w": dw[0, 0]}


def said(element, what: str) -> str:
    return element.locator(what).inner_text().replace("−", "-")


@pytest.mark.parametrize("setting", [(1, 0, 1), (2, 1, 1), (1, 2, 2), (3, 2, 1)])
def test_both_views_show_what_the_course_computes(show, setting):
    _, element = show(figures.backprop_explorer(*setting))
    for part in "xw":
        element.locator(f"[data-part={part}] [data-at='{part},1,1']").click()
        right = gradients(element, *setting)[part]
        np.testing.assert_allclose(numbers(element, "r"), right)
        crop = setting[1] if part == "x" else 0
        scattered = numbers(element, "s")
        np.testing.assert_allclose(
            scattered[crop : len(scattered) - crop, crop : scattered.shape[1] - crop], right
        )
        assert "agree" in said(element, "[data-agree]")
        assert said(element, ".sum").endswith(f"= {right[1, 1]:g}")
        assert f"The gradient: {right[1, 1]:g}." in said(element, "[data-check]")
        assert element.locator("[data-part=q] td.on").count() > 0


def test_stepping_through_the_outputs_with_the_mouse(show):
    _, element = show(figures.backprop_explorer(upstream=[[1, 2, 0], [0, 0, 0], [0, 0, -1]]))
    w = numbers(element, "w")
    element.locator("[data-part=y] [data-at='y,0,0']").click()
    first = np.zeros((5, 5))
    first[:3, :3] = w
    np.testing.assert_array_equal(numbers(element, "s"), first)
    assert "still grows" in said(element, "[data-agree]")
    element.locator("[data-press=next]").click()
    first[:3, 1:4] += 2 * w
    np.testing.assert_array_equal(numbers(element, "s"), first)
    assert element.locator("[data-part=x] td.on").count() == 9
    assert element.locator("[data-part=s] td.on > small").first.inner_text() == "+2"
    assert "2 of 9" in said(element, "[data-part=s] figcaption")
    for _ in range(7):
        element.locator("[data-press=next]").click()
    np.testing.assert_array_equal(numbers(element, "s"), numbers(element, "r"))
    assert "agree" in said(element, "[data-agree]")
    # what is typed counts at once, and the preset becomes the reader's own
    element.locator("[data-part=y] [data-at='y,1,1']").fill("-2.5")
    np.testing.assert_allclose(numbers(element, "r"), gradients(element, 1, 0, 1)["x"])
    assert element.locator("[data-preset=y]").input_value() == "own"
    element.locator("[data-preset=w]").select_option("2×3")
    assert numbers(element, "y").shape == (4, 3)
    np.testing.assert_allclose(numbers(element, "r"), gradients(element, 1, 0, 1)["x"])


def test_with_the_keyboard(show):
    tab, element = show(figures.backprop_explorer(stride=2, padding=1, gradient="w"))
    assert numbers(element, "r").shape == (3, 3)
    element.locator("[data-part=y] [data-at='y,0,0']").focus()
    press(tab, "ArrowDown", "ArrowRight", "ArrowRight")
    assert said(element, ".sum").startswith("y[1, 2] = ")
    tab.keyboard.type("7")
    np.testing.assert_allclose(numbers(element, "r"), gradients(element, 2, 1, 1)["w"])
    element.locator("[data-press=x]").focus()
    tab.keyboard.press("Enter")
    assert numbers(element, "r").shape == (5, 5)
    element.locator("[data-part=r] [tabindex='0']").focus()
    tab.keyboard.press("ArrowDown")
    assert said(element, ".sum").startswith("∂L/∂x[1, 0] = ")
    element.locator("[data-option=stride]").focus()
    tab.keyboard.press("ArrowRight")
    np.testing.assert_allclose(numbers(element, "r"), gradients(element, 3, 1, 1)["x"])
    for part in "xwysr":
        assert element.locator(f"[data-part={part}] [tabindex='0']").count() == 1


def test_the_judge_agrees_until_h_is_too_small(show):
    _, element = show(figures.backprop_explorer(input=[[0.1, 0.7, 0.3], [1.3, 1, 0.9], [0.2, 0.6, 0.4]]))

    def apart():
        return float(said(element, "[data-check]").split("at most ")[1].rstrip("."))

    distances = {}
    for digits in ("0", "3", "12", "15"):
        element.locator("[data-h]").fill(digits)
        distances[digits] = apart()
    assert distances["0"] < 1e-12
    assert distances["3"] < 1e-9
    assert distances["15"] > 1e-3
    assert "h = 0.001" not in said(element, "[data-h] >> xpath=..")


def test_unread_pixels_and_a_kernel_that_does_not_fit(show):
    _, element = show(figures.backprop_explorer(stride=2, input=[[1] * 6] * 6))
    element.locator("[data-part=r] [data-at='x,5,5']").click()
    assert "no window reads this pixel" in said(element, ".sum")
    assert not numbers(element, "r")[5].any()
    _, element = show(figures.backprop_explorer(input=[[1, 2], [3, 4]]))
    assert "does not fit" in said(element, ".sum")
    assert element.locator("[data-part=r]").is_hidden()
    element.locator("[data-option=padding]").fill("1")
    assert numbers(element, "r").shape == (2, 2)


def test_play_keeps_still_where_asked(show):
    tab, element = show(figures.backprop_explorer(), reduced_motion="reduce")
    element.locator("[data-press=play]").click()
    assert said(element, ".sum").startswith("y[0, 2]")
    tab.wait_for_timeout(1300)
    assert said(element, ".sum").startswith("y[0, 2]")
    tab, element = show(figures.backprop_explorer())
    element.locator("[data-press=play]").click()
    tab.wait_for_function(
        "document.querySelector('backprop-explorer').shadowRoot.querySelector('.sum').textContent.startsWith('y[0, 2]')"
    )
    assert element.locator("[data-press=play]").get_attribute("aria-pressed") == "true"
    element.locator("[data-part=x] [data-at='x,0,0']").click()
    assert element.locator("[data-press=play]").get_attribute("aria-pressed") == "false"


@pytest.mark.parametrize("digits", [0, 3, 8, 12, 14])
def test_the_judge_writes_what_he_divides(show, digits):
    _, element = show(figures.backprop_explorer(stride=2, padding=1))
    element.locator("[data-h]").fill(str(digits))
    found = re.search(r"= \((\S+) - (\S+)\) / (\S+) = (\S+)\. The", said(element, "[data-check]"))
    up, down, step, slope = map(float, found.groups())
    assert (up - down) / step == pytest.approx(slope, rel=1e-6)
