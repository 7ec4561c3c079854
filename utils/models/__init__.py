"""The networks of the course, one architecture a file, each with the paper that it follows.

`MODELS` is the list of all of them, name -> function that makes one, and `build` makes one by its name:

    from utils.models import build
    model = build("vgg11_bn", num_classes=10, in_channels=1, small=True)

Every function takes `num_classes` and `in_channels`; `small=True` gives the form for pictures of 28×28 or
32×32. What else it takes, its docstring says. Initial weights come from PyTorch's random numbers: call
`torch.manual_seed` before.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable

from torch import nn

# --- classic ---
from utils.models import alexnet, googlenet, inception_v3, lenet, nin, two_layer, vgg, zfnet

# isort: split
# --- residual ---
from utils.models import (
    densenet,
    highway,
    inception_resnet,
    pyramidnet,
    resnet,
    resnext,
    wide_resnet,
    xception,
)

# isort: split
# --- light ---
from utils.models import (
    convnext,
    deepface,
    ghostnet,
    mobilenet_v1,
    mobilenet_v2,
    mobilenet_v3,
    shufflenet_v1,
    shufflenet_v2,
    squeezenet,
)

__all__ = ["MODELS", "build"]

MODELS: dict[str, Callable[..., nn.Module]] = {
    # --- classic ---
    **lenet.FACTORIES,
    **alexnet.FACTORIES,
    **zfnet.FACTORIES,
    **vgg.FACTORIES,
    **nin.FACTORIES,
    **googlenet.FACTORIES,
    **inception_v3.FACTORIES,
    **two_layer.FACTORIES,
    # --- residual ---
    **resnet.FACTORIES,
    **wide_resnet.FACTORIES,
    **resnext.FACTORIES,
    **densenet.FACTORIES,
    **highway.FACTORIES,
    **pyramidnet.FACTORIES,
    **xception.FACTORIES,
    **inception_resnet.FACTORIES,
    # --- light ---
    **squeezenet.FACTORIES,
    **mobilenet_v1.FACTORIES,
    **mobilenet_v2.FACTORIES,
    **mobilenet_v3.FACTORIES,
    **shufflenet_v1.FACTORIES,
    **shufflenet_v2.FACTORIES,
    **convnext.FACTORIES,
    **ghostnet.FACTORIES,
    **deepface.FACTORIES,
}


def build(name: str, **options) -> nn.Module:
    """The network of that name; `options` go to its function (`num_classes`, `in_channels`, `small`, ...).

    Raises ValueError for a name that `MODELS` does not have, and says which names are near it.
    """
    if name not in MODELS:
        near = difflib.get_close_matches(str(name).lower(), MODELS, n=3, cutoff=0.5)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise ValueError(f"name must be one of {', '.join(sorted(MODELS))}, got {name!r}{hint}")
    return MODELS[name](**options)
