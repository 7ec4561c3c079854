"""Measure the networks of the architecture explorer, layer by layer, without computing a number of theirs.

python -m tools.measure_architectures     writes utils/figures/data/architectures.json; ten seconds
"""

from __future__ import annotations

import json

import torch
from torch import nn

from utils.cost import make_model
from utils.figures.architectures import RECORD, measure_network
from utils.models import build

NETWORKS = {  # name: title, year, options
    "lenet5": ("LeNet-5", 1998, {}),
    "alexnet": ("AlexNet", 2012, {}),
    "nin": ("NiN", 2013, {}),
    "vgg16": ("VGG-16", 2014, {}),
    "googlenet": ("GoogLeNet", 2014, {"aux": False}),
    "resnet18": ("ResNet-18", 2015, {}),
    "resnet50": ("ResNet-50", 2015, {}),
    "squeezenet1_1": ("SqueezeNet 1.1", 2016, {}),
    "densenet121": ("DenseNet-121", 2016, {}),
    "mobilenet_v2": ("MobileNet v2", 2018, {}),
    "efficientnet_b0": ("EfficientNet-B0", 2019, None),  # torchvision's
    "convnext_tiny": ("ConvNeXt-T", 2022, {}),
}


def make(name: str) -> tuple[nn.Module, tuple[int, ...]]:
    """A network of the list, without weights, and the size of its input."""
    options = NETWORKS[name][2]
    if options is None:
        return make_model(name), (1, 3, 224, 224)
    with torch.device("meta"):
        return build(name, **options), (1, 1, 32, 32) if name == "lenet5" else (1, 3, 224, 224)


def measure() -> dict[str, dict]:
    """All networks of the list, as `utils.figures.architectures` reads them."""
    return {
        name: {"title": title, "year": year, **measure_network(*make(name))}
        for name, (title, year, _) in NETWORKS.items()
    }


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
