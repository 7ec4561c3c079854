"""The depth slider: its arguments, its numbers in Node beside NumPy, and a browser that moves it."""

import json
import re
import zlib

import numpy as np
import pytest

from experiments.provenance import RESULTS
from tests.browser import run_in_node
from utils import figures

RECORDS = figures.depth_records()


def record(name: str) -> list[dict]:
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))["runs"]


def carried(figure) -> dict:
    """What a figure carries, unpacked."""
    raw = zlib.decompress(figure.attributes["data"])
    return json.loads(raw[4 : 4 + int.from_bytes(raw[:4], "little")])


def test_what_it_carries_is_the_record():
    shown = carried(figures.depth_slider())
    for run in record("gradient_depth"):
        kind, depth = re.fullmatch(r"([a-z]+)(\d+)", run["network"]).groups()
        assert shown["norms"][depth][kind][run["seed"]] == run["gradient"]
    for run in record("degradation"):
        name, seed = run["network"], run["seed"]
        kind, depth = name[:-2], name[-2:]
        trained = shown["trained"][depth]
        for epoch in ("1", "2", "4", "8"):
            assert trained["norms"][epoch][kind][seed] == run["norms"][epoch]["gradient"]
        for error in ("train", "test"):
            long = {"train": "training error", "test": "test error"}[error]
            assert trained["curves"][long][kind][seed] == run["curves"][f"{error} error"]
            assert trained["final"][long][kind][seed] == run[f"{error} error"]


def test_both_records_agree_before_training():
    """The experiment on depth has the networks, pictures and seeds of the one on degradation."""
    for run in record("degradation"):
        norms = RECORDS["norms"][int(run["network"][-2:])][run["network"][:-2]]
        np.testing.assert_allclose(norms[run["seed"]], run["norms"]["0"]["gradient"], rtol=2e-3)


def test_numbers_in_node(tmp_path):
    ratios = []
    for depth, kinds in RECORDS["norms"].items():
        moments = {"0": kinds, **RECORDS["trained"].get(depth, {}).get("norms", {})}
        for epoch, found in moments.items():
            for kind, seeds in found.items():
                values = [np.mean(norms[:3]) / np.mean(norms[-3:]) for norms in seeds]
                facts = {"depth": depth, "kind": kind, "epoch": int(epoch), "seeds": values}
                ends = {"low": min(values), "middle": np.median(values), "high": max(values)}
                ratios.append(facts | ends)
    fixtures = {"records": carried(figures.depth_slider()), "ratios": ratios}
    assert "pass 3" in run_in_node("depths.test.mjs", fixtures, tmp_path)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"depth": 57}, "depth: got 57, expected one of 8, 14, 20, 32, 44, 56, 110"),
        ({"depth": "56"}, "depth: got '56'"),
        ({"depth": True}, "depth: got True"),
        ({"epoch": 3}, "epoch: got 3, expected one of 0, 1, 2, 4, 8 for 56 layers"),
        ({"depth": 8, "epoch": 1}, "epoch: got 1, expected one of 0 for 8 layers"),
        ({"error": "train"}, "error: got 'train', expected one of training error, test error"),
    ],
)
def test_bad_arguments(wrong, told):
    with pytest.raises(ValueError, match=told):
        figures.depth_slider(**wrong)


# ---- in a browser --------------------------------------------------------------------------------------------


def final(depth: int, error: str, kind: str) -> str:
    """The cell of the table that says this."""
    values = [100 * v for v in RECORDS["trained"][depth]["final"][error][kind]]
    return f"{np.mean(values):.1f} % ({min(values):.1f} % to {max(values):.1f} %)"


def test_with_the_mouse(show):
    _, element = show(figures.depth_slider(20))
    said = element.locator(".said")
    assert said.inner_text().startswith("20 layers, before training: ")
    for depth in (56, 20):
        element.locator("input[type=range]").fill(str(list(RECORDS["norms"]).index(depth)))
        assert element.locator(".bar b").inner_text() == f"{depth} layers"
        rows = element.locator("table tr").evaluate_all(
            "rows => rows.map(row => [...row.cells].map(cell => cell.textContent.replaceAll('\\u00a0', ' ')))"
        )
        for row, error in zip(rows[1:], ("training error", "test error"), strict=True):
            assert row == [error, final(depth, error, "plain"), final(depth, error, "resnet")]
    element.locator("[data-choose=epoch]").select_option("8")
    assert said.inner_text().startswith("20 layers, after epoch 8: ")
    element.locator("[data-choose=error]").select_option("test error")
    assert element.locator("[data-chart=curves] .head").inner_text() == "Test error by epoch"
    plot = element.locator("[data-chart=growth] .plot")
    box = plot.bounding_box()
    plot.click(position={"x": box["width"] - 2, "y": 20})
    assert said.inner_text().startswith("110 layers, before training: ")  # was not trained
    assert "Not trained at this depth" in said.inner_text()
    assert element.locator("table").is_hidden()
    plot = element.locator("[data-chart=norms] .plot")
    plot.hover(position={"x": plot.bounding_box()["width"] / 2, "y": 30})
    assert element.locator(".layer").inner_text().startswith("Convolution 55 of 109: plain")


def test_with_the_keyboard(show):
    tab, element = show(figures.depth_slider(8))
    element.locator("input[type=range]").focus()
    for depth in list(RECORDS["norms"])[1:]:
        tab.keyboard.press("ArrowRight")
        assert element.locator(".said").inner_text().startswith(f"{depth} layers, before training: ")
        assert element.locator("input").get_attribute("aria-valuetext") == f"{depth} layers"
    element.locator("[data-chart=norms] .plot").focus()
    for key, layer in (("End", 109), ("ArrowRight", 109), ("PageDown", 99), ("Home", 1), ("ArrowUp", 2)):
        tab.keyboard.press(key)
        words = element.locator(".layer").inner_text()
        assert words.startswith(f"Convolution {layer} of 109: ")
        assert element.locator("[data-chart=norms] .plot").get_attribute("aria-valuetext") == words


def test_lines_are_drawn_where_the_record_has_them(show):
    _, element = show(figures.depth_slider(56))
    points = element.locator("[data-chart=norms] polyline.plain").get_attribute("points")
    ys = np.array([float(pair.split(",")[1]) for pair in points.split()])
    norms = np.median(RECORDS["norms"][56]["plain"], axis=0)
    slope, _ = np.polyfit(np.log10(norms), ys, 1)
    assert len(ys) == 55
    assert slope < 0
    np.testing.assert_allclose(ys, ys[0] + slope * (np.log10(norms) - np.log10(norms[0])), atol=0.02)
    curve = element.locator("[data-chart=curves] polyline.resnet:not(.faint)").get_attribute("points")
    errors = np.median(RECORDS["trained"][56]["curves"]["training error"]["resnet"], axis=0)
    ys = np.array([float(pair.split(",")[1]) for pair in curve.split()])
    np.testing.assert_allclose(ys, 100 - 100 * errors, atol=0.01)


def test_the_epoch_comes_back_with_its_depth(show):
    _, element = show(figures.depth_slider(56, epoch=8))
    slider, said = element.locator("input[type=range]"), element.locator(".said")
    depths = list(RECORDS["norms"])
    slider.fill(str(depths.index(44)))
    assert said.inner_text().startswith("44 layers, before training")
    slider.fill(str(depths.index(56)))
    assert said.inner_text().startswith("56 layers, after epoch 8")
    assert "of its training pictures" in said.inner_text()
    element.locator("[data-choose=error]").select_option("test error")
    wrong = 100 * np.mean(RECORDS["trained"][56]["final"]["test error"]["plain"])
    assert f"wrong on {wrong:.1f} % of its test pictures" in said.inner_text().replace("\xa0", " ")
