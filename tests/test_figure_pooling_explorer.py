"""The pooling explorer: its mathematics in Node beside PyTorch and NumPy, and a browser that plays with it."""

import itertools
import re

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tests.browser import press, run_in_node
from utils import figures
from utils import functional as ours
from utils.figures.pooling import KINDS

NINE = [[1, 2, 0, 3, 1], [0, 4, 1, 5, 2], [3, 1, 9, 0, 1], [2, 0, 1, 6, 0], [1, 7, 2, 0, 8]]
FOUR = [[1, 3, 2, 0], [8, 4, 0, 2], [2, 2, 7, 5], [0, 4, 6, 6]]

# ---- mathematics ---------------------------------------------------------------------------------------------


def pytorch(x: torch.Tensor, kind: str, size: int, stride: int, padding: int):
    """What PyTorch gives for one map (H, W): the output and, for max and min, the winners."""
    sign = -1 if kind == "min" else 1
    if kind in ("max", "min"):
        y, won = F.max_pool2d(sign * x[None, None], size, stride, padding, return_indices=True)
        return sign * y[0, 0], won[0, 0]
    counted = kind == "average"
    return F.avg_pool2d(x[None, None], size, stride, padding, count_include_pad=counted)[0, 0], None


def pooled():
    """Hundreds of settings on small whole numbers, so that many windows hold a tie."""
    rng = np.random.default_rng(0)
    for shape, kind, size, stride in itertools.product(
        [(5, 6), (7, 5), (8, 8)], KINDS, range(1, 5), range(1, 5)
    ):
        for padding in range(size // 2 + 1):
            x = torch.tensor(rng.integers(-2, 3, shape), dtype=torch.float64, requires_grad=True)
            y, won = pytorch(x, kind, size, stride, padding)
            upstream = torch.tensor(rng.normal(size=y.shape))
            y.backward(upstream)
            yield {
                "x": x.tolist(),
                "options": {"kind": kind, "size": size, "stride": stride, "padding": padding},
                "upstream": upstream.tolist(),
                "y": y.tolist(),
                "dx": x.grad.tolist(),
                "won": None if won is None else won.tolist(),
            }


def share(after, before) -> float:
    gone = np.linalg.norm(after - before)
    return 0.0 if gone == 0 else gone / np.linalg.norm(before)


def moved():
    """Maps before and after a shift, and how much NumPy says has changed."""
    rng = np.random.default_rng(1)
    blur = torch.tensor(np.outer([1, 2, 1], [1, 2, 1]) / 16)[None, None]
    for kind, size, stride, t in itertools.product(KINDS[:3], (2, 3), (1, 2, 3), (-3, -1, 1, 2, 4, 0)):
        x = rng.integers(1, 9, (7, 8)).astype(float)
        rolled = np.roll(x, t, axis=1)
        before, after = (pytorch(torch.tensor(a), kind, size, stride, 0)[0].numpy() for a in (x, rolled))
        dense = pytorch(torch.tensor(x), kind, size, 1, 0)[0][None, None]
        soft = F.conv2d(F.pad(dense, (1,) * 4, mode="replicate"), blur, stride=stride)[0, 0]
        width = before.shape[1]
        along = []
        for q in {0, abs(t) // stride, -(-abs(t) // stride)} - set(range(width, 9)):
            new, old = (
                (after[:, q:], before[:, : width - q]) if t >= 0 else (after[:, : width - q], before[:, q:])
            )
            along.append(share(new, old))
        yield {
            "x": x.tolist(),
            "t": t,
            "options": {"kind": kind, "size": size, "stride": stride, "padding": 0},
            "rolled": rolled.tolist(),
            "soft": soft.tolist(),
            "before": before.tolist(),
            "after": after.tolist(),
            "changed": int((before != after).sum()),
            "change": share(after, before),
            "along": min(along),
        }


def test_the_mathematics_equals_pytorch(tmp_path):
    assert "pass 3" in run_in_node(
        "pooling.test.mjs", {"pooled": list(pooled()), "moved": list(moved())}, tmp_path
    )


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"kind": "mean"}, "kind: got 'mean', expected one of max, min"),
        ({"kernel_size": 5}, "kernel_size: got 5, expected an integer from 1 to 4"),
        ({"stride": 0}, "stride: got 0"),
        ({"padding": 2, "kernel_size": 3}, "padding: got 2, expected an integer from 0 to 1"),
        ({"shift": 5}, "shift: got 5, expected an integer from -4 to 4"),
        ({"input": [[1, 2], [3]]}, "input: expected rows of equal length"),
        (
            {"input": [[1, 2]], "kernel_size": 3},
            r"kernel_size: got 3, expected a window that fits .*\(1, 2\)",
        ),
        (
            {"input": FOUR, "upstream": [[1]]},
            r"upstream: got shape \(1, 1\), expected that of the output, \(2, 2\)",
        ),
    ],
)
def test_bad_arguments(wrong, told):
    with pytest.raises(ValueError, match=told):
        figures.pooling_explorer(**wrong)


# ---- in a browser --------------------------------------------------------------------------------------------


def numbers(element, part: str) -> np.ndarray:
    """The numbers that stand in one table, without the frame of the padding."""
    read = """table => [...table.rows].map(r => [...r.querySelectorAll('[data-at]')].map(c =>
        Number((c.value ?? c.textContent).replace('−', '-')))).filter(line => line.length)"""
    return np.array(element.locator(f"#{part} table").evaluate(read))


def marked(element, part: str, kind: str = "on") -> set[tuple[int, int]]:
    read = f"all => all.map(c => c.querySelector('[data-at^={part}]').dataset.at)"
    found = element.locator(f"#{part} td.{kind}").evaluate_all(read)
    return {tuple(int(n) for n in at.split(",")[1:]) for at in found}


def said(element, name: str = "sum") -> str:
    return element.locator(f"#{name}").inner_text().replace("−", "-").replace("\xa0", " ")


def check(element, kind: str, size: int, stride: int, padding: int = 0):
    """The tables show what PyTorch gives for the input and the gradient that stand in them."""
    x = torch.tensor(numbers(element, "x"), dtype=torch.float64, requires_grad=True)
    y, _ = pytorch(x, kind, size, stride, padding)
    y.backward(torch.tensor(numbers(element, "g"), dtype=torch.float64))
    np.testing.assert_allclose(numbers(element, "y"), y.detach(), atol=0.0051)
    np.testing.assert_allclose(numbers(element, "d"), x.grad, atol=0.0051)


@pytest.mark.parametrize(
    ("kind", "settings"), [("max", (2, 2)), ("average", (3, 2, 1)), ("average of pixels", (4, 3, 2))]
)
def test_it_shows_what_pytorch_gives(show, kind, settings):
    _, element = show(figures.pooling_explorer(kind, *settings))
    check(element, kind, *settings)


def test_with_the_mouse(show):
    _, element = show(figures.pooling_explorer(kernel_size=3, input=NINE, upstream=[[1, 2], [4, 8]]))
    element.locator('[data-at="x,2,2"]').hover()
    assert said(element) == "x[2, 2] = 9 lies in 4 windows and wins 4. Its gradient: 1 + 2 + 4 + 8 = 15."
    assert marked(element, "g") == {(0, 0), (0, 1), (1, 0), (1, 1)}
    element.locator('[data-at="d,4,4"]').hover()
    assert said(element) == "x[4, 4] = 8 lies in 1 window and wins none. Its gradient: 0."
    assert marked(element, "y", "in") == {(1, 1)}
    element.locator('[data-at="x,1,1"]').hover()  # 4: wins nothing while the 9 is there
    element.locator('[data-at="x,2,2"]').fill("0")
    element.locator('[data-at="x,1,1"]').hover()
    assert said(element).endswith("and wins 1. Its gradient: 1.")  # no sum of a single number
    element.locator('[data-at="x,2,2"]').fill("9")
    element.locator("#input").select_option("All equal")
    element.locator('[data-at="y,1,0"]').hover()
    assert "from x[2, 0], the first of 9 equal ones. Back: x[2, 0] gets the whole 4" in said(element)
    assert marked(element, "x") == {(2, 0)}
    assert len(marked(element, "d", "in")) == 9
    element.locator('[data-at="g,1,0"]').fill("-4,5")
    element.locator('[data-at="x,0,0"]').fill("−7")
    check(element, "max", 3, 2)
    element.locator("#kind").select_option("average")
    element.locator("#padding").fill("1")
    check(element, "average", 3, 2, 1)
    element.locator('[data-at="y,0,0"]').hover()
    assert said(element).startswith(
        "y[0, 0] = ((-7) + 3 + 3 + 3) / 9 = 0.22. Back: each pixel of the window gets "
    )
    assert element.locator("code").inner_text() == "F.avg_pool2d(x, 3, stride=2, padding=1)"


def test_with_the_keyboard(show):
    tab, element = show(figures.pooling_explorer(input=FOUR, upstream=[[4, 8], [-4, 12]]))
    element.locator('[data-at="y,0,0"]').focus()
    tab.keyboard.press("ArrowRight")
    assert "max(2, 0, 0, 2) = 2, from x[0, 2], the first of 2 equal ones" in said(element)
    tab.keyboard.press("Tab")  # to the gradient at the input, then to the one from above
    assert said(element).startswith("x[0, 0] = 1 lies in 1 window and wins none")
    press(tab, "Tab", "ArrowDown")
    tab.keyboard.type("5")
    assert numbers(element, "g").tolist() == [[4, 8], [5, 12]]
    check(element, "max", 2, 2)
    element.locator("#size").focus()
    for _ in range(3):
        tab.keyboard.press("ArrowRight")
    element.locator("#stride").focus()
    tab.keyboard.press("ArrowLeft")
    assert numbers(element, "y").shape == (1, 1)
    element.locator("#padding").focus()
    tab.keyboard.press("End")
    assert numbers(element, "y").shape == (5, 5)
    element.locator("#size").focus()
    tab.keyboard.press("Home")  # one pixel leaves no room for padding
    assert numbers(element, "y").tolist() == FOUR


@pytest.mark.parametrize("kind", ["max", "average"])
def test_a_shift_by_one_pixel(show, kind):
    _, element = show(figures.pooling_explorer(kind))
    x, y = numbers(element, "x"), numbers(element, "y")
    element.get_by_role("button", name="Shift →").click()
    np.testing.assert_array_equal(numbers(element, "x"), np.roll(x, 1, axis=1))
    check(element, kind, 2, 2)
    new = numbers(element, "y")
    assert element.locator("td.new").count() == (new != y).sum()
    rows = [row.replace("\xa0", " ") for row in element.locator("#report tr").all_inner_texts()]
    assert rows[1].startswith(f"stride 2\t{(new != y).sum()} of 9 ({100 * (new != y).mean():.0f} %)")
    assert re.fullmatch(r"stride 1\t\d+ of 25 .*\t0", rows[2])
    assert rows[3].startswith("blur, then stride 2")
    change = np.linalg.norm(new - y) / np.linalg.norm(y)
    assert float(rows[1].split("\t")[2]) == pytest.approx(change, abs=0.006)
    element.locator('[data-at="x,0,0"]').fill("6")  # typed while shifted
    element.get_by_role("button", name="Shift →").click()
    assert numbers(element, "x")[0, 1] == 6
    assert element.locator("#report tr").nth(1).inner_text().endswith("\t0")  # stride 2, moved by 2
    element.get_by_role("button", name="Undo").click()
    assert not element.locator("#report").is_visible()
    assert numbers(element, "x")[0, 5] == 6
    element.get_by_role("button", name="← Shift").click()
    assert "to the left" in said(element, "report")


def test_a_window_that_does_not_fit(show):
    _, element = show(figures.pooling_explorer(kernel_size=2, input=[[1, 2], [3, 4]], shift=1))
    assert numbers(element, "x").tolist() == [[2, 1], [4, 3]]
    element.locator("#size").fill("4")
    assert "does not fit" in said(element)
    assert element.locator("#y table").count() == 0
    element.locator('[data-at="x,0,0"]').hover()
    element.locator("#padding").fill("2")
    check(element, "max", 4, 2, 2)


@pytest.mark.parametrize("padding", [0, 2])
def test_on_a_phone_with_the_largest_input(show, padding):
    largest = np.arange(64).reshape(8, 8).tolist()
    tab, _ = show(figures.pooling_explorer("average", 4, 1, padding, input=largest, shift=-3), width=375)
    assert tab.evaluate("document.documentElement.scrollWidth") <= 375


def test_it_agrees_with_the_course(show):
    _, element = show(figures.pooling_explorer(kernel_size=3, padding=1))
    x = numbers(element, "x")[None, None]
    y, won = ours.max_pool2d(x, 3, 2, padding=1)
    np.testing.assert_array_equal(numbers(element, "y"), y[0, 0])
    back = ours.max_pool2d_backward(numbers(element, "g")[None, None], won, x.shape[2:], 3, 2, padding=1)
    np.testing.assert_array_equal(numbers(element, "d"), back[0, 0])
