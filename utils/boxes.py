"""What the drawing of a network shows: its layers or blocks as boxes, and which feeds which.

The operations of `utils.graph.trace` become one box for each layer, or one for each block of a chosen depth.
Operations that only rearrange memory vanish, normalization and activation join the layer that they belong to,
and equal blocks in a row become one.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from utils.graph import Call, Graph, Op, Source, trace

__all__ = ["Box", "Edge", "boxes_of", "keep"]


@dataclasses.dataclass
class Box:
    """One box of a drawing.

    name        dotted path of the module, or "add", "cat", ... for a function called without a module;
                repeated blocks drawn once are named by their first
    kind        "convolution", "linear", "pool", "norm", "activation", "join", "block", "reshape", "other",
                "end" for the network's input and output
    label       its lines of text
    stripes     normalizations and activations drawn with it: (text, kind, whether it comes before the layer)
    shape       of what leaves it, without the batch axis
    repeats     how many equal blocks it stands for
    modules     dotted paths of everything in it
    x, y        its center; width, height: its size, all in pixels
    """

    name: str
    kind: str
    label: list[str]
    shape: tuple[int, ...] = ()
    stripes: list[tuple[str, str, bool]] = dataclasses.field(default_factory=list)
    repeats: int = 1
    parameters: int = 0
    modules: list[str] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)
    highlighted: bool = False
    x: float = 0.0
    y: float = 0.0
    width: float = 0.0
    height: float = 0.0
    signature: Any = None
    symbol: str = ""  # of the joins drawn as a circle
    pill: bool = False

    @property
    def corners(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom."""
        w, h = self.width / 2, self.height / 2
        return self.x - w, self.y - h, self.x + w, self.y + h


@dataclasses.dataclass
class Edge:
    """One line: numbers of its boxes, the shape that travels along it, and the points at which it turns."""

    source: int
    target: int
    shape: tuple[int, ...]
    points: list[tuple[float, float]] = dataclasses.field(default_factory=list)


def boxes_of(
    model: nn.Module, input_size, depth: int | None = None, fuse: bool = True, collapse: bool = True
) -> tuple[list[Box], list[Edge]]:
    """The boxes of a network in the order of execution and the lines between them, not yet placed.

    The arguments are those of `utils.diagram.diagram`.
    """
    modules = dict(model.named_modules()) if isinstance(model, nn.Module) else {}
    boxes, edges = _reduce(trace(model, input_size), modules, depth)
    if collapse:
        boxes, edges = _collapse(boxes, edges)
    if fuse:
        boxes, edges = _fuse(boxes, edges)
    return boxes, edges


# ---- from operations to boxes ----------------------------------------------------------------------------

CONVOLUTIONS = {"convolution"}
PRODUCTS = {"addmm", "mm", "linear", "_addmm_activation"}
POOLS = {
    "max_pool2d_with_indices": "max pool",
    "max_pool3d_with_indices": "max pool",
    "max_pool1d_with_indices": "max pool",
    "max_pool2d": "max pool",
    "avg_pool2d": "average pool",
    "avg_pool3d": "average pool",
    "avg_pool1d": "average pool",
    "adaptive_max_pool2d": "adaptive max pool",
    "_adaptive_avg_pool2d": "adaptive average pool",
    "_adaptive_avg_pool3d": "adaptive average pool",
    "fractional_max_pool2d": "fractional max pool",
}
NORMS = {
    "native_batch_norm": "batch norm",
    "_native_batch_norm_legit": "batch norm",
    "_native_batch_norm_legit_no_training": "batch norm",
    "_batch_norm_with_update": "batch norm",
    "cudnn_batch_norm": "batch norm",
    "native_layer_norm": "layer norm",
    "native_group_norm": "group norm",
}
ACTIVATIONS = {
    "relu": "ReLU",
    "hardtanh": "ReLU6",
    "leaky_relu": "leaky ReLU",
    "_prelu_kernel": "PReLU",
    "elu": "ELU",
    "silu": "SiLU",
    "gelu": "GELU",
    "hardswish": "hard swish",
    "hardsigmoid": "hard sigmoid",
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "softplus": "softplus",
    "mish": "Mish",
    "_softmax": "softmax",
    "_safe_softmax": "softmax",
    "_log_softmax": "log softmax",
}
JOINS = {"add": "+", "sub": "−", "mul": "×", "div": "÷", "bmm": "·", "matmul": "·", "maximum": "max"}
RESHAPES = {
    "split": "split",
    "split_with_sizes": "split",
    "unbind": "split",
    "pixel_shuffle": "pixel shuffle",
    "upsample_nearest2d": "nearest upsampling",
    "_upsample_nearest_exact2d": "nearest upsampling",
    "upsample_bilinear2d": "bilinear upsampling",
    "upsample_bicubic2d": "bicubic upsampling",
    "constant_pad_nd": "pad",
    "reflection_pad2d": "pad",
    "replication_pad2d": "pad",
    "roll": "roll",
}
HIDDEN = {
    *(
        "view",
        "_unsafe_view",
        "reshape",
        "permute",
        "transpose",
        "t",
        "clone",
        "expand",
        "unsqueeze",
        "squeeze",
    ),
    *("select", "slice", "alias", "contiguous", "as_strided", "_to_copy", "copy", "narrow", "native_dropout"),
}


@dataclasses.dataclass
class _Unit:
    """What becomes one box: the operations of a module's call, or a single operation."""

    ops: list[Op]
    call: Call | None = None
    box: Box | None = None


def _reduce(graph: Graph, modules: Mapping[str, nn.Module], depth: int | None):
    """The boxes of a graph and the lines between them."""
    units, owner = _units(graph, modules, depth)
    for unit in units:
        unit.box = _describe(unit, graph, modules)
    _find_shuffles(units)
    source_of: dict[int, int] = {}  # unit without a box -> the unit, or input (negative), that feeds it

    def origin(source: Source) -> int:
        """The unit with a box, or -1 - number of the input, that a tensor comes from."""
        at = owner[source.index] if source.kind == "op" else -1 - source.index
        while at >= 0 and units[at].box is None:
            at = source_of[at]
        return at

    found: dict[tuple[int, int], tuple[int, ...]] = {}
    for k, unit in enumerate(units):
        inside = {op.index for op in unit.ops}
        for op in unit.ops:
            for source in op.inputs:
                if source.kind != "op" or source.index not in inside:
                    start = origin(source)
                    source_of.setdefault(k, start)
                    if unit.box is not None:
                        found.setdefault((start, k), source.shape[1:])
    ends = [s for s in graph.outputs if s.kind in ("op", "input")]
    boxes = [_end("input", number, len(graph.inputs), s.shape[1:]) for number, s in enumerate(graph.inputs)]
    number_of = {-1 - i: i for i in range(len(boxes))}
    for k, unit in enumerate(units):
        if unit.box is not None:
            number_of[k] = len(boxes)
            boxes.append(unit.box)
    edges = [Edge(number_of[a], number_of[b], shape) for (a, b), shape in found.items()]
    for number, source in enumerate(ends):
        boxes.append(_end("output", number, len(ends), source.shape[1:]))
        edges.append(Edge(number_of[origin(source)], len(boxes) - 1, source.shape[1:]))
    return _without_loose_ends(boxes, edges)


def _end(name: str, number: int, count: int, shape) -> Box:
    text = name if count == 1 else f"{name} {number + 1}"
    return Box(text, "end", [text], shape)


def _units(graph: Graph, modules, depth) -> tuple[list[_Unit], dict[int, int]]:
    """The operations, cut into units; operation -> number of its unit."""

    def level(call: Call) -> int:
        return call.module.count(".") + 1 if call.module else 0

    calls = sorted((c for c in graph.calls if c.last > c.first), key=lambda c: (c.first, -c.last, level(c)))
    around: dict[int, list[int]] = {op.index: [] for op in graph.ops}
    for number, call in enumerate(calls):
        for i in range(call.first, call.last):
            around[i].append(number)
    parents = set()
    for numbers in around.values():
        parents |= {a for a, b in itertools.pairwise(numbers)}

    def is_unit(number: int) -> bool:
        call = calls[number]
        if level(call) == 0:
            return number not in parents and type(modules[""]).__module__.startswith("torch.nn")
        return number not in parents or (depth is not None and level(call) >= depth)

    units: list[_Unit] = []
    by_call: dict[int, int] = {}
    owner: dict[int, int] = {}
    for op in graph.ops:
        number = next((c for c in around[op.index] if is_unit(c)), None)
        if number is None or number not in by_call:
            units.append(_Unit([], None if number is None else calls[number]))
            if number is not None:
                by_call[number] = len(units) - 1
        owner[op.index] = by_call[number] if number is not None else len(units) - 1
        units[owner[op.index]].ops.append(op)
    return units, owner


def _describe(unit: _Unit, graph: Graph, modules) -> Box | None:
    """The box of a unit; None for operations that only rearrange memory."""
    op, call = unit.ops[-1], unit.call
    shape = call.outputs[0].shape if call and call.outputs else op.shape
    names = sorted({s.name for o in unit.ops for s in o.parameters if s.name in graph.parameters})
    name = call.module if call else op.function
    inside = [path for path in modules if path == name or path.startswith(name + ".")] if call else []
    common = {
        "shape": tuple(shape[1:]),
        "parameters": sum(math.prod(graph.parameters[n]) for n in names),
        "modules": inside,
    }
    shapes = tuple(graph.parameters[n] for n in names)
    simple = _simple(unit)
    if simple is not None:
        kind, label, stripes, extra = simple
        return Box(name, kind, label, stripes=stripes, **extra, **common)
    if call is None:
        return _function(op, common)
    module = modules[call.module]
    leaf = not any(True for _ in module.children())
    kind = "other" if leaf and type(module).__module__.startswith("torch.nn") else "block"
    label = [type(module).__name__.strip("_")]
    if isinstance(module, nn.Sequential) and type(module) is nn.Sequential:
        label = [call.module, *_contents(module, unit)]
    elif call.module:
        label.append(call.module)
    first = call.inputs[0].shape if call.inputs else ()
    functions = tuple(o.function for o in unit.ops)
    return Box(
        name, kind, label, signature=(type(module), shapes, tuple(first), tuple(shape), functions), **common
    )


def _contents(module: nn.Sequential, unit: _Unit) -> list[str]:
    """What a sequence consists of: "3 × Bottleneck", "2 × 3×3 conv, 64"."""
    kinds = [type(child).__name__.strip("_") for child in module]
    if len(set(kinds)) == 1:
        return [f"{len(kinds)} × {kinds[0]}" if len(kinds) > 1 else kinds[0]]
    layers = [", ".join(_words(op)) for op in unit.ops if _kind(op) in ("convolution", "linear")]
    if layers and len(set(layers)) == 1:
        return [f"{len(layers)} × {layers[0]}" if len(layers) > 1 else layers[0]]
    return []


def _function(op: Op, common: dict) -> Box | None:
    """The box of a function called without a module."""
    name = op.function
    if name == "cat":
        count = len({(s.kind, s.index, s.output) for s in op.inputs})
        return Box(name, "join", ["concat"], **common) if count > 1 else None
    if name in JOINS:
        return Box(name, "join", [], symbol=JOINS[name], **common)
    if name == "stack":
        return Box(name, "join", ["stack"], **common)
    if name in ("view", "_unsafe_view", "reshape") and len(op.shape) == 2 and len(op.inputs[0].shape) > 2:
        if op.shape[0] == op.inputs[0].shape[0]:
            return Box(name, "reshape", ["flatten"], pill=True, **common)
        return None
    if name in HIDDEN:
        return None
    if name in RESHAPES:
        return Box(name, "reshape", [RESHAPES[name]], pill=True, **common)
    return Box(name, "other", [name.strip("_").replace("_", " ")], pill=True, **common)


def _simple(unit: _Unit):
    """Kind, label and stripes of a unit that is a single layer, with normalization and activation or not."""
    chain = []
    for op in unit.ops:
        if _is_flatten(op) and (unit.call is not None):
            chain.append((op, "reshape"))
        elif op.function not in HIDDEN and not (op.function == "add" and _is_counter(op)):
            chain.append((op, _kind(op)))
    if not chain or any(kind is None for _, kind in chain):
        return None
    for (before, _), (op, _) in itertools.pairwise(chain):
        if len({s.index for s in op.inputs if s.kind == "op"}) != 1 or op.index < before.index:
            return None
    if len({(s.kind, s.index) for s in chain[0][0].inputs}) != 1:
        return None
    main = [k for k, (_, kind) in enumerate(chain) if kind in ("convolution", "linear", "pool", "reshape")]
    if len(main) > 1 or (not main and len(chain) > 1):
        return None
    at = main[0] if main else 0
    op, kind = chain[at]
    stripes = [(_words(o)[0], _kind(o), k < at) for k, (o, _) in enumerate(chain) if k != at]
    if kind == "reshape":
        if stripes:
            return None
        return kind, ["flatten"], [], {"pill": True}
    extra = {"pill": True} if kind in ("activation", "norm") else {}
    return kind, _words(op), stripes, extra


def _is_flatten(op: Op) -> bool:
    shapes = op.shape, op.inputs[0].shape if op.inputs else ()
    views = op.function in ("view", "_unsafe_view", "reshape")
    return views and len(shapes[0]) == 2 < len(shapes[1]) and shapes[0][0] == shapes[1][0]


def _is_counter(op: Op) -> bool:
    """Batch normalization counts its batches while training."""
    return not op.shape


def _kind(op: Op) -> str | None:
    """The kind of layer that an operation is by itself."""
    name = op.function
    if name in CONVOLUTIONS:
        return "convolution"
    if name in PRODUCTS and any(s.kind == "parameter" for s in op.sources):
        return "linear"
    if name in POOLS or (name == "mean" and len(op.inputs[0].shape) >= 3):
        return "pool"
    if name in NORMS:
        return "norm"
    return "activation" if name in ACTIVATIONS else None


def _words(op: Op) -> list[str]:
    """The label of a layer: its name with the kernel, then what else a paper would say."""
    kind, args = _kind(op), op.args
    if kind == "convolution":
        return _convolution_words(op)
    if kind == "linear":
        return [
            "linear",
            f"{op.shape[-1]:,}".replace(",", "\N{THIN SPACE}") if op.shape[-1] > 9999 else str(op.shape[-1]),
        ]
    if kind == "norm":
        return [NORMS[op.function]]
    if kind == "activation":
        if op.function == "hardtanh" and (args.get("min_val"), args.get("max_val")) != (0, 6):
            return ["hard tanh"]
        return [ACTIVATIONS[op.function]]
    if op.function == "mean":
        return ["global average pool"]
    name = POOLS[op.function]
    if "adaptive" in name:
        size = op.shape[2:]
        return (
            ["global " + name.removeprefix("adaptive ")]
            if set(size) == {1}
            else [name, "×".join(map(str, size))]
        )
    kernel = _axes(args["kernel_size"], len(op.shape) - 2)
    stride = _axes(args.get("stride") or kernel, len(kernel))
    return [f"{name} {_side(kernel)}", *_if_not(stride, 1, "stride")]


def _convolution_words(op: Op) -> list[str]:
    args = op.args
    weight = args["weight"].shape
    kernel, groups = weight[2:], args["groups"]
    out = weight[1] * groups if args["transposed"] else weight[0]
    entering = weight[0] if args["transposed"] else weight[1] * groups
    name = "transposed conv" if args["transposed"] else "conv"
    words = [f"{_side(kernel)} {name}", str(out)]
    if groups > 1 and groups == entering:
        words[0] = f"{_side(kernel)} depthwise {name}"
    elif groups > 1:
        words.append(f"{groups} groups")
    return [*words, *_if_not(args["stride"], 1, "stride"), *_if_not(args["dilation"], 1, "dilation")]


def _axes(value, count: int) -> tuple[int, ...]:
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    return values * count if len(values) == 1 else values


def _side(kernel) -> str:
    return "×".join(map(str, kernel)) if len(kernel) > 1 else f"1-D {kernel[0]}"


def _if_not(values, usual: int, name: str) -> list[str]:
    values = tuple(values)
    if all(v == usual for v in values):
        return []
    return [f"{name} {values[0] if len(set(values)) == 1 else '×'.join(map(str, values))}"]


def _find_shuffles(units: list[_Unit]) -> None:
    """Channels exchanged between groups: a view with an axis for the groups, transposed, and viewed back."""
    for unit in units:
        op = unit.ops[-1]
        if unit.call or op.function not in ("transpose", "permute") or len(op.shape) not in (4, 5):
            continue
        before = op.inputs[0].shape
        if (
            len(before) == 5
            and before[1] > 1
            and op.shape[1:3] == before[2:0:-1]
            and op.shape[3:] == before[3:]
        ):
            shape = (before[1] * before[2], *before[3:])
            unit.box = Box("shuffle", "reshape", [f"channel shuffle, {before[1]} groups"], shape, pill=True)


def _without_loose_ends(boxes: list[Box], edges: list[Edge]):
    """Leave out functions whose result nothing reads."""
    while True:
        used = {e.source for e in edges}
        loose = [
            k
            for k, b in enumerate(boxes)
            if k not in used and b.kind in ("reshape", "join", "other") and not b.modules
        ]
        if not loose:
            return boxes, edges
        boxes, edges = keep(boxes, edges, [k for k in range(len(boxes)) if k not in loose])


def keep(boxes: list[Box], edges: list[Edge], kept: Sequence[int]):
    """Only some boxes, numbered again, and the lines between them."""
    new = {k: i for i, k in enumerate(kept)}
    edges = [
        dataclasses.replace(e, source=new[e.source], target=new[e.target])
        for e in edges
        if e.source in new and e.target in new
    ]
    return [boxes[k] for k in kept], edges


# ---- fewer boxes -----------------------------------------------------------------------------------------


def _degrees(boxes, edges):
    into, out = [[] for _ in boxes], [[] for _ in boxes]
    for e in edges:
        into[e.target].append(e.source)
        out[e.source].append(e.target)
    return into, out


def _merge(boxes: list[Box], edges: list[Edge], groups: list[list[int]]):
    """Make each chain of boxes one, with the lines that enter its first and leave its last box."""
    first = {k: chain[0] for chain in groups for k in chain}
    merged = []
    for e in edges:
        source, target = first.get(e.source, e.source), first.get(e.target, e.target)
        if source != target:
            merged.append(dataclasses.replace(e, source=source, target=target))
    return keep(boxes, merged, [k for k in range(len(boxes)) if first.get(k, k) == k])


def _chains(boxes, edges) -> list[list[int]]:
    """The longest runs of boxes in which each feeds only the next."""
    into, out = _degrees(boxes, edges)
    follows = {k: out[k][0] for k in range(len(boxes)) if len(out[k]) == 1 and len(into[out[k][0]]) == 1}
    starts = [k for k in range(len(boxes)) if k not in set(follows.values())]
    chains = []
    for k in starts:
        chain = [k]
        while chain[-1] in follows:
            chain.append(follows[chain[-1]])
        chains.append(chain)
    return chains


def _collapse(boxes: list[Box], edges: list[Edge]):
    """Equal blocks in a row become one box with their number."""
    groups = []
    for chain in _chains(boxes, edges):
        for signature, run in itertools.groupby(chain, key=lambda k: boxes[k].signature):
            run = list(run)
            if signature is not None and len(run) > 1:
                groups.append(run)
                boxes[run[0]] = dataclasses.replace(
                    boxes[run[0]], repeats=len(run), modules=[m for k in run for m in boxes[k].modules]
                )
    return _merge(boxes, edges, groups)


def _fuse(boxes: list[Box], edges: list[Edge]):
    """Normalization and activation become stripes of the layer before them.

    Where a chain begins with a normalization (ResNet v2, DenseNet) they belong to the layer after them.
    """
    groups = []
    for chain in _chains(boxes, edges):
        chain = [k for k in chain if boxes[k].kind not in ("end", "join")]
        layers = [k for k in chain if boxes[k].kind in ("convolution", "linear")]
        begins = bool(chain) and bool(layers) and boxes[chain[0]].kind == "norm"
        runs = [list(run) for _, run in itertools.groupby(chain, key=lambda k: _is_small(boxes[k]))]
        taken: dict[int, list[int]] = {k: [k] for k in layers}
        for before, run, after in zip([[], *runs], runs, [*runs[1:], []], strict=False):
            if not _is_small(boxes[run[0]]):
                continue
            forward = begins and any(boxes[k].kind == "norm" for k in run)
            if forward and after and after[0] in taken:
                taken[after[0]] = run + taken[after[0]]
            elif before and before[-1] in taken:
                taken[before[-1]] = taken[before[-1]] + run
        for layer, parts in taken.items():
            if len(parts) > 1:
                _absorb(boxes, parts, parts.index(layer))
                groups.append(parts)
    return _merge(boxes, edges, groups)


def _is_small(box: Box) -> bool:
    """Whether a box can become a stripe of a layer."""
    return box.kind in ("norm", "activation")


def _absorb(boxes: list[Box], chain: list[int], main: int) -> None:
    """Write the whole chain into its first box, with the label of the layer chain[main]."""
    layer = boxes[chain[main]]
    small = [(boxes[k].label[0], boxes[k].kind, i < main) for i, k in enumerate(chain) if i != main]
    inner = list(layer.stripes)
    last = boxes[chain[-1]]
    boxes[chain[0]] = dataclasses.replace(
        layer,
        stripes=[s for s in small if s[2]] + inner + [s for s in small if not s[2]],
        shape=last.shape,
        parameters=sum(boxes[k].parameters for k in chain),
        modules=[m for k in chain for m in boxes[k].modules],
    )
