"""What a network computes, read from the network itself: run it once, and write every operation down.

`trace` runs any `nn.Module` on PyTorch's meta device, where tensors have a shape and no numbers, so that even
a large network takes neither memory nor time. Branches, shortcuts, concatenations, functions called without a
module and Python's own control flow all come out, because what is recorded is what was run. The receptive
fields, the costs and the diagrams of a network are three ways to read the same `Graph`.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

__all__ = ["Call", "Graph", "Op", "Source", "trace"]

Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Source:
    """Where a tensor comes from.

    kind    "op": output number `output` of operation `index`; "input": input number `index` of the network;
            "parameter": a parameter or buffer, or something computed from them alone; "constant": made on
            the way from no input at all
    name    of a parameter or buffer, as in `state_dict`
    """

    kind: str
    shape: Shape
    index: int = -1
    output: int = 0
    name: str = ""


@dataclasses.dataclass(frozen=True)
class Op:
    """One operation on tensors that depend on the network's input.

    index       its number, in the order of execution
    function    PyTorch's name, without the trailing "_" of in-place forms: "convolution", "relu", "add",
                "cat", "max_pool2d_with_indices", "addmm", "view", ...; "written": a part was overwritten
    module      dotted path of the innermost module that ran it, "" for the network's own forward
    kind        the class name of that module
    call        how many times that module had been called before
    args        argument name -> value; tensors are replaced by their `Source`
    outputs     shapes of its results
    in_place    whether it overwrote its first argument
    """

    index: int
    function: str
    module: str
    kind: str
    call: int
    args: dict[str, Any]
    outputs: tuple[Shape, ...]
    in_place: bool = False
    element_size: int = 4  # bytes of one entry of the first result

    @property
    def sources(self) -> list[Source]:
        """The tensors it reads, in the order of its arguments."""
        return list(_sources(self.args.values()))

    @property
    def inputs(self) -> list[Source]:
        """The tensors it reads that depend on the network's input."""
        return [s for s in self.sources if s.kind in ("op", "input")]

    @property
    def parameters(self) -> list[Source]:
        """The parameters and buffers it reads."""
        return [s for s in self.sources if s.kind == "parameter"]

    @property
    def shape(self) -> Shape:
        """The shape of its first result."""
        return self.outputs[0]


@dataclasses.dataclass(frozen=True)
class Call:
    """One call of a module: operations `first` to `last - 1` ran inside it.

    module, kind    dotted path and class name
    call            how many times the same module had been called before
    inputs          where its tensor arguments come from
    outputs         where its results come from (an operation of its own, or what it was given)
    """

    module: str
    kind: str
    call: int
    first: int
    last: int
    inputs: tuple[Source, ...]
    outputs: tuple[Source, ...]


@dataclasses.dataclass(frozen=True)
class Graph:
    """Everything that one forward pass did, in the order of execution.

    parameters      name -> shape of every parameter, whether it was used or not (shared ones once)
    buffers         name -> shape of every buffer
    """

    model: str
    inputs: tuple[Source, ...]
    outputs: tuple[Source, ...]
    ops: tuple[Op, ...]
    calls: tuple[Call, ...]
    parameters: dict[str, Shape]
    buffers: dict[str, Shape]

    def __iter__(self) -> Iterator[Op]:
        return iter(self.ops)

    def __len__(self) -> int:
        return len(self.ops)

    def users(self) -> dict[int, list[int]]:
        """Operation -> the operations that read one of its results."""
        table: dict[int, list[int]] = {op.index: [] for op in self.ops}
        for op in self.ops:
            for source in op.inputs:
                if source.kind == "op" and op.index not in table[source.index]:
                    table[source.index].append(op.index)
        return table


def trace(
    model: nn.Module,
    input_size: Sequence[int] | Sequence[Sequence[int]] = (1, 3, 224, 224),
    training: bool = False,
) -> Graph:
    """Run a network once on an input of this size and record every operation.

    model       any `nn.Module` whose forward takes tensors; it is left as it was
    input_size  shape of the input with the batch, (N, C, H, W); several shapes for several inputs
    training    whether dropout, batch normalization and auxiliary heads act as in training

    The run takes place on the meta device: no numbers, no memory. A forward that needs numbers (one that
    branches on a value, or makes tensors on the CPU) is run once more on the CPU, with random input. Raises
    ValueError when the input size is no shape, and when the network does not run on it.
    """
    if not isinstance(model, nn.Module):
        raise ValueError(f"model: expected an nn.Module, got {type(model).__name__}")
    sizes = _sizes(input_size)
    try:
        return _run(model, sizes, training, "meta")
    except Exception:
        pass  # the CPU run below says what is wrong, in terms of the model's own devices
    try:
        return _run(model, sizes, training, "cpu")
    except Exception as error:
        given = ", ".join(str(size) for size in sizes)
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(
            f"input_size: {type(model).__name__} does not run on an input of shape {given}: {first}"
        ) from error


def _sizes(input_size) -> list[Shape]:
    """The shapes of all inputs, checked."""
    try:
        several = [tuple(s) for s in input_size] if isinstance(input_size[0], (tuple, list)) else None
        sizes = several or [tuple(input_size)]
        if all(isinstance(n, int) and n >= 1 for size in sizes for n in size) and all(sizes):
            return sizes
    except (TypeError, IndexError):
        pass
    raise ValueError(f"input_size: expected a shape such as (1, 3, 224, 224), got {input_size!r}")


def _run(model: nn.Module, sizes: list[Shape], training: bool, device: str) -> Graph:
    """One recorded forward pass on one device, without gradients; attributes of all modules are put back.

    Not only the modes: RetinaNet moves its anchors to the device of the input, where they would stay.
    """
    attributes = {module: dict(vars(module)) for module in model.modules()}
    state = dict(model.named_parameters()) | dict(model.named_buffers())
    moved = {name: value.detach().to(device) for name, value in state.items()}
    dtype = next((v.dtype for v in state.values() if v.is_floating_point()), torch.float32)
    generator = torch.Generator().manual_seed(0)
    random = [torch.randn(size, generator=generator) for size in sizes] if device == "cpu" else None
    inputs = (
        [r.to(dtype) for r in random]
        if random
        else [torch.empty(s, dtype=dtype, device=device) for s in sizes]
    )
    recorder = _Recorder(model, inputs, moved)
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # attention step by step, not as one operation
    try:
        model.train(training)
        with torch.random.fork_rng(devices=[]), torch.no_grad(), recorder.hooks(), recorder:
            outputs = torch.func.functional_call(model, moved, tuple(inputs))
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)
        for module, before in attributes.items():
            vars(module).clear()
            vars(module).update(before)
    return Graph(
        model=type(model).__name__,
        inputs=tuple(recorder.source(x) for x in inputs),
        outputs=tuple(recorder.source(y) for y in _tensors(outputs)),
        ops=tuple(recorder.ops),
        calls=tuple(sorted(recorder.calls, key=lambda c: (c.first, -c.last, c.module.count(".")))),
        parameters={name: tuple(p.shape) for name, p in model.named_parameters()},
        buffers={name: tuple(b.shape) for name, b in model.named_buffers()},
    )


class _Recorder(TorchDispatchMode):
    """Sees every operation that reaches PyTorch's kernels, and which module it was called from."""

    def __init__(self, model: nn.Module, inputs: list[Tensor], state: dict[str, Tensor]):
        super().__init__()
        self.model = model
        self.ops: list[Op] = []
        self.calls: list[Call] = []
        self.stack: list[tuple[str, str, int]] = []  # (path, class name, number of the call)
        self.origin: dict[int, Source] = {}  # id of a tensor -> where it comes from
        self.base: dict[int, Tensor] = {}  # id of a view -> the tensor that it shows a part of
        self.alive: list[Tensor] = []  # every tensor seen, so that no id is given twice
        for name, value in state.items():
            self._remember(value, Source("parameter", tuple(value.shape), name=name))
        for i, x in enumerate(inputs):
            self._remember(x, Source("input", tuple(x.shape), index=i))

    def source(self, tensor: Tensor) -> Source:
        """Where a tensor comes from."""
        return self.origin.get(id(tensor), Source("constant", tuple(tensor.shape)))

    def _remember(self, tensor: Tensor, source: Source) -> None:
        self.origin[id(tensor)] = source
        self.alive.append(tensor)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        packet = func.overloadpacket.__name__
        named = _by_name(func, args, kwargs or {}, self.source)
        sources = list(_sources(named.values()))
        results = _tensors(result)
        if not any(s.kind in ("op", "input") for s in sources):  # from parameters and constants alone
            names = [s for s in sources if s.kind == "parameter"]
            for tensor in results:
                kind, name = ("parameter", names[0].name) if names else ("constant", "")
                self._remember(tensor, Source(kind, tuple(tensor.shape), name=name))
            return result
        if not results or packet in ("detach", "sym_size"):
            if packet == "detach":
                self._remember(results[0], sources[0])
            return result
        path, kind, call = self.stack[-1] if self.stack else ("", type(self.model).__name__, 0)
        op = Op(
            index=len(self.ops),
            function=packet.rstrip("_"),
            module=path,
            kind=kind,
            call=call,
            args=named,
            outputs=tuple(tuple(t.shape) for t in results),
            in_place=packet.endswith("_"),
            element_size=results[0].element_size(),
        )
        self.ops.append(op)
        for number, tensor in enumerate(results):
            self._remember(tensor, Source("op", tuple(tensor.shape), op.index, number))
        self._follow_views(func, args, results, op)
        return result

    def _follow_views(self, func, args, results, op) -> None:
        """A write into a part of a tensor changes the whole: record it as an operation "written".

        A slice is a view, another tensor on the same memory. After `x[:, 1:] = y` the rest of the forward
        pass reads x, and x now depends on y.
        """
        if any(r.alias_info is not None and not r.alias_info.is_write for r in func._schema.returns):
            for tensor in results:
                self.base[id(tensor)] = args[0]
        part = args[0] if op.in_place and args else None
        while isinstance(whole := self.base.get(id(part)), Tensor) and id(whole) in self.origin:
            shape = tuple(whole.shape)
            named = {"self": self.source(whole), "part": Source("op", op.shape, op.index)}
            op = dataclasses.replace(
                op, index=len(self.ops), function="written", args=named, outputs=(shape,), in_place=True
            )
            self.ops.append(op)
            self._remember(whole, Source("op", shape, op.index))
            part = whole

    @contextlib.contextmanager
    def hooks(self):
        """Note when each module begins and ends."""
        counts: dict[str, int] = {}
        open_calls: list[tuple[int, tuple[Source, ...]]] = []

        def begin(path, module, args, kwargs):
            self.stack.append((path, type(module).__name__, counts.get(path, 0)))
            counts[path] = counts.get(path, 0) + 1
            given = tuple(self.source(x) for x in _tensors((args, kwargs)))
            open_calls.append((len(self.ops), given))

        def end(result):
            path, kind, call = self.stack.pop()
            first, given = open_calls.pop()
            made = tuple(self.source(y) for y in _tensors(result))
            self.calls.append(Call(path, kind, call, first, len(self.ops), given, made))

        handles = []
        for path, module in self.model.named_modules():
            handles.append(
                module.register_forward_pre_hook(
                    lambda m, a, k, path=path: begin(path, m, a, k), with_kwargs=True, prepend=True
                )
            )
            handles.append(module.register_forward_hook(lambda m, a, y: end(y)))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def _by_name(func, args, kwargs, source) -> dict[str, Any]:
    """The arguments of an operation by the names of its schema; tensors replaced by their sources."""

    def replaced(value):
        if isinstance(value, Tensor):
            return source(value)
        if isinstance(value, (list, tuple)):
            return tuple(replaced(v) for v in value)
        return value

    schema = func._schema.arguments
    values = {a.name: a.default_value for a in schema if a.has_default_value()}
    values |= {a.name: v for a, v in zip(schema, args, strict=False)} | kwargs
    return {a.name: replaced(values[a.name]) for a in schema if a.name in values}


def _sources(values) -> Iterator[Source]:
    """All sources in a nest of tuples."""
    for value in values:
        if isinstance(value, Source):
            yield value
        elif isinstance(value, tuple):
            yield from _sources(value)


def _tensors(value) -> list[Tensor]:
    """All tensors in a nest of lists, tuples, dicts and output classes."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        return [t for v in value.values() for t in _tensors(v)]
    if isinstance(value, (list, tuple)):
        return [t for v in value for t in _tensors(v)]
    return []
