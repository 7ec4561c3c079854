"""The architecture explorer: what every layer of a network costs and sees."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from utils.figures._arguments import one_of
from utils.figures._data import packed
from utils.figures._figure import HERE, Figure

if TYPE_CHECKING:
    from torch import nn

    from utils.cost import Cost

RECORD = HERE / "data" / "architectures.json"
QUANTITIES = ("parameters", "multiply-adds", "activations", "receptive field")
SCALES = ("linear", "logarithmic", "sum so far")
GROUPS = ("convolution", "1×1 convolution", "depthwise convolution", "dense", "other")
MOST = 14  # networks of the reader's own
_NORMS = {"BatchNorm2d", "LayerNorm", "ChannelNorm", "GroupNorm"}
_POINTWISE = {"ReLU", "ReLU6", "relu", "GELU", "SiLU", "Hardswish", "Sigmoid", "Hardsigmoid", "Tanh"}
_WORDS = {"relu": "ReLU", "cat": "concatenate", "neg": "negate"}  # functions, as the book calls them
_POINTWISE |= {"ScaledTanh", "sigmoid", "tanh", "gelu", "Dropout", "DropPath", "StochasticDepth"}


@functools.cache
def architectures() -> dict[str, dict]:
    """The recorded networks by name, as `python -m tools.measure_architectures` wrote them.

    title, year, input (channels, height, width), peak (bytes of activations alive at once), and rows: name,
    kind, group (a place in GROUPS), output, parameters, multiply-adds, bytes of activations, receptive field.
    """
    return json.loads(RECORD.read_text(encoding="utf-8"))["networks"]


def architecture_explorer(
    names: Sequence[str] | None = None,
    *,
    left: str | None = None,
    right: str | None = None,
    quantity: str = "parameters",
    scale: str = "linear",
    own: Mapping[str, tuple[nn.Module, Sequence[int]]] | None = None,
) -> Figure:
    """Networks, layer by layer: output, parameters, multiply-adds, activations, receptive field.

    names are some of `architectures()`, all of them if left out. left and right are the two networks to begin
    with (right may be ""), quantity is one of QUANTITIES, scale one of SCALES. own adds networks of the
    reader: {"mine": (model, (1, 3, 32, 32))}, measured when the figure is made, which needs PyTorch.

    Raises ValueError for anything else.
    """
    record = architectures()
    names = tuple(record) if names is None else (names,) if isinstance(names, str) else tuple(names)
    for name in names:
        one_of("names", name, tuple(record))
    shown = {name: record[name] for name in names}
    for name, pair in (own or {}).items():
        if name in shown or not isinstance(name, str):
            raise ValueError(f"own: got {name!r}, expected a name that no other network of the figure has")
        shown[name] = {"title": name, "year": None, **measure_network(*_model_and_size(name, pair))}
    if not 1 <= len(shown) <= len(record) + MOST:
        raise ValueError(
            f"names: expected 1 to {len(record) + MOST} networks, own ones included, got {len(shown)}"
        )
    every = tuple(shown)
    left = every[0] if left is None else left
    right = (next((n for n in every if n != left), "")) if right is None else right
    one_of("left", left, every)
    one_of("right", right, ("", *every))
    one_of("quantity", quantity, QUANTITIES)
    one_of("scale", scale, SCALES)
    carried = packed({}, networks={name: _compact(network) for name, network in shown.items()})
    return Figure(
        "architecture-explorer",
        "Two networks side by side, one bar a layer from the input to the output: its parameters, "
        "multiply-adds, activation memory or receptive field; the chosen layer is described below, then the "
        "totals and a table of all layers.",
        data=carried,
        left=left,
        right=right,
        quantity=quantity,
        scale=scale,
    )


def _model_and_size(name: str, pair: object) -> tuple[nn.Module, tuple[int, ...]]:
    """The two parts of an entry of `own`."""
    told = f"own: expected a model and its input size, like (model, (1, 3, 32, 32)), for {name!r}"
    try:
        model, size = pair
        size = tuple(size)
    except (TypeError, ValueError):
        raise ValueError(f"{told}, got {pair!r}") from None
    if not callable(getattr(model, "named_modules", None)):
        raise ValueError(f"{told}, got a {type(model).__name__} as model")
    if len(size) != 4 or size[0] != 1 or not all(isinstance(n, int) and n > 0 for n in size):
        raise ValueError(f"{told}, got the size {size}; one picture: the first number is 1")
    return model, size


# ---- measuring ----


def measure_network(model: nn.Module, input_size: Sequence[int]) -> dict:
    """input, peak and rows of a network, as `architectures` has them. input_size is (1, C, H, W).

    Rows are what `utils.cost` counts, each with its normalization and activation function beside it, so that
    they add up to its totals; receptive fields are those of `utils.receptive_field`: pixels on a side, 0 for
    the whole picture, -99 for 99 pixels on all ways but one that sees the whole picture.
    """
    from utils.cost import cost
    from utils.receptive_field import receptive_field

    costs = cost(model, input_size)
    layers = {layer.name: layer for layer in receptive_field(model, input_size)}
    places = {row: place for place, row in enumerate(costs)}
    rows, field = [], 1
    for main, *joined in _joined(list(costs)):
        name, _, call = main.name.partition(":")
        layer = layers.get(f"{name} ({call or 1})") or layers.get(name)
        field = field if layer is None else _field(layer)
        parts = sorted((main, *joined), key=places.__getitem__)
        numbers = [sum(getattr(p, k) for p in parts) for k in ("parameters", "multiply_adds", "activations")]
        kind = ", ".join(f"{_WORDS.get(p.kind, p.kind)} {p.detail}".strip() for p in parts)
        rows.append([main.name or main.kind, kind, _group(main), _output(main), *numbers, field])
    return {"input": list(input_size[1:]), "peak": costs.peak, "rows": rows}


def _joined(rows: list[Cost]) -> Iterator[list[Cost]]:
    """Layers with what belongs to them: activation functions after them, and the normalization beside them.

    A normalization belongs to the convolution or dense layer right before it, else (as in DenseNet) to the
    one right after it, else it stands alone.
    """
    found: list[list[Cost]] = []
    for row in rows:
        before = found[-1] if found else None
        factor = row.kind == "mul" and row.parameters  # a learned factor for each channel
        if row.kind in ("Flatten", "Identity", "Permute"):
            continue
        if before and (row.kind in _POINTWISE or factor or (row.kind in _NORMS and _computes(before[0]))):
            before.append(row)
        elif before and before[0].kind in _NORMS and _computes(row):
            found[-1] = [row, *before]
        else:
            found.append([row])
    yield from found


def _computes(row: Cost) -> bool:
    return _group(row) != GROUPS.index("other")


def _group(row: Cost) -> int:
    """Which of GROUPS a layer belongs to."""
    if "Conv" in row.kind or row.kind == "convolution":
        kind = "depthwise convolution" if "depthwise" in row.detail else "convolution"
        return GROUPS.index("1×1 convolution" if row.detail.startswith("1×1") else kind)
    if row.kind in ("Linear", "RBF"):  # a dense layer at each of many positions is a 1×1 convolution
        return GROUPS.index("1×1 convolution" if len(row.shape) > 2 else "dense")
    return GROUPS.index("other")


def _output(row: Cost) -> str:
    """The shape of one picture's output, channels first."""
    shape = row.shape[1:]
    last = len(shape) == 3 and row.kind in ("Linear", "LayerNorm")
    return "×".join(map(str, (shape[-1], *shape[:-1]) if last else shape))


def _field(layer) -> int:
    """The larger side of the window of a unit."""
    if layer.local is None:
        return 0
    side = max(layer.local)
    return -side if math.inf in layer.size else side


def _compact(network: dict) -> dict:
    """The rows as columns: they compress better."""
    columns = [list(column) for column in zip(*network["rows"], strict=True)]
    return {**{key: network[key] for key in ("title", "year", "input", "peak")}, "columns": columns}
