"""The receptive field explorer: its mathematics in Node beside our Python and PyTorch, and in a browser."""

import re

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.browser import press, run_in_node
from utils import figures
from utils.receptive_field import receptive_field, sequence

# ---- mathematics ---------------------------------------------------------------------------------------------


def gradient(layers, pixels: int, unit: int | None) -> np.ndarray:
    """What PyTorch says that each pixel counts for a unit (the middle one if None), all weights equal."""
    x = torch.zeros(1, 1, pixels, dtype=torch.float64, requires_grad=True)
    y = x
    for kernel, stride, padding, dilation in layers:
        weight = torch.full((1, 1, kernel), 1 / kernel, dtype=torch.float64)
        y = F.conv1d(y, weight, stride=stride, padding=padding, dilation=dilation)
    y[0, 0, y.shape[2] // 2 if unit is None else unit].backward()
    return x.grad[0, 0].numpy()


def stacks():
    """Hundreds of random stacks, and what `utils.receptive_field` and PyTorch say about them."""
    rng = np.random.default_rng(0)
    made = 0
    while made < 320:
        pixels = int(rng.integers(6, 60))
        layers = [tuple(int(rng.integers(*b)) for b in ((1, 6), (1, 4), (0, 4), (1, 4))) for _ in range(5)]
        layers = layers[: rng.integers(1, 6)]
        counts = [pixels]
        for k, s, p, d in layers:
            counts.append((counts[-1] + 2 * p - d * (k - 1) - 1) // s + 1)
        steps = sequence(layers)
        if min(counts) < 1 or steps[-1].size > 300:
            continue
        unit = int(rng.integers(counts[-1]))
        last = steps[-1]
        center = last.start + unit * last.jump
        window = [int(center - (last.size - 1) / 2), int(center + (last.size - 1) / 2)]
        if made % 10 == 0:  # the same of real modules: the instrument that reads any network
            convs = [nn.Conv2d(1, 1, k, s, p, d) for k, s, p, d in layers]
            field = receptive_field(nn.Sequential(*convs), (1, 1, pixels, pixels)).layers[-1]
            assert field.output == (counts[-1], counts[-1])
            region = field.window(unit, unit)
            assert [region.left, region.right] == window

        inside = gradient(layers, pixels, unit)
        free = [(k, s, 0, d) for k, s, _, d in layers]
        endless = gradient(free, last.size, 0)  # a picture as wide as the field, no padding
        place = np.arange(last.size) - (last.size - 1) / 2
        held = [endless[t : last.size - t].sum() for t in range((last.size + 1) // 2)]
        columns = last.size - 2 * max(t for t, share in enumerate(held) if share >= 0.95 - 1e-12)
        square = np.sort(np.outer(endless, endless).ravel())[::-1].cumsum()
        yield {
            "pixels": pixels,
            "layers": layers,
            "steps": [[step.size, step.jump, step.start] for step in steps],
            "counts": counts,
            "unit": unit,
            "window": window,
            "gradient": inside.tolist(),
            "lost": 1 - inside.sum(),
            "endless": endless.tolist(),
            "sigma": float(np.sqrt((endless * place**2).sum())),
            "columns": columns,
            "square": int((square < 0.95 - 1e-12).sum()) + 1 if last.size < 80 else None,
        }
        made += 1


def test_the_mathematics_equals_ours_and_pytorch(tmp_path):
    assert "pass 4" in run_in_node("field.test.mjs", list(stacks()), tmp_path)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"stack": "ResNet"}, "stack: got 'ResNet', expected one of three 3×3"),
        ({"stack": []}, "stack: got 0 layers, expected 1 to 20"),
        ({"stack": 3}, "stack: got 3, expected a name or a list of layers"),
        ({"stack": [3, (3, 5)]}, r"stack\[1\], stride: got 5, expected an integer from 1 to 4"),
        ({"stack": [("pool",)]}, r"stack\[0\]: got \('pool',\), expected \(kernel, stride"),
        ({"stack": [2.5]}, "stack: got"),
        ({"pixels": 3}, "pixels: got 3, expected an integer from 4 to 256"),
        ({"unit": -1}, "unit: got -1"),
    ],
)
def test_bad_arguments(wrong, told):
    with pytest.raises(ValueError, match=told):
        figures.receptive_field_explorer(**wrong)


# ---- in a browser --------------------------------------------------------------------------------------------


def table(element) -> list[list[float]]:
    """The numbers of each layer: kernel, stride, padding, dilation, units, size, jump, start."""
    rows = element.locator("tbody tr").evaluate_all(
        "rows => rows.map(r => [...r.cells].map(c => c.textContent))"
    )
    return [[float(cell.replace("−", "-").replace(",", "")) for cell in row[1:]] for row in rows[1:]]


def check_table(element):
    rows = table(element)
    steps = sequence([[int(v) for v in row[:4]] for row in rows])
    assert [row[5:] for row in rows] == [[step.size, step.jump, step.start] for step in steps]
    return rows


def test_every_stack_by_the_mouse(show):
    _, element = show(figures.receptive_field_explorer(effective=True))
    names = element.locator("select option").all_inner_texts()
    assert names == ["own", *figures.STACKS]
    for name in figures.STACKS:
        element.locator("select").select_option(name)
        rows = check_table(element)
        assert f"of layer {len(rows)} sees the pixels" in element.locator(".sum").inner_text()
        assert rows[-1][4] >= 1
    assert rows[-1][5:] == [212, 32, 15.5]


def test_stack_built_by_the_mouse(show):
    _, element = show(figures.receptive_field_explorer([3], 20))
    element.locator("[data-press=pool]").click()
    element.locator("[data-press=conv]").click()
    assert [row[:2] for row in check_table(element)] == [[3, 1], [2, 2], [3, 1]]
    element.locator("[data-press=earlier]").click()
    assert [row[:2] for row in check_table(element)] == [[3, 1], [3, 1], [2, 2]]
    element.locator("[data-layer='1']").click()
    element.locator("[data-option=stride]").fill("2")
    element.locator("[data-option=dilation]").fill("3")
    assert check_table(element)[0][:4] == [3, 2, 0, 3]
    assert "size = 1 + (3 − 1) · 3 · 1 = 7" in element.locator(".rule").inner_text()
    element.locator("tbody tr").nth(2).locator("td").nth(4).click()  # anywhere in the row of a layer
    assert element.locator("legend").inner_text() == "Layer 2: convolution"
    element.locator("tbody tr").first.click()  # the picture is no layer
    element.locator("[data-layer='1']").click()
    element.locator("[data-press=remove]").click()
    assert [row[:2] for row in check_table(element)] == [[3, 1], [2, 2]]
    element.locator("[data-option=kernel]").fill("11")
    element.locator("[data-option=dilation]").fill("8")
    assert "Layer 1 does not fit on the 20 units" in element.locator(".sum").inner_text()


def test_unit_by_mouse_and_keyboard(show):
    tab, element = show(figures.receptive_field_explorer("three 3×3, padded", unit=0))
    said, picture = element.locator(".sum"), element.locator("svg")
    assert said.inner_text().startswith("Unit 0 of layer 3 sees the pixels −3 to 3: 7 around the center 0 ")
    assert " 3 in the padding" in said.inner_text()
    picture.focus()
    press(tab, "ArrowRight", "ArrowRight", "ArrowDown", "ArrowLeft")
    assert said.inner_text().startswith("Unit 1 of layer 2 sees the pixels −1 to 3")
    assert picture.evaluate("e => e.ariaValueText") == "Unit 1 of layer 2 sees the pixels −1 to 3"
    tab.keyboard.press("End")
    assert said.inner_text().startswith("Unit 8 of layer 2")
    boxes = element.locator("svg path.mark").first.bounding_box()
    top = picture.bounding_box()["y"] + 14
    tab.mouse.click(boxes["x"] - 4 * 26 + 9, top)  # the row of layer 3, four units further left
    assert said.inner_text().startswith("Unit 4 of layer 3")
    assert "All lie in the picture." in said.inner_text()


def test_rows_of_the_table_by_the_keyboard(show):
    tab, element = show(figures.receptive_field_explorer("LeNet-5"))
    element.locator("tbody button[tabindex='0']").focus()
    tab.keyboard.press("ArrowUp")
    assert element.locator("legend").inner_text() == "Layer 4: pooling"
    assert "size = 14 + (2 − 1) · 1 · 2 = 16" in element.locator(".rule").inner_text()
    assert element.locator("tbody [tabindex='0']").count() == 1
    element.locator("select").select_option("VGG-16")  # its last row is further down than the list is high
    view, row = element.locator(".list").bounding_box(), element.locator("tr.on").bounding_box()
    assert view["y"] < row["y"]
    assert row["y"] + row["height"] < view["y"] + view["height"] + 1


def test_how_much_each_pixel_counts(show):
    _, element = show(figures.receptive_field_explorer("twenty 3×3"))
    assert not element.locator("canvas").is_visible()
    element.locator("[data-press=effective]").click()
    words = element.locator(".share").inner_text()
    sigma = float(re.search(r"deviation ([\d.]+) pixels", words)[1])
    assert sigma == pytest.approx(np.sqrt(20 * 8 / 12), abs=0.01)
    assert "15 of 41 columns (37 %)" in words
    assert element.locator("canvas").evaluate("c => c.width") == 41
    element.locator("select").select_option("three 3×3")
    paths = element.locator("svg text[text-anchor=middle]").all_text_contents()[:7]
    assert sorted(map(int, paths)) == [1, 1, 3, 3, 6, 6, 7]
    element.locator("select").select_option("dilation 2, 2, 2")
    assert "It reads only 7 of the 13." in element.locator(".sum").inner_text()


def test_one_pixel_and_one_unit(show):
    _, element = show(figures.receptive_field_explorer([1], 4))
    assert "sees the pixel 1: 1 around" in element.locator(".sum").inner_text()
    _, element = show(figures.receptive_field_explorer([4, 2, (11, 4)], 5))
    assert "does not fit on the one unit below it" in element.locator(".sum").inner_text()
