"""The record behind the architecture explorer: what `utils.cost` counts now, what torchvision documents."""

import math

import pytest
import torch
import torchvision
from torch import nn

from tools import measure_architectures
from utils.cost import cost
from utils.figures.architectures import RECORD, architectures, measure_network
from utils.receptive_field import receptive_field

COLUMNS = {"parameters": 4, "multiply_adds": 5, "activations": 6}


@pytest.fixture(scope="module")
def measured():
    return measure_architectures.measure()


def test_the_record_is_what_the_command_writes(measured):
    assert RECORD.read_text(encoding="utf-8") == measure_architectures.text(measured)


def test_joined_rows_add_up_to_the_totals_of_cost():
    for name in ("lenet5", "googlenet", "resnet18", "mobilenet_v2"):
        network, costs = architectures()[name], cost(*measure_architectures.make(name))
        zeros = {("lenet5", "multiply_adds"): 100 * 36 * 25}  # of the 36 kernels of C3 that do not exist
        for field, column in COLUMNS.items():
            total = getattr(costs.total, field) - zeros.get((name, field), 0)
            assert sum(row[column] for row in network["rows"]) == total, (name, field)
        assert network["peak"] == costs.peak
        assert {row[0] for row in network["rows"]} <= {row.name for row in costs}


@pytest.mark.parametrize("name", [n for n in architectures() if n not in ("lenet5", "nin")])
def test_totals_are_those_that_torchvision_documents(name):
    meta = torchvision.models.get_model_weights(name).DEFAULT.meta
    rows = architectures()[name]["rows"]
    assert sum(row[4] for row in rows) == meta["num_params"]
    assert math.isclose(sum(row[5] for row in rows) / 1e9, meta["_ops"], abs_tol=0.0006)


def test_lenet_5_multiplies_as_often_as_its_paper_connects():
    """Section II.B: C1 has 122,304 connections, C3 151,600, C5 48,120, each bias one of them."""
    work = {row[0]: row[5] for row in architectures()["lenet5"]["rows"]}
    biases = {"c1": 28 * 28 * 6, "c3": 10 * 10 * 16, "c5": 120, "f6": 84}
    connections = {name: work[name] + count for name, count in biases.items()}
    assert connections == {"c1": 122_304, "c3": 151_600, "c5": 48_120, "f6": 10_164}


@pytest.mark.parametrize("name", [n for n in architectures() if n not in ("lenet5", "nin")])
def test_activations_are_counted_by_one_rule(name):
    """Whoever wrote the class: as torchvision's classes, the table of section 8.10."""
    model, size = measure_architectures.make_model(name), (1, 3, 224, 224)
    if name == "googlenet":
        model.aux_logits = False
    assert sum(row[6] for row in architectures()[name]["rows"]) == cost(model, size).total.activations


@pytest.mark.parametrize("name", ["alexnet", "resnet18", "squeezenet1_1"])
def test_receptive_fields_and_shapes(name):
    model, size = measure_architectures.make(name)
    layers = {layer.name.removesuffix(" (1)"): layer for layer in receptive_field(model, size)}
    seen = 0
    for row in architectures()[name]["rows"]:
        layer = layers.get(row[0])
        if layer is not None and layer.local is not None:
            assert row[7] == max(layer.local)
            assert row[3].split("×")[1:] == [str(n) for n in layer.output]
            seen += 1
    assert seen >= 9


def test_what_belongs_together_is_one_row():
    convolution = nn.Conv2d(3, 4, 3, padding=1)
    model = nn.Sequential(convolution, nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.BatchNorm2d(4))
    model.extend([nn.ReLU(), nn.Conv2d(4, 5, 1), nn.Flatten(), nn.Linear(5 * 16, 2)])
    rows = measure_network(model, (1, 3, 8, 8))["rows"]
    assert [row[1] for row in rows] == [
        "Conv2d 3×3, BatchNorm2d, ReLU",
        "MaxPool2d 2×2 /2",
        "BatchNorm2d, ReLU, Conv2d 1×1",
        "Linear",
    ]
    assert [row[4] for row in rows] == [3 * 4 * 9 + 4 + 8, 0, 8 + 4 * 5 + 5, 80 * 2 + 2]
    assert [row[2] for row in rows] == [0, 4, 1, 3]
    assert [row[3] for row in rows] == ["4×8×8", "4×4×4", "5×4×4", "2"]
    assert [row[7] for row in rows] == [3, 4, 4, 0]


def test_measuring_changes_no_model():
    with torch.device("meta"):
        model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).train()
    measure_network(model, (1, 1, 6, 6))
    assert model.training
