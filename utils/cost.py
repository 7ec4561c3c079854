"""What a network costs: parameters, multiply-adds, memory and traffic, layer by layer.

`cost` runs any `nn.Module` once without numbers (`utils.graph.trace`) and applies the rules of
`utils.cost_rules` to every operation. What the numbers mean:

multiply-adds   one multiplication and the addition of its product to a sum, in convolutions (transposed ones
                too), dense layers and matrix products, attention included. Twice this number is what
                `torch.utils.flop_counter` and many papers call FLOPs, operations counted one by one. Zeros of
                the padding are multiplied like any other value. Adding the bias is no multiply-add.
other           everything else that computes: one operation for each bias added, for each value that an
                activation function or an elementwise operation makes, for each value that a pooling window
                reads, two for each value of a batch normalization. What only copies counts 0.
activations     bytes that a layer's results take newly: nothing where it writes in place or returns a view.
stored          bytes that a training step keeps from the forward for the backward pass: what
                PyTorch's autograd keeps, each tensor at the first layer that keeps it, parameters left out.
                Attention is counted step by step; a fused attention kernel stores less.
moved           bytes that cross the memory bus if each operation reads its inputs and weights once and writes
                its result once, and no cache keeps anything from one operation to the next.
intensity       multiply-adds for each byte moved (in FLOP per byte: twice as many).

All are for the whole batch given. What is computed from parameters and constants alone is not counted.
Neither is memory that a kernel needs for its own work: it depends on the algorithm that the library picks.

From the command line: `python -m utils.cost resnet18 --input-size 1 3 224 224`.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import importlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from utils.cost_rules import INDEX_RESULTS, NO_GRADIENT, VIEWS, kept, multiply_adds, other_operations
from utils.graph import Call, Graph, Op, Source, trace
from utils.roofline import Peaks, format_bytes, format_count, measure_peaks, measure_seconds, roofline
from utils.table import Table

__all__ = [
    "Cost",
    "Costs",
    "Peaks",
    "TrainingMemory",
    "cost",
    "format_bytes",
    "format_count",
    "make_model",
    "measure_peaks",
    "measure_seconds",
    "roofline",
]


# --- what is counted ---


@dataclasses.dataclass(frozen=True)
class Cost:
    """The cost of one layer (a leaf module's call, or a function called outside of one), or of several.

    name            dotted path; a second call of the same module is "path:2"
    kind, detail    class name of the module or name of the function; kernel and stride of a convolution
    shape           of the result, with the batch
    parameters      numbers to learn; one that several layers share counts at the first
    multiply_adds, other        operations
    activations, stored, moved  bytes; all five as the module's docstring says
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    detail: str = ""
    parameters: int = 0
    multiply_adds: int = 0
    other: int = 0
    activations: int = 0
    stored: int = 0
    moved: int = 0

    @property
    def intensity(self) -> float:
        """Multiply-adds for each byte moved; 0 where nothing moves."""
        return self.multiply_adds / self.moved if self.moved else 0.0

    @property
    def path(self) -> str:
        """The name without the number of the call."""
        return self.name.partition(":")[0]

    def least_seconds(self, peaks: Peaks) -> float:
        """The time that a machine with these peaks needs at least: for the arithmetic or for the traffic."""
        return max(self.multiply_adds / peaks.multiply_adds, self.moved / peaks.bandwidth)

    def __str__(self) -> str:
        return (
            f"{self.name or self.kind}: {format_count(self.parameters)} parameters, "
            f"{format_count(self.multiply_adds)} multiply-adds, "
            f"{format_bytes(self.activations)} of activations, "
            f"{format_bytes(self.stored)} stored for training, {format_bytes(self.moved)} moved"
        )


def _sum(costs: Iterable[Cost], name: str, kind: str) -> Cost:
    """Several costs as one; its shape is that of the last."""
    costs = list(costs)
    numbers = ("parameters", "multiply_adds", "other", "activations", "stored", "moved")
    sums = {field: sum(getattr(c, field) for c in costs) for field in numbers}
    return Cost(name, kind, costs[-1].shape if costs else (), **sums)


# heading -> (value of a row, given the row and the total; format)
COLUMNS: dict[str, tuple[Callable[[Cost, Cost], object], Callable | str | None]] = {
    "type": (lambda c, total: f"{c.kind} {c.detail}".strip(), None),
    "output": (lambda c, total: "×".join(map(str, c.shape)), None),
    "parameters": (lambda c, total: c.parameters, format_count),
    "of parameters": (lambda c, total: _share(c.parameters, total.parameters), ".1%"),
    "multiply-adds": (lambda c, total: c.multiply_adds, format_count),
    "of multiply-adds": (lambda c, total: _share(c.multiply_adds, total.multiply_adds), ".1%"),
    "other": (lambda c, total: c.other, format_count),
    "activations": (lambda c, total: c.activations, format_bytes),
    "of activations": (lambda c, total: _share(c.activations, total.activations), ".1%"),
    "stored": (lambda c, total: c.stored, format_bytes),
    "of stored": (lambda c, total: _share(c.stored, total.stored), ".1%"),
    "moved": (lambda c, total: c.moved, format_bytes),
    "of moved": (lambda c, total: _share(c.moved, total.moved), ".1%"),
    "intensity": (lambda c, total: c.intensity, lambda r: f"{r:.1f}" if r else "0"),
}
STANDARD = ("type", "output", "parameters", "multiply-adds", "activations", "stored", "moved", "intensity")


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


class Costs(Sequence):
    """The costs of a network: a sequence of `Cost`, one a layer, in the order of execution.

    `costs["layer1.0"]` is the sum over a block (or one layer), `costs[3]` the fourth row, `costs.total` the
    sum over the network and `costs.table()` a table. `peak` is the memory, in bytes, that the activations of
    one inference take where they take most (at the layer `peak_at`), if every tensor is freed after its last
    use: the network's input, the results of the layers and the indices of max pooling count, parameters do
    not.
    """

    def __init__(
        self,
        rows: Sequence[Cost],
        graph: Graph,
        training: Graph,
        model: nn.Module,
        element_size: int,
        peak: tuple[int, str],
    ):
        self.rows, self.graph, self.model, self.element_size = list(rows), graph, model, element_size
        self.peak, self.peak_at = peak
        self.kinds = {call.module: call.kind for ran in (training, graph) for call in ran.calls}
        whole = _sum(self.rows, "", graph.model)
        everything = sum(math.prod(shape) for shape in graph.parameters.values())
        self.unused = everything - whole.parameters  # parameters of layers that did not run
        shape = graph.outputs[0].shape if graph.outputs else ()
        self.total = dataclasses.replace(whole, parameters=everything, shape=shape)

    @property
    def input_size(self) -> tuple:
        """The shape of the input, or the shapes of all inputs."""
        shapes = tuple(source.shape for source in self.graph.inputs)
        return shapes[0] if len(shapes) == 1 else shapes

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Cost]:
        return iter(self.rows)

    def __contains__(self, name: object) -> bool:
        return name in self.rows or (isinstance(name, str) and bool(self._inside(name)))

    def __getitem__(self, key: int | slice | str):
        """One row, or the sum over the layer or block of this name; "" is the whole network."""
        if not isinstance(key, str):
            return self.rows[key]
        if key == "":
            return self.total
        if found := self._inside(key):
            return found[0] if len(found) == 1 else _sum(found, key, self.kinds.get(key, ""))
        names = list(dict.fromkeys(n for row in self.rows for n in [row.name, *_prefixes(row.path)]))
        close = difflib.get_close_matches(key, names, n=3, cutoff=0.5)
        close = close or [name for name in names if "." not in name][:6]
        raise ValueError(
            f"name: no layer or block of {self.graph.model} is called {key!r}; "
            f"names are, for instance, {', '.join(map(repr, close))}"
        )

    def _inside(self, name: str) -> list[Cost]:
        exact = [row for row in self.rows if row.name == name and row.name != row.path]
        return exact or [r for r in self.rows if r.path == name or r.path.startswith(name + ".")]

    def blocks(self, depth: int = 1) -> list[Cost]:
        """Sums over the modules whose path has `depth` parts; layers with shorter paths stay."""
        if not isinstance(depth, int) or depth < 1:
            raise ValueError(f"depth: expected a whole number from 1 on, got {depth!r}")
        groups: dict[str, list[Cost]] = {}
        for row in self.rows:
            parts = row.path.split(".")
            name = row.name if len(parts) <= depth else ".".join(parts[:depth])
            groups.setdefault(name, []).append(row)
        return [
            rows[0] if rows[0].name == name and len(rows) == 1 else _sum(rows, name, self.kinds.get(name, ""))
            for name, rows in groups.items()
        ]

    def table(
        self, per: str = "layer", depth: int | None = None, columns: Sequence[str] | None = None
    ) -> Table:
        """The costs as a table that ends with the totals.

        per         "layer", or "block": sums over the modules whose path has `depth` parts
        depth       1 if not given; with a depth, the table is one of blocks
        columns     some of the headings in `COLUMNS`, in this order
        """
        if per not in ("layer", "block"):
            raise ValueError(f'per: expected "layer" or "block", got {per!r}')
        columns = list(STANDARD if columns is None else columns)
        if unknown := [c for c in columns if c not in COLUMNS]:
            raise ValueError(f"columns: expected some of {list(COLUMNS)}, got {unknown[0]!r}")
        per = per if depth is None else "block"
        rows = self.rows if per == "layer" else self.blocks(1 if depth is None else depth)
        lines = [[row.name or row.kind, *self._cells(row, columns)] for row in rows]
        foot = ["total", *self._cells(dataclasses.replace(self.total, kind=""), columns)]
        formats = {c: COLUMNS[c][1] for c in columns if COLUMNS[c][1]}
        return Table([per, *columns], lines, caption=self._caption(), formats=formats, foot=foot)

    def _cells(self, row: Cost, columns: Sequence[str]) -> list:
        return [COLUMNS[c][0](row, self.total) for c in columns]

    def _caption(self) -> str:
        size = ", ".join("×".join(map(str, s.shape)) for s in self.graph.inputs)
        note = f"{self.graph.model}, input {size}, {self.element_size} bytes a number; "
        note += f"activations at inference: at most {format_bytes(self.peak)} at once"
        return note + (f"; {format_count(self.unused)} parameters not in use" if self.unused else "")

    def __str__(self) -> str:
        return str(self.table())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()

    def training_memory(self, batch_size: int | None = None, optimizer: str = "sgd") -> TrainingMemory:
        """What a training step holds: parameters, gradients, the optimizer's state, stored activations.

        batch_size  number of pictures (default: that of the input size)
        optimizer   "sgd": no state; "momentum": one number a parameter; "adam" (also AdamW): two
        """
        if optimizer not in OPTIMIZER_NUMBERS:
            raise ValueError(f"optimizer: expected one of {list(OPTIMIZER_NUMBERS)}, got {optimizer!r}")
        shapes = [source.shape for source in self.graph.inputs]
        batch_size = shapes[0][0] if batch_size is None else batch_size
        if not isinstance(batch_size, int) or batch_size < 1:
            raise ValueError(f"batch_size: expected a whole number from 1 on, got {batch_size!r}")
        graph = trace(self.model, [(batch_size, *shape[1:]) for shape in shapes], training=True)
        size = self.element_size
        memory = _Memory(graph, size, _element_size(self.model))
        stored = sum(_stored(graph, memory, _trainable(self.model)).values())
        learned = size * sum(p.numel() for p in self.model.parameters() if p.requires_grad)
        state = OPTIMIZER_NUMBERS[optimizer] * learned
        return TrainingMemory(self.total.parameters * size, learned, state, stored, batch_size, optimizer)


OPTIMIZER_NUMBERS = {"sgd": 0, "momentum": 1, "adam": 2}  # numbers that it keeps for each parameter


@dataclasses.dataclass(frozen=True)
class TrainingMemory:
    """Bytes that a training step holds at the end of its forward pass, once gradients exist."""

    parameters: int
    gradients: int
    optimizer_state: int
    activations: int
    batch_size: int
    optimizer: str

    @property
    def total(self) -> int:
        return self.parameters + self.gradients + self.optimizer_state + self.activations

    def table(self) -> Table:
        """The four parts and their shares."""
        parts = {
            "parameters": self.parameters,
            "gradients": self.gradients,
            f"state of the optimizer ({self.optimizer})": self.optimizer_state,
            f"activations stored (batch of {self.batch_size})": self.activations,
        }
        rows = [[name, size, _share(size, self.total)] for name, size in parts.items()]
        formats = {"memory": format_bytes, "share": ".1%"}
        return Table(["part", "memory", "share"], rows, formats=formats, foot=["total", self.total, 1.0])

    def __str__(self) -> str:
        return str(self.table())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def cost(
    model: nn.Module,
    input_size: Sequence[int] | Sequence[Sequence[int]] = (1, 3, 224, 224),
    dtype: torch.dtype | None = None,
) -> Costs:
    """Count what a network costs on an input of this size.

    model       any `nn.Module` whose forward takes tensors; it is left as it was, and no numbers are computed
    input_size  shape of the input with the batch, (N, C, H, W); several shapes for several inputs
    dtype       of parameters and activations (default: that of the model), for the bytes

    Counts are those of an inference (`model.eval()`); "stored" is that of a training step. Layers that run in
    training alone, such as dropout and auxiliary heads, have rows with zeros but for parameters and "stored".
    Where the network cannot train on this input (batch normalization of a single value), "stored" leaves them
    out. Raises ValueError when the input size is no shape, or the network does not run on it.
    """
    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise ValueError(f"dtype: expected a floating-point torch.dtype such as torch.float16, got {dtype!r}")
    graph = trace(model, input_size)
    try:
        training = trace(model, input_size, training=True)
    except ValueError:
        training = graph
    own = _element_size(model)
    size = own if dtype is None else dtype.itemsize
    memory, names = _Memory(graph, size, own), _names(graph)
    rows = _inference(graph, memory, names)
    rows = _with_training(rows, training, _Memory(training, size, own), _trainable(model))
    peak, at = memory.peak()
    rows = _with_parameters(rows, graph, training)
    at_layer = names[at].name if names else ""
    return Costs(rows, graph, training, model, size, (peak, at_layer))


# --- which operation belongs to which row ---


def _leaves(graph: Graph) -> list[Call]:
    """The calls of modules that call no other module; the network itself is none of them."""
    calls = [c for c in graph.calls if c.module and ".parametrizations" not in c.module]
    parents = {c.module.rpartition(".")[0] for c in calls}
    return [
        c
        for c in calls
        if c.module not in parents and all(graph.ops[i].module == c.module for i in range(c.first, c.last))
    ]


def _prefixes(path: str) -> list[str]:
    """The path and the blocks that it lies in: "a.b.c" -> ["a", "a.b", "a.b.c"]."""
    parts = path.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts) + 1)]


def _names(graph: Graph) -> list[Cost]:
    """For each operation the row that it belongs to, still without numbers."""
    rows: list[Cost | None] = [None] * len(graph)
    for call in _leaves(graph):
        name = call.module + (f":{call.call + 1}" if call.call else "")
        shape = call.outputs[0].shape if call.outputs else ()
        detail = _detail(graph.ops[call.first]) if call.last - call.first == 1 else ""
        for i in range(call.first, call.last):
            rows[i] = Cost(name, call.kind, shape, detail)
    seen: dict[str, int] = {}
    for i, op in enumerate(graph):
        if rows[i] is None:
            path = ".".join(filter(None, [op.module, _word(op)]))
            seen[path] = seen.get(path, 0) + (op.function not in VIEWS)
            name = path if seen[path] < 2 else f"{path}:{seen[path]}"
            rows[i] = Cost(name, _word(op), op.shape, _detail(op))
    return rows


def _word(op: Op) -> str:
    """The name of a function called outside of a module, as one writes it."""
    return op.function.strip("_").removeprefix("native_").removesuffix("_with_indices")


def _detail(op: Op) -> str:
    """Kernel, stride and so on, as one would say them."""
    if op.function == "convolution":
        weight, groups = op.args["weight"].shape, op.args["groups"]
        kernel, depthwise = weight[2:], groups > 1 and weight[1] == 1
        words = ["×".join(map(str, kernel)), "depthwise" if depthwise else f"{groups} groups" * (groups > 1)]
        dilation = max(op.args["dilation"])
    elif "kernel_size" in op.args:
        kernel, dilation = op.args["kernel_size"], 1
        words = ["×".join(map(str, kernel))]
    else:
        return ""
    stride = max(op.args["stride"] or kernel)
    words += [f"/{stride}"] * (stride > 1) + [f"dilation {dilation}"] * (dilation > 1)
    return " ".join(filter(None, words))


# --- from operations to rows ---


def _inference(graph: Graph, memory: _Memory, names: list[Cost]) -> dict[str, Cost]:
    """Arithmetic, activations and traffic of every row, by its name."""
    rows: dict[str, Cost] = {}
    for op, row in zip(graph, names, strict=True):
        before = rows.get(row.name, row)
        more = dataclasses.replace(
            before,
            multiply_adds=before.multiply_adds + multiply_adds(op),
            other=before.other + other_operations(op),
            moved=before.moved + memory.moved(op),
        )
        if row.name in rows or op.function not in VIEWS or row.kind != _word(op):
            rows[row.name] = more  # a view outside of a leaf module makes no row
    for name, made in memory.results(graph, names).items():
        if name in rows:
            rows[name] = dataclasses.replace(rows[name], activations=made)
    return rows


def _with_training(
    rows: dict[str, Cost], training: Graph, memory: _Memory, trainable: set[str]
) -> dict[str, Cost]:
    """Add what a training step stores; rows that exist in training alone come after the row before them."""
    names = _names(training)
    stored = _stored(training, memory, trainable)
    leaves = {row.name for row, op in zip(names, training, strict=True) if row.path == op.module}
    order, place, rows = list(rows), -1, dict(rows)
    for i, row in enumerate(names):
        if row.name in rows:
            place = order.index(row.name)
        elif row.name in leaves or i in stored:
            place += 1
            order.insert(place, row.name)
            rows[row.name] = row
        if i in stored:
            rows[row.name] = dataclasses.replace(rows[row.name], stored=rows[row.name].stored + stored[i])
    return {name: rows[name] for name in order}


def _with_parameters(rows: dict[str, Cost], graph: Graph, training: Graph) -> list[Cost]:
    """Give every parameter to the first row that reads it."""
    owner: dict[str, str] = {}
    for ran in (graph, training):
        for op, row in zip(ran, _names(ran), strict=True):
            for source in op.parameters:
                if row.name in rows:
                    owner.setdefault(source.name, row.name)
    called = {call.module for call in (*graph.calls, *training.calls)}
    counts: dict[str, int] = {}
    for name, shape in graph.parameters.items():
        if row := owner.get(name) or _reader(name, rows, called):
            counts[row] = counts.get(row, 0) + math.prod(shape)
    return [dataclasses.replace(row, parameters=counts.get(name, 0)) for name, row in rows.items()]


def _reader(parameter: str, rows: dict[str, Cost], called: set[str]) -> str | None:
    """The row of a parameter that no operation reads as it is: the first of the module around it.

    So it is with what is computed from parameters first: normalized weights, tables of positions.
    """
    around = _prefixes(parameter)[-2::-1]  # from the innermost module outwards
    if not around or around[0] not in called:
        return None  # its module did not run
    inside = (n for path in around for n, row in rows.items() if f"{row.path}.".startswith(f"{path}."))
    return next(inside, None)


# --- memory: which tensors share it, and how long it is needed ---


class _Memory:
    """Which piece of memory every tensor of a graph lies in, and its size in bytes.

    A piece is named by the operation that allocated it and the number of the result, or by the input. Numbers
    that take `own_size` bytes in the model are counted with `element_size` bytes.
    """

    def __init__(self, graph: Graph, element_size: int, own_size: int):
        self.graph, self.element_size, self.own_size = graph, element_size, own_size
        self.place: dict[tuple, tuple] = {}  # tensor -> piece of memory
        self.bytes: dict[tuple, int] = {}  # piece -> its size
        for source in graph.inputs:
            key = ("input", source.index, 0)
            self.place[key], self.bytes[key] = key, math.prod(source.shape) * element_size
        for op in graph:
            self._allocate(op)

    def _allocate(self, op: Op) -> None:
        """A view and an in-place result lie where the first argument lies; all others are new."""
        shared = None
        if op.in_place or op.function in VIEWS:
            shared = self.piece(op.args["self"] if "self" in op.args else op.sources[0])
        for number, shape in enumerate(op.outputs):
            key = ("op", op.index, number)
            self.place[key] = shared or key
            if not shared:
                self.bytes[key] = math.prod(shape) * self._item(op, number)

    def _item(self, op: Op, number: int) -> int:
        """Bytes of one number of a result."""
        if number == 1 and op.function in INDEX_RESULTS:
            return 8
        return self.element_size if op.element_size == self.own_size else op.element_size

    def piece(self, source: Source) -> tuple | None:
        """The memory that a tensor lies in; None for parameters and constants."""
        return self.place.get((source.kind, source.index, max(source.output, 0)))

    def read(self, source: Source) -> int:
        """Bytes of a tensor that is read: of a view, its part alone."""
        size = math.prod(source.shape) * self.element_size
        piece = self.piece(source)
        return min(size, self.bytes[piece]) if piece else size

    def moved(self, op: Op) -> int:
        """Each input and weight once, the result once. Side results (indices, statistics) are left out."""
        if op.function in VIEWS:
            return 0
        inputs = {(s.kind, s.index, s.output, s.name, s.shape): self.read(s) for s in op.sources}
        if op.in_place and op.function == "copy":
            inputs = {key: n for key, n in inputs.items() if key[:2] != ("op", op.args["self"].index)}
        return sum(inputs.values()) + math.prod(op.shape) * self._item(op, 0)

    def results(self, graph: Graph, names: list[Cost]) -> dict[str, int]:
        """For each row the bytes that its results take newly."""
        made: dict[str, dict[tuple, int]] = {}
        calls = {c.module + (f":{c.call + 1}" if c.call else ""): c for c in _leaves(graph)}
        for op, row in zip(graph, names, strict=True):
            call = calls.get(row.name)
            results = call.outputs if call else [Source("op", op.shape, op.index)]
            for piece in filter(None, map(self.piece, results)):
                new = piece[0] == "op" and names[piece[1]].name == row.name
                made.setdefault(row.name, {}).update({piece: self.bytes[piece]} if new else {})
        return {name: sum(pieces.values()) for name, pieces in made.items()}

    def peak(self) -> tuple[int, int]:
        """The most bytes alive at once, and the operation at which they are.

        A piece lives from the operation that allocates it to the last one that reads a tensor in it; what the
        network returns lives to the end.
        """
        end = len(self.graph) - 1
        first = {piece: max(piece[1], 0) if piece[0] == "op" else 0 for piece in self.bytes}
        last = dict(first)
        for op in self.graph:
            for piece in filter(None, map(self.piece, op.inputs)):
                last[piece] = op.index
        for piece in filter(None, map(self.piece, self.graph.outputs)):
            last[piece] = end
        change = [0] * (end + 2)
        for piece, size in self.bytes.items():
            change[first[piece]] += size
            change[last[piece] + 1] -= size
        alive, best, at = 0, 0, 0
        for i in range(end + 1):
            alive += change[i]
            if alive > best:
                best, at = alive, i
        return best, at


def _element_size(model: nn.Module) -> int:
    """Bytes of one parameter."""
    return next((p.element_size() for p in model.parameters() if p.is_floating_point()), 4)


def _trainable(model: nn.Module) -> set[str]:
    """The names of the parameters that get a gradient."""
    return {name for name, p in model.named_parameters() if p.requires_grad}


def _stored(graph: Graph, memory: _Memory, trainable: set[str]) -> dict[int, int]:
    """Operation -> bytes that it is the first to keep for the backward pass.

    An operation keeps something if its result has a gradient, that is, if a trainable parameter comes before.
    """
    learns: list[bool] = []

    def wanted(value) -> bool:
        """Whether a gradient flows to this argument."""
        if not isinstance(value, Source):
            return False
        return learns[value.index] if value.kind == "op" else value.name in trainable

    stored: dict[int, int] = {}
    seen: set[tuple] = set()
    for op in graph:
        learns.append(op.function not in NO_GRADIENT and any(map(wanted, op.sources)))
        if not learns[-1]:
            continue
        for key, size in _kept(op, memory, wanted):
            if key is None or key not in seen:
                stored[op.index] = stored.get(op.index, 0) + size
                seen.add(key)
    return stored


def _kept(op: Op, memory: _Memory, wanted: Callable[[object], bool]) -> Iterator[tuple[tuple | None, int]]:
    """The pieces of memory that one operation keeps, with their sizes."""
    for what in kept(op):
        name, _, condition = what.partition(" if ")
        if condition and not wanted(op.args[condition]):
            continue
        if name == "copy":
            yield None, math.prod(op.shape) * memory.element_size
            continue
        if name.startswith("result"):
            values = [Source("op", (), op.index, int(name[6:] or 0))]
        else:
            values = op.args[name] if isinstance(op.args[name], tuple) else [op.args[name]]
        for value in values:
            if isinstance(value, Source) and value.kind != "parameter":
                piece = memory.piece(value)
                yield piece, memory.bytes[piece] if piece else memory.read(value)


# --- command line ---


def main(arguments: Sequence[str] | None = None) -> None:
    """`python -m utils.cost MODEL [--input-size N C H W] [--depth D] [--batch-size N --optimizer NAME]`."""
    parser = argparse.ArgumentParser(
        prog="python -m utils.cost",
        description="What a network costs: parameters, multiply-adds, memory, traffic.",
        epilog=__doc__.split("\n", 1)[1].split("From the command line")[0],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", help="a model of torchvision (resnet18), or module:function that makes one")
    parser.add_argument(
        "--input-size",
        type=int,
        nargs="+",
        default=[1, 3, 224, 224],
        metavar="N",
        help="batch, channels, height, width",
    )
    parser.add_argument(
        "--depth", type=int, help="sum over blocks: 1 for the largest, 2 for their parts, ..."
    )
    parser.add_argument("--batch-size", type=int, help="also say what training on batches of this size takes")
    parser.add_argument("--optimizer", choices=list(OPTIMIZER_NUMBERS), default="momentum")
    parser.add_argument("--csv", action="store_true", help="numbers without units, separated by commas")
    options = parser.parse_args(arguments)
    try:
        costs = cost(make_model(options.model), options.input_size)
        table = costs.table() if options.depth is None else costs.table("block", options.depth)
        print(table.to_csv() if options.csv else table)
        if options.batch_size is not None:
            print(f"\nTraining:\n{costs.training_memory(options.batch_size, options.optimizer)}")
    except ValueError as error:
        parser.error(str(error))


def make_model(name: str, **options) -> nn.Module:
    """A network by name: one of torchvision ("resnet18"), or "module:function" that makes one.

    The networks of torchvision come without numbers for their weights: to be counted, not to be run.
    `options` go to the constructor.
    """
    if ":" in name:
        module, _, function = name.partition(":")
        try:
            return getattr(importlib.import_module(module), function)(**options)
        except (ImportError, AttributeError) as error:
            raise ValueError(f"model: {name!r} cannot be made: {error}") from error
    from torchvision import models  # here: counting needs no torchvision

    if name not in models.list_models():
        close = difflib.get_close_matches(name, models.list_models(), n=3)
        raise ValueError(f"model: torchvision has no {name!r}; close: {', '.join(close) or 'nothing'}")
    if name in ("googlenet", "inception_v3"):
        options = {"init_weights": False} | options
    with _WithoutWeights():
        return models.get_model(name, weights=None, **options)


class _WithoutWeights(TorchFunctionMode):
    """Layers made in this block get weights that have a shape and no numbers."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        meta = {"device": "meta"} if function is torch.empty else {}
        return function(*args, **((kwargs or {}) | meta))


if __name__ == "__main__":
    main()
