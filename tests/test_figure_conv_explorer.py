"""The convolution explorer: its mathematics in Node beside PyTorch, and a browser that plays with it."""

import itertools

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tests.browser import numbers, press, run_in_node
from utils import figures
from utils import functional as ours

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
    assert "pass 2" in run_in_node("conv.test.mjs", list(convolutions()), tmp_path)


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


def computed(element, **options) -> np.ndarray:
    w = numbers(element, "w")
    return ours.conv2d(numbers(element, "x")[None], w.reshape(len(w), -1, *w.shape[1:]), **options)[0]


@pytest.mark.parametrize(("stride", "padding", "dilation"), [(1, 0, 1), (2, 1, 1), (1, 2, 2), (3, 3, 2)])
def test_explorer_shows_what_conv2d_gives(show, stride, padding, dilation):
    _, element = show(figures.conv_explorer(stride, padding, dilation))
    # the input is read as it is shown: with its padding
    np.testing.assert_allclose(numbers(element, "y"), computed(element, stride=stride, dilation=dilation))
    assert f"= {numbers(element, 'y').shape[1]}" in element.locator("[data-size]").inner_text()


def test_explorer_with_the_mouse(show):
    _, element = show(figures.conv_explorer())
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


def test_explorer_with_the_keyboard(show):
    tab, element = show(figures.conv_explorer(padding=1))
    element.locator("[data-option=stride]").focus()
    tab.keyboard.press("ArrowRight")
    assert numbers(element, "y").shape == (1, 3, 3)
    element.locator('[data-y="0,0,0"]').focus()
    press(tab, "ArrowDown", "ArrowRight", "ArrowRight", "ArrowUp")
    assert element.locator(".sum").inner_text().startswith("y[0, 2] = ")
    element.locator('[data-cell="w,0,0,0,0"]').focus()
    tab.keyboard.press("ArrowDown")
    tab.keyboard.type("7")
    assert numbers(element, "w")[0, 1, 0] == 7
    np.testing.assert_allclose(numbers(element, "y"), computed(element, stride=2))
    # one stop of the Tab key for each table
    assert element.locator('[data-part=y] [tabindex="0"]').count() == 1


def test_explorer_groups_flip_and_gradients(show):
    _, element = show(figures.conv_explorer(channels="2 → 2, groups=2", kernel=[[1, 2], [3, 4]]))
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


def test_explorer_asks_for_the_size(show):
    tab, element = show(figures.conv_explorer(stride=2, padding=1, dilation=2, predict=True))
    assert element.locator("[data-part=y] table").count() == 0
    assert element.locator("[data-size]").inner_text() == ""
    fields = element.locator(".ask input")
    for guess, said in (("3", "leaves out the dilation"), ("9", "No. Count"), ("2", "Right.")):
        for k in range(2):
            fields.nth(k).fill(guess)
        tab.keyboard.press("Enter")
        assert said in element.locator("[role=status]").inner_text()
    assert numbers(element, "y").shape == (1, 2, 2)


def test_explorer_slides_and_keeps_still_where_asked(show):
    tab, element = show(figures.conv_explorer())
    element.locator("[data-press=slide]").click()
    tab.wait_for_function(
        "document.querySelector('conv-explorer').shadowRoot.querySelector('.sum').textContent.startsWith('y[1, 3]')"
    )
    element.locator("[data-option=dilation]").fill("3")  # now the kernel does not fit
    tab.wait_for_timeout(900)
    assert "does not fit" in element.locator(".sum").inner_text()
    tab, element = show(figures.conv_explorer(), reduced_motion="reduce")
    element.locator("[data-press=slide]").click()
    assert element.locator(".sum").inner_text().startswith("y[1, 3]")
    tab.wait_for_timeout(900)
    assert element.locator(".sum").inner_text().startswith("y[1, 3]")


@pytest.mark.parametrize("channels", figures.CHANNELS)
def test_explorer_on_a_phone(show, channels):
    tab, _ = show(figures.conv_explorer(padding=3, channels=channels), width=375)
    assert tab.evaluate("document.documentElement.scrollWidth") <= 375


def test_explorer_counts_the_outputs_that_read_a_pixel(show):
    _, element = show(figures.conv_explorer(stride=2, padding=1))
    for (i, j), times in {(0, 0): 1, (1, 1): 4, (1, 2): 2, (5, 5): 1}.items():
        element.locator(f'[data-cell="x,0,{i},{j}"]').click()
        said = element.locator(".sum").inner_text()
        assert said == f"x[{i}, {j}] is read by {times} output{'s' * (times > 1)}."
        assert element.locator("[data-part=y] td.on").count() == times
    element.locator('[data-y="0,1,1"]').hover()
    assert element.locator("[data-part=y] td.on").count() == 1
    element.locator("[data-option=padding]").fill("0")
    element.locator("[data-option=stride]").fill("3")
    element.locator("[data-option=dilation]").fill("2")
    element.locator('[data-cell="x,0,5,5"]').click()
    assert "read by no output" in element.locator(".sum").inner_text()


@pytest.mark.parametrize("channels", figures.CHANNELS)
def test_explorer_with_a_row_of_pixels_and_with_what_does_not_fit(show, channels):
    row = [[1, 2, 3, 4, 5, 6, 7, 8]]
    _, element = show(figures.conv_explorer(input=row, kernel=[[1, -2]], channels=channels))
    groups = 2 if "groups" in channels else 1
    x, w = numbers(element, "x"), numbers(element, "w")
    w = w.reshape(-1, len(x) // groups, *w.shape[1:])
    np.testing.assert_allclose(numbers(element, "y"), ours.conv2d(x[None], w, groups=groups)[0])
    assert "= 1; width = " in element.locator("[data-size]").inner_text()
    element.locator("[data-option=dilation]").fill("3")
    element.locator("[data-kernel]").select_option("Sum")
    assert "does not fit" in element.locator(".sum").inner_text()
    assert "+ 1 = −5" in element.locator("[data-size]").inner_text()
    assert element.locator("code").inner_text() == ""


def test_explorer_says_what_pytorch_refuses(show):
    _, element = show(figures.conv_explorer(padding=2, mode="reflect", input=[[1, 2], [3, 4]], kernel=[[1]]))
    with pytest.raises(RuntimeError, match="Padding size should be less"):
        F.pad(torch.zeros(1, 1, 2, 2), (2, 2, 2, 2), mode="reflect")
    assert "PyTorch refuses" in element.locator("[data-size]").inner_text()
    element.locator("[data-option=padding]").fill("1")
    assert "PyTorch" not in element.locator("[data-size]").inner_text()


def test_explorer_writes_long_numbers_short_and_shows_them_whole_while_typing(show):
    tab, element = show(figures.conv_explorer(kernel=[[0.125]]))
    field = element.locator('[data-cell="x,0,0,0"]')
    for typed, short in (("-12345.678", "−1e4"), ("1/8", "0.125"), ("abc", "0"), ("1e9", "1e6")):
        field.fill(typed)
        assert field.input_value() == typed
        element.locator("[data-option=stride]").focus()
        assert field.input_value() == short
    field.fill("-12345.678")
    element.locator("[data-option=stride]").focus()
    field.focus()
    assert field.input_value() == "−12345.678"
    press(tab, "F2", "ArrowLeft", "Backspace")  # the caret moves inside of what is typed
    assert field.input_value() == "−12345.68"
    press(tab, "ArrowRight", "ArrowRight")  # and past its end to the next cell
    assert element.evaluate("e => e.shadowRoot.activeElement.dataset.cell") == "x,0,0,1"
    press(tab, "ArrowLeft", "Enter", "Home", "Delete")  # Home: to the begin of what is typed
    assert field.input_value() == "12345.68"
    press(tab, "End", "Backspace")
    assert field.input_value() == "12345.6"
    tab.keyboard.press("End")  # and from its end to that of the row
    assert element.evaluate("e => e.shadowRoot.activeElement.dataset.cell") == "x,0,0,5"
