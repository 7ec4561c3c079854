"""The LeNet-5 in the page: its numbers in Node beside PyTorch, and a browser that draws for it and breaks it."""

import base64
import json

import numpy as np
import pytest
import torch
from torch import nn

from experiments.page_lenet import dequantize, quantize
from tests.browser import press, run_in_node
from utils import data, figures
from utils.figures._data import stored
from utils.layers import LeNet5
from utils.loop import evaluate, predict, to_input

RECORD = data.COURSE_ROOT / "experiments" / "results" / "page_lenet.json"
ORDER = ("conv1", "pool1", "conv2", "pool2", "fc1", "fc2")


def lenet_torch() -> dict[str, nn.Module]:
    """LeNet-5 in PyTorch with the stored weights, in the pieces whose outputs the figure shows."""
    layers = {
        "conv1": nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU()),
        "pool1": nn.MaxPool2d(2),
        "conv2": nn.Sequential(nn.Conv2d(6, 16, 5), nn.ReLU()),
        "pool2": nn.Sequential(nn.MaxPool2d(2), nn.Flatten()),
        "fc1": nn.Sequential(nn.Linear(400, 120), nn.ReLU()),
        "fc2": nn.Sequential(nn.Linear(120, 84), nn.ReLU()),
        "fc3": nn.Sequential(nn.Linear(84, 10)),
    }
    for name, value in dequantize(stored()).items():
        layer, part = name.split(".")
        getattr(layers[layer][0], part).data = torch.tensor(value)
    return layers


@torch.no_grad()
def outputs(layers: dict[str, nn.Module], images: np.ndarray) -> dict[str, torch.Tensor]:
    x, found = torch.tensor(to_input(images)), {}
    for name, layer in layers.items():
        x = found[name] = layer(x)
    return found


def carried() -> str:
    return base64.b64encode(figures.lenet_explorer().attributes["data"]).decode()


# ---- mathematics ---------------------------------------------------------------------------------------------


def test_the_network_equals_pytorch(tmp_path):
    rng = np.random.default_rng(0)
    images = data.load(split="test", sample=True, quiet=True).images[::4]
    noise = rng.integers(0, 256, (60, 28, 28)).astype(np.uint8)
    images = np.concatenate([images, 255 - images[:40], noise, np.zeros((1, 28, 28), np.uint8)])
    layers = lenet_torch()
    found = outputs(layers, images)
    pictures = [
        {
            "pixels": image.ravel().tolist(),
            "logits": found["fc3"][n].tolist(),
            "parts": {name: found[name][n].ravel().tolist() for name in ORDER} if n % 100 == 0 else {},
        }
        for n, image in enumerate(images)
    ]
    broken = []
    for name, filters in (("conv1", 6), ("conv2", 16)):
        for f in range(filters):
            silent = lenet_torch()
            silent[name][0].weight.data[f] = 0
            silent[name][0].bias.data[f] = 0
            logits = outputs(silent, images[:1])["fc3"][0]
            broken.append({"layer": name, "filter": f, "logits": logits.tolist()})
    squares = []
    for row, column, side in ((14, 14, 9), (0, 3, 5), (27, 27, 15), (13, 0, 3), (5, 6, 8)):
        hidden = images[0].copy()
        top, left = row - side // 2, column - side // 2
        hidden[max(0, top) : top + side, max(0, left) : left + side] = 73
        squares.append({"place": [row, column], "side": side, "pixels": hidden.ravel().tolist()})
    fixtures = {"data": carried(), "pictures": pictures, "broken": broken, "squares": squares}
    assert "pass 5" in run_in_node("lenet.test.mjs", fixtures, tmp_path)


def test_the_record_tells_what_the_stored_weights_do():
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    test = data.load(split="test", quiet=True)
    model = LeNet5(rng=np.random.default_rng(0)).load_state_dict(dequantize(stored()))
    if len(test) == 10_000:
        assert round(evaluate(model, test)[1] * 10_000) == record["right answers"]["int8"]
    assert record["right answers"]["int8"] == np.trace(stored()["confusion"].astype(int))
    assert abs(record["right answers"]["int8"] - record["right answers"]["float32"]) < 50
    theirs = outputs(lenet_torch(), test.images[:100])["fc3"].numpy()
    np.testing.assert_allclose(predict(model, test.images[:100]), theirs, atol=1e-4)


def test_quantization_is_right_to_half_a_step():
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(5, 3, 2, 2)).astype(np.float32) * np.arange(1, 6).reshape(5, 1, 1, 1)
    steps, scale = quantize(weight)
    assert steps.dtype == np.int8
    assert (np.abs(steps).reshape(5, -1).max(1) == 127).all()
    error = np.abs(steps * scale.reshape(5, 1, 1, 1) - weight)
    assert (error <= 0.501 * scale.reshape(5, 1, 1, 1)).all()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"picture": 30}, "picture: got 30, expected an integer from 0 to 29"),
        ({"picture": "a"}, "picture: got 'a'"),
        ({"occlude": 1}, "occlude: got 1, expected True or False"),
        ({"filter": ("conv1", 6)}, r"filter: got \('conv1', 6\), expected \(\"conv1\", 0 to 5\) or"),
        ({"filter": ("fc1", 0)}, "filter: got"),
        ({"filter": "conv1"}, "filter: got 'conv1'"),
        ({"filter": ("conv2", 1.5)}, "filter: got"),
    ],
)
def test_bad_arguments(wrong, told):
    with pytest.raises(ValueError, match=told):
        figures.lenet_explorer(**wrong)


# ---- in a browser --------------------------------------------------------------------------------------------


def said(element) -> str:
    return element.locator("[role=status]").inner_text()


def percents(element) -> list[int]:
    return [int(text.split()[0]) for text in element.locator(".bars span:nth-child(3n)").all_inner_texts()]


def right_now(element) -> int:
    return int(element.locator("#count").inner_text().split(" now")[0].split()[-1])


def test_explorer_shows_what_the_network_says(show):
    _, element = show(figures.lenet_explorer(picture=18))
    test = data.load(split="test", sample=True, quiet=True)
    shirt = test.images[np.flatnonzero(test.labels == 6)[:1]]
    expected = outputs(lenet_torch(), shirt)["fc3"].softmax(1)[0].numpy()
    assert "a test picture, Shirt" in said(element)
    np.testing.assert_allclose(percents(element), 100 * expected, atol=0.51)


def test_explorer_with_the_mouse(show):
    tab, element = show(figures.lenet_explorer())
    element.locator("[data-pick='3']").click()
    assert "Trouser" in said(element)
    element.locator("[data-press=Clear]").click()
    assert "sees nothing" in said(element)
    empty = percents(element)
    box = element.locator("#paper").bounding_box()
    tab.mouse.move(box["x"] + 100, box["y"] + 60)
    tab.mouse.down()
    tab.mouse.move(box["x"] + 110, box["y"] + 240, steps=4)
    tab.mouse.up()
    assert "a drawing" in said(element)
    assert percents(element) != empty
    element.locator("[data-press=Invert]").click()
    assert "a drawing, inverted" in said(element)


def test_explorer_hides_a_part(show):
    tab, element = show(figures.lenet_explorer(picture=18, occlude=True))
    assert said(element).startswith("Without the square: Shirt")
    before = percents(element)
    box = element.locator("#paper").bounding_box()
    tab.mouse.move(box["x"] + 200, box["y"] + 200)
    assert percents(element) != before
    element.locator("[data-press='Heat map']").click()
    tab.wait_for_function("document.querySelector('lenet-explorer').shadowRoot.querySelector('[role=status]')"
                          ".textContent.startsWith('Orange')")  # fmt: skip
    assert "it leaves" in said(element)


def test_explorer_with_the_keyboard(show):
    tab, element = show(figures.lenet_explorer())
    element.locator("[data-press=Occlude]").focus()
    tab.keyboard.press("Enter")
    element.locator("#paper").focus()
    top = element.locator(".paper i").evaluate("i => i.style.top")
    tab.keyboard.press("ArrowDown")
    assert element.locator(".paper i").evaluate("i => i.style.top") != top
    element.locator("[data-press=Draw]").focus()
    tab.keyboard.press("Enter")
    element.locator("#paper").focus()
    tab.keyboard.press(" ")
    assert "a drawing" in said(element)
    element.locator("[data-pick]").first.focus()
    press(tab, "ArrowRight", "ArrowDown", "Enter")
    assert "Trouser" in said(element)
    for grid in ("[data-pick]", "[data-open^=conv1]", "[data-open^=conv2]"):
        assert element.locator(f"{grid}[tabindex='0']").count() == 1


def test_explorer_breaks_and_mends(show):
    tab, element = show(figures.lenet_explorer(picture=18))
    trained, before = right_now(element), percents(element)
    element.locator("[data-open='conv1 2']").click()
    assert element.locator("[data-weight]").count() == 25
    element.locator("[data-press=Silence]").click()
    assert right_now(element) < trained
    assert element.locator("td.wrong").count() == 30 - right_now(element)
    assert {
        v.replace("−", "") for v in element.locator("[data-weight]").evaluate_all("f => f.map(e => e.value)")
    } == {"0.00"}
    element.locator("[data-press=Restore]").click()
    assert (right_now(element), percents(element)) == (trained, before)
    element.locator("[data-open='conv2 5']").focus()
    tab.keyboard.press("Enter")
    assert element.locator("[data-kernel]").count() == 6
    element.locator("[data-kernel='2']").click()
    element.locator("[data-weight]").nth(7).fill("-9")
    assert percents(element) != before
    element.locator("[data-press=Reset]").click()
    assert (right_now(element), percents(element)) == (trained, before)


def test_explorer_takes_a_picture_from_another_figure(show):
    tab, element = show(figures.lenet_explorer(occlude=True))
    element.locator("#paper").wait_for()
    tab.evaluate("""document.dispatchEvent(new CustomEvent("lenet-picture",
        { detail: { pixels: new Uint8Array(784).fill(9), words: "what was sent" } }))""")
    assert "sees what was sent" in said(element)


def test_explorer_without_its_weights_says_so(show):
    figure = figures.Figure("lenet-explorer", "A LeNet-5.", data=b"nothing")
    _, element = show(figure)
    element.locator("p").wait_for()
    assert "could not start" in element.locator("p").inner_text()
    assert element.locator("img").is_visible()
