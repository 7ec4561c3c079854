"""The architecture explorer: its arguments, its numbers in Node, and a browser that looks into networks."""

import json
import subprocess
import sys
import zlib

import numpy as np
import pytest
from torch import nn

from tests.browser import press, run_in_node
from tools.course import ROOT
from utils import figures
from utils.cost import format_bytes, format_count
from utils.figures.architectures import QUANTITIES

RECORD = figures.architectures()


def carried(figure) -> dict:
    """What a figure carries, unpacked."""
    raw = zlib.decompress(figure.attributes["data"])
    return json.loads(raw[4 : 4 + int.from_bytes(raw[:4], "little")])["networks"]


def test_numbers_in_node(tmp_path):
    rng = np.random.default_rng(0)
    numbers = [0, 1, 999, 1000, 1023, 1024, 9408, 25557032, 3211264, *map(int, 10 ** rng.uniform(0, 12, 400))]
    fixtures = {
        "networks": carried(figures.architecture_explorer()),
        "units": [[n, format_count(n), format_bytes(n)] for n in numbers],
        "totals": {name: [sum(r[k] for r in net["rows"]) for k in (4, 5, 6)] for name, net in RECORD.items()},
    }
    assert "pass 4" in run_in_node("layers.test.mjs", fixtures, tmp_path)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"names": ("vgg17",)}, "names: got 'vgg17', expected one of lenet5, alexnet"),
        ({"names": ()}, "names: expected 1 to 26 networks, own ones included, got 0"),
        ({"left": "vgg"}, "left: got 'vgg'"),
        ({"names": ("nin",), "right": "vgg16"}, "right: got 'vgg16', expected one of , nin"),
        ({"quantity": "latency"}, "quantity: got 'latency', expected one of parameters"),
        ({"scale": "log"}, "scale: got 'log', expected one of linear, logarithmic, sum so far"),
        ({"own": {"mine": nn.ReLU()}}, "own: expected a model and its input size"),
        ({"own": {"mine": ("resnet18", (1, 3, 9, 9))}}, "got a str as model"),
        ({"own": {"mine": (nn.ReLU(), (3, 8, 8))}}, r"got the size \(3, 8, 8\); one picture"),
        ({"own": {"nin": (nn.ReLU(), (1, 3, 8, 8))}}, "own: got 'nin', expected a name that no other"),
    ],
)
def test_bad_arguments(wrong, told):
    with pytest.raises(ValueError, match=told):
        figures.architecture_explorer(**wrong)


def test_needs_no_pytorch():
    code = (
        "import sys; sys.modules['torch'] = None; from utils import figures; figures.architecture_explorer()"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_stays_small():
    assert sum(map(len, figures.architecture_explorer()._repr_mimebundle_()[0].values())) < 60_000


# ---- in a browser --------------------------------------------------------------------------------------------


def said(element, side: str) -> str:
    return element.locator(f"[data-side={side}] .said").inner_text()


def test_with_the_mouse(show):
    _, element = show(figures.architecture_explorer(left="alexnet", right="resnet18"))
    assert said(element, "left").startswith("Layer 10 of 12, classifier.1: Linear")  # the largest
    assert "5.2 times the parameters" in element.locator("[role=status]").inner_text()
    plot = element.locator("[data-side=left] .plot")
    box = plot.bounding_box()
    plot.hover(position={"x": box["width"] * 2.5 / 12, "y": 20})
    assert said(element, "left").startswith("Layer 3 of 12, features.3: Conv2d 5×5")
    assert plot.get_attribute("aria-valuetext") == said(element, "left")
    for name in RECORD:
        element.locator("[data-choose=right]").select_option(name)
        assert element.locator("[data-side=right] .plot").get_attribute("aria-valuemax") == str(
            len(RECORD[name]["rows"])
        )
    for quantity in QUANTITIES:
        element.locator("[data-choose=quantity]").select_option(quantity)
        for scale in ("logarithmic", "linear"):
            element.locator("[data-choose=scale]").select_option(scale)
            assert element.locator("[data-side=left] svg rect").count() > 5
    element.locator("[data-choose=right]").select_option("")
    assert element.locator(".panel:visible").count() == 1
    assert element.locator(".totals tr").first.locator("th").count() == 2


def test_with_the_keyboard(show):
    tab, element = show(figures.architecture_explorer(("vgg16", "resnet18"), quantity="multiply-adds"))
    element.locator("[data-side=right] .plot").focus()
    press(tab, "Home", "ArrowRight")
    assert said(element, "right").startswith("Layer 2 of 31, maxpool: MaxPool2d")
    for key, place in (("End", 31), ("ArrowRight", 31), ("PageDown", 21), ("ArrowLeft", 20)):
        tab.keyboard.press(key)
        assert said(element, "right").startswith(f"Layer {place} of 31")
    tab.keyboard.press("Tab")  # the table below it
    tab.keyboard.press("Enter")
    rows = element.locator("[data-side=right] tbody tr")
    rows.nth(30).wait_for(state="attached")
    assert rows.count() == 31
    assert rows.nth(19).get_attribute("class") == "on"
    tab.keyboard.press("Tab")
    box = element.locator("[data-side=right] .box")
    before = box.evaluate("e => e.scrollTop")
    tab.keyboard.press("ArrowDown")
    tab.wait_for_timeout(200)
    assert box.evaluate("e => e.scrollTop") > before


def test_the_table_is_the_record(show):
    _, element = show(figures.architecture_explorer(("squeezenet1_1", "lenet5")))
    element.locator("[data-side=left] summary").click()
    cells = element.locator("[data-side=left] tbody tr").evaluate_all(
        "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"
    )
    for i, (row, shown) in enumerate(zip(RECORD["squeezenet1_1"]["rows"], cells, strict=True)):
        name, kind, _, output, parameters, work, activations, field = row
        seen = f"{field}×{field}" if field else "all"
        numbers = [f"{parameters:,}", f"{work:,}", format_bytes(activations), seen]
        assert shown == [str(i + 1), name, kind, output, *numbers]
    totals = element.locator(".totals tr").evaluate_all(
        "rows => Object.fromEntries(rows.map(row => [...row.cells].map(cell => cell.textContent)))"
    )
    rows = RECORD["squeezenet1_1"]["rows"]
    assert totals["parameters"] == format_count(sum(row[4] for row in rows))
    assert totals["multiply-adds"] == format_count(sum(row[5] for row in rows))
    assert totals["activations"] == format_bytes(sum(row[6] for row in rows))
    assert totals["activations alive at once"] == format_bytes(RECORD["squeezenet1_1"]["peak"])


def test_the_width_of_the_picture_among_the_receptive_fields(show):
    """A line where a window is as wide as the picture: between bars that see less and bars that see more."""
    _, element = show(
        figures.architecture_explorer(("resnet18", "lenet5", "alexnet"), quantity="receptive field")
    )
    for scale in ("linear", "logarithmic"):
        element.locator("[data-choose=scale]").select_option(scale)
        labels = element.locator(".plot span").all_inner_texts()
        assert labels == ["the picture: 224", "the picture: 32"]
        for side, name, width in (("left", "resnet18", 224), ("right", "lenet5", 32)):
            plot = element.locator(f"[data-side={side}] .plot")
            line = float(plot.locator("line.width").get_attribute("y1"))
            tops = plot.locator("rect[style]:not(.all)").evaluate_all(
                "all => all.map(e => +e.getAttribute('y'))"
            )
            fields = [abs(row[7]) for row in RECORD[name]["rows"] if row[7]]
            assert len(tops) == len(fields)
            for top, seen in zip(tops, fields, strict=True):
                assert (top > line + 1e-6, top < line - 1e-6) == (seen < width, seen > width), seen
    element.locator("[data-choose=left]").select_option("alexnet")
    element.locator("[data-choose=scale]").select_option("linear")  # to 200 only: its windows are smaller
    assert element.locator(".plot span").all_inner_texts() == ["the picture: 32"]
    element.locator("[data-choose=quantity]").select_option("parameters")
    assert element.locator(".plot .width").count() == 0


def test_an_own_network(show):
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 5))
    _, element = show(figures.architecture_explorer((), own={"<mine> & so": (model, (1, 3, 8, 8))}))
    assert element.locator("[data-side=left] .head").inner_text() == "<mine> & so: 1.67 k parameters in all"
    assert said(element, "left").startswith("Layer 2 of 2, 3: Linear. Output 5. 1,445 parameters (87\u00a0%)")
    assert element.locator(".panel:visible").count() == 1


def test_broken_data_leaves_the_picture(show):
    figure = figures.architecture_explorer()
    figure.attributes["data"] = b"nothing"
    _, element = show(figure)
    assert "could not start" in element.locator("p").inner_text()
    assert element.locator("img").bounding_box()["height"] > 100


def test_the_table_opens_at_the_chosen_layer(show):
    _, element = show(
        figures.architecture_explorer(left="densenet121", quantity="receptive field"), width=375
    )
    element.locator("[data-side=left] summary").click()
    row, box = element.locator("[data-side=left] tr.on"), element.locator("[data-side=left] .box")
    row.wait_for()
    row, box = row.bounding_box(), box.bounding_box()
    assert box["y"] < row["y"] < box["y"] + box["height"] - 20


def test_the_comparison_names_the_larger_one_first(show):
    _, element = show(figures.architecture_explorer(left="alexnet", right="resnet18"))
    words = element.locator("[role=status]").inner_text()
    assert "ResNet-18 has 2.5 times the multiply-adds of AlexNet" in words
    assert "0." not in words
