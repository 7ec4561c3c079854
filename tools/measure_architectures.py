"""Measure the networks of the architecture explorer, layer by layer, without computing a number of theirs.

python -m tools.measure_architectures     writes utils/figures/data/architectures.json; ten seconds

Activations are counted as programs keep them: activation functions and the sums of residual blocks write
where their input lay. torchvision's classes do so; where those of `utils.models` do not (they are written to
be read), torchvision's network of the same layers is measured.
"""

from __future__ import annotations

import json

import torch
from torch import nn

from utils.cost import make_model
from utils.figures.architectures import RECORD, measure_network
from utils.models import build
from utils.models.lenet import C3_TABLE

TORCHVISION = None  # instead of options for the network of `utils.models`
NETWORKS = {  # name: title, year, options
    "lenet5": ("LeNet-5", 1998, {}),
    "alexnet": ("AlexNet, one tower", 2014, {}),
    "nin": ("NiN", 2013, {}),
    "vgg16": ("VGG-16", 2014, {}),
    "googlenet": ("GoogLeNet", 2014, {"aux": False}),
    "resnet18": ("ResNet-18", 2015, TORCHVISION),
    "resnet50": ("ResNet-50", 2015, TORCHVISION),
    "squeezenet1_1": ("SqueezeNet 1.1", 2016, {}),
    "densenet121": ("DenseNet-121", 2016, TORCHVISION),
    "mobilenet_v2": ("MobileNet v2", 2018, {}),
    "efficientnet_b0": ("EfficientNet-B0", 2019, TORCHVISION),
    "convnext_tiny": ("ConvNeXt-T", 2022, TORCHVISION),
}


def make(name: str) -> tuple[nn.Module, tuple[int, ...]]:
    """A network of the list, without weights, and the size of its input."""
    options = NETWORKS[name][2]
    if options is TORCHVISION:
        return make_model(name), (1, 3, 224, 224)
    with torch.device("meta"):
        return build(name, **options), (1, 1, 32, 32) if name == "lenet5" else (1, 3, 224, 224)


def measure() -> dict[str, dict]:
    """All networks of the list, as `utils.figures.architectures` reads them."""
    found = {
        name: {"title": title, "year": year, **measure_network(*make(name))}
        for name, (title, year, _) in NETWORKS.items()
    }
    count_kernels_that_exist(found["lenet5"]["rows"])
    return found


def count_kernels_that_exist(rows: list[list]) -> None:
    """LeNet-5's C3 has 60 kernels where 96 could be; the program multiplies by zeros in place of the rest."""
    (row,) = (row for row in rows if row[0] == "c3")
    pairs = sum(len(channels) for channels in C3_TABLE)
    row[5] = row[5] * pairs // (len(C3_TABLE) * (1 + max(map(max, C3_TABLE))))


def text(networks: dict[str, dict]) -> str:
    """JSON with one layer a line."""
    dump = lambda value: json.dumps(value, ensure_ascii=False)  # noqa: E731
    parts = []
    for name, network in networks.items():
        facts = ", ".join(f"{dump(key)}: {dump(network[key])}" for key in network if key != "rows")
        rows = ",\n".join(f"   {dump(row)}" for row in network["rows"])
        parts.append(f'  {dump(name)}: {{{facts}, "rows": [\n{rows}\n  ]}}')
    command = dump("python -m tools.measure_architectures")
    return f'{{\n "command": {command},\n "networks": {{\n' + ",\n".join(parts) + "\n }\n}\n"


def main() -> None:
    RECORD.write_text(text(measure()), encoding="utf-8")
    print(f"{RECORD.name}: {RECORD.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
