"""The experiment of chapter 10: its settings are what they say, and its record is what it wrote."""

import json
import statistics

import numpy as np
import pytest

from experiments import generalization as experiment
from utils.gradcheck import gradcheck

ROWS = experiment.settings()


def test_every_setting_has_its_own_name_and_every_technique_its_group():
    names = [(row.group, row.name) for row in ROWS]
    assert len(set(names)) == len(names)
    assert names[0] == ("base", "base recipe")
    assert {group for group, _ in names} >= {
        *("data", "augmentation", "weight decay", "dropout", "batch normalization", "initialization"),
        *("learning rate", "schedule", "width", "depth", "early stopping", "label smoothing", "mixup"),
        *("batch size, same images seen", "batch size, same steps"),
    }
    known = {row.group for row in ROWS} | {f"{row.group}: {row.name}" for row in ROWS}
    assert set(experiment.LATER) <= known


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.group}: {row.name}")
def test_networks_give_ten_scores_and_the_seed_decides(row):
    x = np.random.default_rng(0).normal(size=(3, 1, 28, 28)).astype(np.float32)
    first, again = (experiment.network(row, seed=5).eval()(x) for _ in range(2))
    assert first.shape == (3, 10)
    np.testing.assert_array_equal(first, again)
    assert experiment.network(row, seed=5).train()(x).shape == (3, 10)


def test_the_base_recipe_is_lenet_and_settings_share_its_first_weights():
    base, dropout = (
        experiment.network(row, seed=1) for row in ROWS if row.group == "base" or row.name == "p = 0.5"
    )
    assert base.count() == 61_706
    for a, b in zip(base.parameters(), dropout.parameters(), strict=True):
        np.testing.assert_array_equal(a.value, b.value)


def test_the_drift_has_the_right_gradient_and_stays_out_of_use():
    x = np.random.default_rng(0).normal(size=(4, 3, 2, 5))

    def layer():
        return experiment.Drift(0.5, np.random.default_rng(7))

    def backward(delta, x):
        drift = layer()
        drift(x)
        return drift.backward(delta)

    assert gradcheck(lambda x: layer()(x), backward, x, names=["x"]).passed
    np.testing.assert_array_equal(layer().eval()(x), x)
    assert abs(layer()(x) - x).max() > 0.1


def test_the_record_is_whole():
    record = json.loads((experiment.ROOT / "experiments/results/generalization.json").read_text())
    assert len(record["seeds"]) >= 3
    known = {(row.group, row.name) for row in ROWS}
    for row in record["settings"]:
        assert (row["group"], row["name"]) in known
        assert len(row["runs"]) == len(record["seeds"])
        for run in row["runs"]:
            assert 0.05 <= run["test accuracy"] <= 1
    for name, table in record["held-out accuracy"].items():
        best = max(table, key=lambda peak: statistics.mean(table[peak]))
        assert float(best) == record["learning rate"][name]
