"""What each of PyTorch's operations reads: one rule an operation, and the walk through a graph with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np

from utils.graph import Graph, Op, Source
from utils.receptive_field.axes import (
    Field,
    Line,
    Taps,
    Windows,
    adaptive_taps,
    interpolation_taps,
    join,
    joined,
    spread,
    transposed_taps,
    window_taps,
)

Of = Callable[[Source], Field | None]  # what a source sees; None: nothing of the picture


def _pointwise(op: Op, of: Of) -> Field | None:
    """Each unit reads its own position in every operand."""
    return joined([of(s) for s in op.inputs], op.shape)


def _copy(op: Op, of: Of) -> Field | None:
    """The second argument, broadcast."""
    return joined([of(op.args["src"])], op.shape)


def _same(op: Op, of: Of) -> Field | None:
    """The first argument, unchanged."""
    return of(op.inputs[0])


def _convolution(op: Op, of: Of) -> Field | None:
    """Convolution of any dimension, grouped or not, transposed or not."""
    field, weight = of(op.args["input"]), op.args["weight"]
    if field is None:
        return None
    k = len(weight.shape) - 2
    stride, padding, dilation = (spread(op.args[name], k) for name in ("stride", "padding", "dilation"))
    field = field.everything(field.axes([1]))  # channels are mixed
    for t in range(k):
        make = transposed_taps if op.args["transposed"] else window_taps
        taps = make(weight.shape[2 + t], stride[t], padding[t], dilation[t])
        field = _window(field, 2 + t, taps, op.shape[2 + t])
    field = field._resized(1, ((None, op.shape[1]),))
    made = of(weight)
    if made is None:
        return field
    return joined(
        [field, made.reduced(range(k + 2), keepdim=True)], op.shape
    )  # a kernel made from the picture


def _pool(op: Op, of: Of) -> Field | None:
    """Maximum and average pooling over a window."""
    field, kernel = of(op.args["self"]), op.args["kernel_size"]
    if field is None:
        return None
    k = int(op.function.split("pool")[1][0])
    kernel = spread(kernel, k)
    stride = spread(op.args.get("stride") or kernel, k)
    padding, dilation = spread(op.args.get("padding", 0), k), spread(op.args.get("dilation", 1), k)
    for t in range(k):
        taps = window_taps(kernel[t], stride[t], padding[t], dilation[t])
        field = _window(field, t - k + len(op.shape), taps, op.shape[t - k])
    return field


def _window(field: Field, dim: int, taps: Taps, n_out: int) -> Field:
    """Taps along one dimension; a window of one unit changes nothing."""
    return field if taps == window_taps(1) else field.read(dim, taps, n_out)


def _adaptive_pool(op: Op, of: Of) -> Field | None:
    """Adaptive pooling; one output position is global pooling."""
    field, k = of(op.args["self"]), len(op.args["output_size"])
    for d in range(len(op.shape) - k, len(op.shape)):
        n_in, n_out = op.args["self"].shape[d], op.shape[d]
        if field is not None and n_out == 1:
            field = field.reduced([d], True)
        elif field is not None:
            field = field.read(d, adaptive_taps(n_in, n_out), n_out)
    return field


def _upsample(op: Op, of: Of) -> Field | None:
    """Resizing, nearest to bicubic, with the scale that was asked for or the one of the shapes."""
    name, field = op.function, of(op.inputs[0])
    if field is None:
        return None
    mode = "cubic" if "cubic" in name else "linear" if "linear" in name else "nearest"
    mode += "-exact" if "exact" in name else ""
    align = bool(op.args.get("align_corners", False))
    k = len(op.shape) - 2
    given = op.args.get("scale_factors") or [
        op.args.get(f"scales_{x}", op.args.get("scales")) for x in "dhw"[-k:]
    ]
    for t in range(k):
        n_in, n_out = op.inputs[0].shape[2 + t], op.shape[2 + t]
        ratio = Fraction(n_in, n_out)
        if align:
            ratio = Fraction(n_in - 1, n_out - 1) if n_out > 1 else Fraction(0)
        elif given[t]:
            ratio = 1 / Fraction(given[t]).limit_denominator(10_000)
        field = field.read(2 + t, interpolation_taps(mode, ratio, align), n_out)
    return field


def _pixel_shuffle(op: Op, of: Of) -> Field | None:
    """r² channels become r×r positions: output i reads i // r."""
    r = op.args["upscale_factor"]
    return _last_two(op, of, Taps(((0,),) * r, 1))


def _pixel_unshuffle(op: Op, of: Of) -> Field | None:
    """r×r positions become r² channels: output i reads i·r to i·r + r - 1."""
    r = op.args["downscale_factor"]
    return _last_two(op, of, window_taps(r, r))


def _last_two(op: Op, of: Of, taps: Taps) -> Field | None:
    """The same taps along the last two dimensions, and another number of channels."""
    field = of(op.inputs[0])
    if field is None:
        return None
    c, h, w = (len(op.shape) - 3 + i for i in range(3))
    field = field.everything(field.axes([c]))
    return field.read(h, taps, op.shape[h]).read(w, taps, op.shape[w])._resized(c, ((None, op.shape[c]),))


def _pad(op: Op, of: Of) -> Field | None:
    """Padding (or cropping, where negative): output i reads i - before."""
    field, pad = of(op.args["self"]), op.args.get("pad") or op.args["padding"]
    border = next((b for b in ("reflect", "replicat") if b in op.function), "zero")
    border = {"replicat": "replicate"}.get(border, border)
    for i, before in enumerate(pad[::2]):
        d = len(op.shape) - 1 - i
        if field is not None and (before or pad[2 * i + 1]):
            field = field.read(d, Taps(((-before,),), 1, border), op.shape[d])
    return field


def _slice(op: Op, of: Of) -> Field | None:
    """x[start:end:step] along one dimension: output i reads start + i·step."""
    field, d = of(op.args["self"]), op.args["dim"] % len(op.shape)
    n, start = op.args["self"].shape[d], op.args["start"] or 0
    start = min(max(start + n if start < 0 else start, 0), n)
    if field is None or op.shape[d] == n:
        return field
    return field.read(d, Taps(((start,),), op.args["step"]), op.shape[d])


def _select(op: Op, of: Of) -> Field | None:
    """x[index] along one dimension, which goes."""
    field, shape = of(op.args["self"]), op.args["self"].shape
    d = op.args["dim"] % len(shape)
    return field and field.dropped(d, op.args["index"] % shape[d])


def _split(op: Op, of: Of) -> list[Field | None]:
    """Pieces one behind the other along one dimension."""
    field = of(op.args["self"])
    d = op.args["dim"] % len(op.shape)
    starts = np.cumsum([0] + [shape[d] for shape in op.outputs])
    return [
        field and field.read(d, Taps(((int(a),),), 1), shape[d])
        for a, shape in zip(starts, op.outputs, strict=False)
    ]


def _unbind(op: Op, of: Of) -> list[Field | None]:
    """Every entry of one dimension by itself."""
    field, d = of(op.args["self"]), op.args["dim"] % len(op.args["self"].shape)
    return [field and field.dropped(d, i) for i in range(len(op.outputs))]


def _roll(op: Op, of: Of) -> Field | None:
    """Shifted around: output i reads i - shift, and what leaves on one side returns on the other."""
    field = of(op.args["self"])
    if field is None or not op.args["dims"]:
        return field and field.everything(field.axes())
    for shift, dim in zip(op.args["shifts"], op.args["dims"], strict=True):
        d = dim % len(op.shape)
        field = field.read(d, Taps(((-shift,),), 1, "wrap"), op.shape[d])
    return field


def _flip(op: Op, of: Of) -> Field | None:
    """Mirrored: output i reads n - 1 - i."""
    field = of(op.args["self"])
    for dim in op.args["dims"]:
        d = dim % len(op.shape)
        field = field and field.read(d, Taps(((op.shape[d] - 1,),), -1), op.shape[d])
    return field


def _view(op: Op, of: Of) -> Field | None:
    """The same entries in another shape."""
    field = of(op.inputs[0])
    return field and field.viewed(op.shape)


def _permute(op: Op, of: Of) -> Field | None:
    """Dimensions in another order."""
    field, order = of(op.inputs[0]), list(range(len(op.shape)))
    if op.function == "permute":
        order = [d % len(op.shape) for d in op.args["dims"]]
    elif len(order) > 1:  # transpose, t
        a, b = op.args.get("dim0", 0), op.args.get("dim1", 1)
        order[a], order[b] = order[b], order[a]
    return field and field.permuted(order)


def _expand(op: Op, of: Of) -> Field | None:
    """Broadcast to a larger shape."""
    return joined([of(op.inputs[0])], op.shape)


def _cat(op: Op, of: Of) -> Field | None:
    """Side by side: along the channels each unit sees what either tensor sees, along an axis everything."""
    return joined([of(s) for s in op.args["tensors"]], op.shape, op.args["dim"] % len(op.shape))


def _stack(op: Op, of: Of) -> Field | None:
    """Side by side in a new dimension."""
    d = op.args["dim"] % len(op.shape)
    fields = [f and Field((*f.dims[:d], (), *f.dims[d:]), f.lines) for f in map(of, op.args["tensors"])]
    return joined(fields, op.shape, d)


def _reduce(op: Op, of: Of) -> Field | None:
    """Mean, sum, maximum, norm, ... over some dimensions, or over all."""
    if "other" in op.args:  # max(a, b)
        return _pointwise(op, of)
    field, shape = of(op.inputs[0]), op.inputs[0].shape
    dims = op.args.get("dim")
    dims = range(len(shape)) if dims in (None, ()) else [dims] if isinstance(dims, int) else dims
    return field and field.reduced(dims, len(op.shape) == len(shape) and len(shape) > 0)


def _along(op: Op, of: Of) -> Field | None:
    """Softmax, cumulative sums, ...: an entry reads all entries of its dimension."""
    field = of(op.inputs[0])
    return field and field.everything(field.axes([op.args["dim"]]))


def _batch_norm(op: Op, of: Of) -> Field | None:
    """In evaluation each pixel by itself; in training (and as instance norm) with all positions."""
    field = of(op.args["input"])
    return field and (field.everything(field.axes()) if op.args.get("training") else field)


def _layer_norm(op: Op, of: Of) -> Field | None:
    """Normalized over the last dimensions: whatever runs along them is mixed."""
    field, shape = of(op.args["input"]), op.args["normalized_shape"]
    return field and field.everything(field.axes(range(-len(shape), 0)))


def _everywhere(op: Op, of: Of) -> Field | None:
    """Each unit reads all positions: group norm, attention."""
    fields = [of(s) for s in op.inputs]
    known = [f.everything(f.axes()) for f in fields if f is not None]
    if not known:
        return None
    lines = tuple(join([f.lines[axis] for f in known]) for axis in range(len(known[0].lines)))
    return Field(tuple(((None, n),) for n in op.shape), lines).everything(range(len(lines)))


def _matmul(op: Op, of: Of) -> Field | None:
    """Matrix product with a parameter: the summed dimension is mixed. Of two activations: attention."""
    matrices = [s for s in op.sources if len(s.shape) >= 2][-2:]
    fields = [of(s) for s in matrices]
    if None not in fields:
        return _everywhere(op, of)
    left, right = fields
    field, summed = (left, -1) if left is not None else (right, -2)
    if field is None:
        return _pointwise(op, of)
    field = field.everything(field.axes([summed]))
    new = len(op.shape) + summed
    return field._resized(new, ((None, op.shape[new]),))


def _written(op: Op, of: Of) -> Field | None:
    """A part was overwritten: some channels, or, where positions were chosen, everything."""
    whole, part = of(op.args["self"]), of(op.args["part"])
    if part is None:
        return whole
    shape, spot = op.args["self"].shape, op.args["part"].shape
    chosen = (
        set(range(len(spot))) if len(shape) != len(spot) else {d for d, n in enumerate(spot) if n != shape[d]}
    )
    part = part.everything(part.axes(chosen))
    dims = tuple(
        part.dims[d] if len(shape) == len(spot) and d not in chosen else ((None, n),)
        for d, n in enumerate(shape)
    )
    return joined([whole, Field(dims, part.lines)], shape)


def _nothing(op: Op, of: Of) -> None:
    """A new tensor that only takes its shape from another: sees nothing of the picture."""


def _table(*groups: tuple[Callable, str]) -> dict[str, Callable]:
    return {name: rule for rule, names in groups for name in names.split()}


RULES: dict[str, Callable[[Op, Of], Field | list[Field | None] | None]] = _table(
    (_convolution, "convolution convolution_overrideable mkldnn_convolution conv2d conv1d conv3d"),
    (_pool, "avg_pool1d avg_pool2d avg_pool3d max_pool1d max_pool2d max_pool3d max_pool1d_with_indices "
            "max_pool2d_with_indices max_pool3d_with_indices"),
    (_adaptive_pool, "_adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d "
                     "adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d"),
    (_upsample, "upsample_nearest1d upsample_nearest2d upsample_nearest3d _upsample_nearest_exact1d "
                "_upsample_nearest_exact2d _upsample_nearest_exact3d upsample_linear1d "
                "upsample_bilinear2d upsample_trilinear3d upsample_bicubic2d"),
    (_pixel_shuffle, "pixel_shuffle"),
    (_pixel_unshuffle, "pixel_unshuffle"),
    (_pad, "constant_pad_nd reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d "
           "replication_pad2d replication_pad3d"),
    (_slice, "slice"),
    (_select, "select"),
    (_unbind, "unbind"),
    (_split, "split split_with_sizes"),
    (_roll, "roll"),
    (_flip, "flip"),
    (_view, "view _unsafe_view reshape _reshape_alias flatten unflatten squeeze unsqueeze"),
    (_permute, "permute transpose t numpy_T"),
    (_expand, "expand"),
    (_copy, "copy"),
    (_cat, "cat"),
    (_stack, "stack"),
    (_reduce, "mean sum amax amin max min prod var std norm linalg_vector_norm logsumexp argmax argmin "
              "any all var_mean std_mean median"),
    (_along, "_softmax _log_softmax _safe_softmax softmax log_softmax cumsum cumprod sort"),
    (_batch_norm, "native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training "
                  "batch_norm cudnn_batch_norm _batch_norm_no_update"),
    (_layer_norm, "native_layer_norm"),
    (_everywhere, "native_group_norm _scaled_dot_product_flash_attention_for_cpu fft_rfft2 fft_irfft2 "
                  "_scaled_dot_product_attention_math scaled_dot_product_attention grid_sampler_2d "
                  "grid_sampler_3d _fft_r2c _fft_c2r _fft_c2c"),
    (_matmul, "mm bmm addmm baddbmm"),
    (_written, "written"),
    (_nothing, "new_zeros new_empty new_ones new_full zeros_like ones_like empty_like full_like "
               "new_empty_strided rand_like randn_like fill zero"),
    (_same, "clone contiguous _to_copy to alias detach dropout native_dropout lift_fresh channel_shuffle "
            "positive native_channel_shuffle"),
    (_pointwise, "add sub rsub mul div pow sqrt rsqrt exp exp2 expm1 log log2 log1p neg abs sign sgn "
                 "square reciprocal sin cos tan tanh sinh cosh atan asin acos erf relu relu6 leaky_relu "
                 "elu selu celu gelu silu mish sigmoid log_sigmoid_forward softplus softshrink hardshrink "
                 "threshold hardtanh hardswish hardsigmoid _prelu_kernel prelu rrelu rrelu_with_noise "
                 "clamp clamp_min clamp_max maximum minimum fmax fmin where masked_fill eq ne lt le gt ge "
                 "logical_and logical_or logical_not bitwise_and bitwise_or bitwise_not addcmul addcdiv "
                 "lerp floor ceil round trunc frac fmod remainder bernoulli isnan isinf nan_to_num _conj "
                 "real imag floor_divide xlogy atan2 hypot glu_jvp"),
)  # fmt: skip
"""PyTorch's name of an operation -> what its output sees, from what its inputs see."""


def fields_of(graph: Graph) -> tuple[Of, dict[int, str]]:
    """What each tensor sees, and operation -> why its output sees everything from here on."""
    size = graph.inputs[0].shape
    pixels = size[2:]
    start = Field(
        ((), ((None, size[1]),), *(((a, n),) for a, n in enumerate(pixels))),
        tuple(_picture(n) for n in pixels),
    )
    fields: dict[tuple[int, int], Field | None] = {}
    notes: dict[int, str] = {}

    def of(source: Source) -> Field | None:
        if source.kind == "op":
            return fields[source.index, source.output]
        return start if source.kind == "input" and source.index == 0 else None

    for op in graph.ops:
        result = RULES.get(op.function, _everywhere)(op, of)
        for number, shape in enumerate(op.outputs):
            fields[op.index, number] = (
                result[number] if isinstance(result, list) else _fitting(result, op.shape, shape)
            )
        if _turned_global([of(s) for s in op.inputs], fields[op.index, 0]):
            notes[op.index] = _reason(op)
    return of, notes


def _reason(op: Op) -> str:
    """Why the output of this operation sees everything."""
    if op.function not in RULES:
        return f"unknown operation {op.function!r}: taken to see everything"
    if RULES[op.function] in (
        _view,
        _cat,
        _written,
        _pointwise,
    ):  # true of some positions, or a guess upwards
        return f"{op.function}: positions regrouped, taken to see everything"
    return f"{op.function}: sees all positions"


def _picture(n: int) -> Line:
    """One axis of the input: each pixel sees itself."""
    pixel, itself = np.arange(n, dtype=float), Windows((0,), (0,), 1)
    return Line(pixel, pixel, np.zeros(n, dtype=bool), itself, itself)


def _fitting(field: Field | None, shape: Sequence[int], other: Sequence[int]) -> Field | None:
    """The field of a second output: as the first where the shapes agree, everything where they do not."""
    if field is None or tuple(shape) == tuple(other):
        return field
    return Field(tuple(((None, n),) for n in other), field.everything(range(len(field.lines))).lines)


def _turned_global(before: Sequence[Field | None], after: Field | None) -> bool:
    """Whether an axis sees everything now and did not before."""
    return after is not None and any(
        after.lines[axis].whole and not any(f.lines[axis].whole for f in before if f is not None)
        for axis in range(len(after.lines))
    )
