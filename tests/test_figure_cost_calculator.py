"""The cost calculator: its mathematics in Node beside utils.cost on real modules, and in a browser."""

import numpy as np
import pytest
import torch
from torch import nn

from tests.browser import run_in_node
from utils import figures
from utils.cost import cost

# ---- mathematics ---------------------------------------------------------------------------------------------


def modules(way: str, o: dict, bias: bool) -> list[str] | None:
    """The layers of one way, as somebody writes them down; None where it is not possible."""
    c, k, size, s, g = (o[name] for name in ("in", "out", "kernel", "stride", "groups"))
    tail = "" if bias else ", bias=False"

    def conv(a: int, b: int, side: int, step: int = 1, groups: int = 1) -> str:
        words = [f"stride={step}"] * (step > 1) + [f"padding={side // 2}"] * (side > 1)
        words += [f"groups={groups}"] * (groups > 1)
        return f"nn.Conv2d({', '.join([f'{a}, {b}, {side}', *words])}{tail})"

    if way == "3×3 stack":
        n = size // 2
        return [conv(k if i else c, k, 3, s if i == n - 1 else 1) for i in range(n)] or None
    if way == "grouped" and (c % g or k % g):
        return None
    r = max(1, c // o["reduction"])
    down = [f"stride=({s}, 1)"] * (s > 1) + [f"padding=({size // 2}, 0)"] * (size > 1)
    right = [f"stride=(1, {s})"] * (s > 1) + [f"padding=(0, {size // 2})"] * (size > 1)
    tall, wide = (f"({size}, 1)", f"(1, {size})") if size > 1 else (1, 1)
    return {
        "standard": lambda: [conv(c, k, size, s)],
        "1×1": lambda: [conv(c, k, 1, s)],
        "bottleneck": lambda: [conv(c, r, 1), conv(r, r, size, s), conv(r, k, 1)],
        "depthwise separable": lambda: [conv(c, c, size, s, c), conv(c, k, 1)],
        "grouped": lambda: [conv(c, k, size, s, g)],
        "low rank": lambda: [
            f"nn.Conv2d({', '.join([f'{c}, {k}, {tall}', *down])}{tail})",
            f"nn.Conv2d({', '.join([f'{k}, {k}, {wide}', *right])}{tail})",
        ],
    }[way]()


def settings():
    """Hundreds of settings of every way, and what `utils.cost` counts on the modules themselves."""
    rng = np.random.default_rng(0)
    for way in figures.WAYS:
        for _ in range(50):
            o = {
                "size": int(rng.integers(1, 30)),
                "in": int(rng.integers(1, 25)),
                "out": int(rng.integers(1, 25)),
            }
            o |= {"kernel": int(rng.choice([1, 3, 5, 7])), "stride": int(rng.integers(1, 4))}
            o |= {"groups": int(rng.integers(1, 5)), "reduction": int(rng.integers(1, 9))}
            if way == "grouped" and rng.random() < 0.7:
                o["in"], o["out"] = o["in"] * o["groups"], o["out"] * o["groups"]
            bias = bool(rng.random() < 0.5)
            layers, costs = modules(way, o, bias), None
            if layers:
                with torch.device("meta"):
                    net = nn.Sequential(*(eval(layer, {"nn": nn}) for layer in layers))
                total = cost(net, (1, o["in"], o["size"], o["size"])).total
                costs = [total.parameters, total.multiply_adds, total.activations]
            yield {"way": way, "options": o, "bias": bias, "layers": layers, "costs": costs}


def test_the_mathematics_equals_utils_cost(tmp_path):
    assert "pass 1" in run_in_node("price.test.mjs", list(settings()), tmp_path)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"input_size": 0}, "input_size: got 0, expected an integer from 1 to 512"),
        ({"in_channels": 5000}, "in_channels: got 5000, expected an integer from 1 to 4096"),
        ({"out_channels": "64"}, "out_channels: got '64'"),
        ({"kernel_size": 4}, "kernel_size: got 4, expected one of"),
        ({"stride": 5}, "stride: got 5, expected an integer from 1 to 4"),
        ({"groups": 0}, "groups: got 0"),
        ({"reduction": 65}, "reduction: got 65, expected an integer from 1 to 64"),
        ({"chosen": "cheap"}, "chosen: got 'cheap', expected one of standard"),
    ],
)
def test_bad_arguments(wrong, told):
    with pytest.raises(ValueError, match=told):
        figures.cost_calculator(**wrong)


# ---- in a browser --------------------------------------------------------------------------------------------


def test_by_the_mouse(show):
    _, element = show(figures.cost_calculator(14, 24, 24, 5))
    said = element.locator(".sum")
    assert "14,400 parameters, 2,822,400 multiply-adds, 18,816 activation bytes" in said.inner_text()
    element.locator("[data-way='depthwise separable']").click()
    assert "1,176 parameters (8.2 %)" in said.inner_text()
    assert "groups=24" in element.locator("ol").inner_text()
    element.locator("[data-set='2']").fill("48")
    assert "24 · 24/24 · 5 · 5 = 600 weights" in element.locator("ol").inner_text()
    assert "48 · 24 · 1 · 1 = 1,152 weights" in element.locator("ol").inner_text()
    assert element.locator("[data-example]").input_value() == "own"
    element.locator("[data-press=bias]").click()
    assert "1,824 parameters" in said.inner_text()
    element.locator("[data-example]").select_option("ResNet-50: 256 channels")
    element.locator("tbody tr").nth(3).locator("td").nth(2).click()  # anywhere in the row of the bottleneck
    assert "70,016 parameters (12 %)" in said.inner_text()  # 69,632 weights and 384 biases
    assert "64 channels inside" in said.inner_text()


def test_by_the_keyboard(show):
    tab, element = show(figures.cost_calculator(56, 64, 64))
    element.locator("[data-way=standard]").focus()
    for _ in range(5):
        tab.keyboard.press("ArrowDown")
    assert element.locator(".sum").inner_text().startswith("grouped: 9,216 parameters (25 %)")
    assert element.locator("tbody [tabindex='0']").count() == 1
    element.locator("[data-set='5']").focus()
    tab.keyboard.press("ArrowUp")
    assert "5 groups do not divide 64 and 64 channels." in element.locator(".sum").inner_text()
    tab.keyboard.press("Control+a")
    tab.keyboard.type("64")
    assert element.locator(".sum").inner_text().startswith("grouped: 576 parameters (1.6 %)")
    tab.keyboard.press("Control+a")
    tab.keyboard.press("Delete")  # nothing typed yet: the last numbers stay
    assert element.locator(".sum").inner_text().startswith("grouped: 576 parameters")
    tab.keyboard.type("99999")
    told = "groups: a whole number from 1 to 4096. The table still has 999."
    assert element.locator(".sum").inner_text() == told


def test_bars_on_both_scales(show):
    _, element = show(figures.cost_calculator(56, 256, 256))
    read = "bars => bars.map(b => parseFloat(b.style.width))"
    linear = element.locator("tbody tr td:nth-child(2) i").evaluate_all(read)
    full = 9 * 256 * 256
    separable = 9 * 256 + 256 * 256
    assert linear[0] == 100
    assert linear[4] == pytest.approx(100 * separable / full, abs=0.01)
    element.locator("[data-press=log]").click()
    logarithmic = element.locator("tbody tr td:nth-child(2) i").evaluate_all(read)
    assert logarithmic[4] == pytest.approx(100 + 25 * np.log10(separable / full), abs=0.01)


def test_a_row_chosen_by_the_mouse_is_the_stop_of_the_tab_key(show):
    _, element = show(figures.cost_calculator(14, 24, 24, 5, reduction=24))
    element.locator("tbody tr").nth(3).locator("td").nth(2).click()
    assert element.locator("tbody [tabindex='0']").get_attribute("data-way") == "bottleneck"
    assert "1 channel inside." in element.locator(".sum").inner_text()
