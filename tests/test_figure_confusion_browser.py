"""The confusion browser: its counts against an independent count, and a browser that goes from cell to cell."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from experiments.page_lenet import ACROSS, MISTAKES, RIGHT_ONES, SHADES, coarse
from tests.browser import press, run_in_node
from tests.test_figure_lenet_explorer import RECORD, lenet_torch, outputs
from utils import data, figures
from utils.figures._data import stored

CLASSES = data.FASHION_CLASSES


def pictures() -> np.ndarray:
    """The pictures of the sheet, uint8 (N, 28, 28) from 0 to 255."""
    sheet = np.array(Image.open(figures.HERE / "data" / "mix_ups.png").convert("L"))
    tiles = sheet.reshape(-1, 28, ACROSS, 28).swapaxes(1, 2).reshape(-1, 28, 28)
    return tiles[: len(stored()["cells.index"])]


# ---- what is stored ------------------------------------------------------------------------------------------


def test_the_counts_equal_an_independent_count():
    test = data.load(split="test", quiet=True)
    if len(test) != 10_000:
        pytest.skip("needs all 10,000 test pictures")
    answers = outputs(lenet_torch(), test.images)["fc3"].argmax(1).numpy()
    counts = np.zeros((10, 10), int)
    for right, answer in zip(test.labels, answers, strict=True):
        counts[right, answer] += 1
    assert np.array_equal(stored()["confusion"], counts)
    assert np.array_equal(test.labels[stored()["cells.index"]], stored()["cells.right"])
    assert np.array_equal(answers[stored()["cells.index"]], stored()["cells.answer"])
    assert np.array_equal(pictures(), coarse(test.images[stored()["cells.index"]]) * 17)


def test_every_cell_has_its_pictures_and_they_their_probabilities():
    shares = outputs(lenet_torch(), pictures())["fc3"].softmax(1)
    assert np.array_equal(shares.argmax(1), stored()["cells.answer"])
    np.testing.assert_allclose(stored()["cells.percent"], 100 * shares, atol=0.51)
    cells = torch.tensor(stored()["cells.right"].astype(int) * 10 + stored()["cells.answer"])
    kept = torch.bincount(cells, minlength=100).reshape(10, 10).numpy()
    counts = stored()["confusion"].astype(int)
    most = np.where(np.eye(10, dtype=bool), RIGHT_ONES, MISTAKES)
    assert (kept <= np.minimum(counts, most)).all()
    assert (kept == most)[counts >= 12].all()
    assert len(cells) == json.loads(RECORD.read_text(encoding="utf-8"))["pictures of cells"]
    assert (figures.HERE / "data" / "mix_ups.png").stat().st_size <= 60_000
    assert len(np.unique(pictures())) == SHADES


def test_precision_and_recall_in_node(tmp_path):
    rng = np.random.default_rng(0)
    fixtures = []
    for n in range(120):
        classes = int(rng.integers(2, 11))
        counts = rng.integers(0, 40, (classes, classes))
        counts[:, 0] *= n % 3 > 0  # a class that is never said
        counts[-1] *= n % 4 > 0  # a class that is never there
        right, there, said = counts.diagonal(), counts.sum(1), counts.sum(0)
        share = counts / np.maximum(there, 1)[:, None]
        fixtures.append(
            {
                "counts": counts.ravel().tolist(),
                "classes": classes,
                "precision": (right / np.maximum(said, 1)).tolist(),
                "recall": (right / np.maximum(there, 1)).tolist(),
                "share": share.ravel().tolist(),
                "most": share[~np.eye(classes, dtype=bool)].max(),
                "right": int(right.sum()),
            }
        )
    assert "pass 2" in run_in_node("confusion.test.mjs", fixtures, tmp_path)


@pytest.mark.parametrize("name", ["right", "answer"])
def test_bad_arguments(name):
    with pytest.raises(ValueError, match=f"{name}: got 'Hat', expected one of T-shirt/top, Trouser"):
        figures.confusion_browser(**{name: "Hat"})


# ---- in a browser --------------------------------------------------------------------------------------------


def said(element) -> str:
    return element.locator("[role=status]").inner_text()


def test_browser_shows_the_counts(show):
    _, element = show(figures.confusion_browser())
    texts = element.locator("[data-cell]").all_inner_texts()
    shown = np.array([0 if text == "·" else int(text) for text in texts]).reshape(10, 10)
    assert np.array_equal(shown, stored()["confusion"])
    rows = element.locator("details tbody tr, details tr").evaluate_all(
        "all => all.slice(1).map(r => [...r.cells].slice(1).map(c => parseFloat(c.textContent)))"
    )
    counts = stored()["confusion"].astype(float)
    expected = 100 * np.stack([counts.diagonal() / counts.sum(1), counts.diagonal() / counts.sum(0)], 1)
    np.testing.assert_allclose(rows, expected, atol=0.0501)


def test_browser_with_the_mouse(show):
    _, element = show(figures.confusion_browser())
    element.locator("button[data-picture]").first.wait_for()
    counts = stored()["confusion"]
    assert said(element).startswith(f"Shirt, taken for T-shirt/top: {counts[6, 0]} of 1,000")
    element.locator("[data-cell='5 0']").click()  # its one picture is no T-shirt in 16 shades
    assert "16 shades" in said(element)
    assert element.locator("button[data-picture]").count() == 0
    element.locator("[data-cell='9 7']").click()
    assert said(element).startswith(f"Ankle boot, taken for Sneaker: {counts[9, 7]} of 1,000")
    assert element.locator("button[data-picture]").count() == MISTAKES
    element.locator("button[data-picture]").nth(2).click()
    n = int(element.locator("button[aria-pressed=true]").get_attribute("data-picture"))
    percent = stored()["cells.percent"][n]
    bars = element.locator(".bars span:nth-child(3n)").all_inner_texts()
    assert [int(text.split()[0]) for text in bars] == percent.tolist()
    element.locator("[data-cell='0 9']").click()
    assert "None." in said(element)
    assert element.locator("button[data-picture]").count() == 0
    element.locator("[data-cell='6 6']").click()
    assert said(element).startswith("Recall: of 1,000 pictures labeled Shirt")
    assert element.locator("[data-send]").is_hidden()


def test_browser_with_the_keyboard(show):
    tab, element = show(figures.confusion_browser("Coat", "Pullover"))
    element.locator("[data-cell='4 2']").focus()
    press(tab, "ArrowRight", "ArrowDown", "Enter")
    assert said(element).startswith("Sandal, taken for Dress: 0 of 1,000")
    assert element.locator("[data-cell][tabindex='0']").count() == 1


def test_browser_sends_a_picture_to_the_network(show):
    both = figures.confusion_browser("Ankle boot", "Sneaker")
    html = (
        both._repr_mimebundle_()[0]["text/html"]
        + figures.lenet_explorer()._repr_mimebundle_()[0]["text/html"]
    )
    both._repr_mimebundle_ = lambda: ({"text/html": html}, {})
    tab, element = show(both, reduced_motion="reduce")
    explorer = tab.locator("lenet-explorer")
    explorer.locator("#paper").wait_for()
    tab.evaluate("document.addEventListener('lenet-picture', (e) => { window.sent = [...e.detail.pixels]; })")
    element.locator("[data-cell='9 5']").click()
    element.locator("[data-send]").click()
    assert (
        "sees a picture, Ankle boot, taken for Sandal, and says Sandal"
        in explorer.locator("[role=status]").inner_text()
    )
    n = int(element.locator("button[aria-pressed=true]").get_attribute("data-picture"))
    assert tab.evaluate("window.sent") == pictures()[n].ravel().tolist()
