"""The rules of `utils.cost`: what each operation computes, and what it keeps for the backward pass.

A rule for arithmetic is a function from an operation (`utils.graph.Op`) to a number. A rule for what is kept
is a tuple of words, read from PyTorch's derivative formulas and compared with what autograd keeps in
tests/test_cost.py. An operation that stands in no table counts one "other" operation for each value it makes,
and keeps its inputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from utils.graph import Op, Source

__all__ = ["INDEX_RESULTS", "NO_GRADIENT", "VIEWS", "kept", "multiply_adds", "other_operations"]


def multiply_adds(op: Op) -> int:
    """Multiplications whose product is added to a sum."""
    return MULTIPLY_ADDS.get(op.function, _per_value(0))(op)


def other_operations(op: Op) -> int:
    """All other arithmetic, as defined in `OTHER`."""
    return OTHER.get(op.function, _per_value(1))(op)


def kept(op: Op) -> tuple[str, ...]:
    """What stays for the backward pass, in the words of `KEPT`."""
    rule = KEPT.get(op.function + "_") if op.in_place else None
    inputs = tuple(name for name, value in op.args.items() if isinstance(value, Source))
    return KEPT.get(op.function, inputs) if rule is None else rule


def _words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


# --- rules: multiply-adds ---


def _convolution(op: Op) -> int:
    """Each output value sums C/g·kh·kw products; transposed, each input value meets K/g·kh·kw weights."""
    values = op.args["input"].shape if op.args.get("transposed") else op.shape
    return math.prod(values) * math.prod(op.args["weight"].shape[1:])


def _matrix_product(name: str) -> Callable[[Op], int]:
    """(…, n, m) times (…, m, k): each of the n·k results sums m products; `name` is the left factor."""
    return lambda op: math.prod(op.shape) * op.args[name].shape[-1]


def _attention(op: Op) -> int:
    """Scores, one product of queries and keys, then one of scores and values."""
    (*batch, n, d), (m, d_value) = op.args["query"].shape, op.args["value"].shape[-2:]
    return math.prod(batch) * n * m * (d + d_value)


MULTIPLY_ADDS: dict[str, Callable[[Op], int]] = {
    "convolution": _convolution,  # 1-D, 2-D, 3-D, grouped, depthwise, dilated, transposed
    "deform_conv2d": _convolution,  # the interpolation of its samples is not counted
    "addmm": _matrix_product("mat1"),  # a dense layer with bias
    "mm": _matrix_product("self"),  # a dense layer without bias
    "bmm": _matrix_product("self"),  # many matrix products: attention, einsum
    "baddbmm": _matrix_product("batch1"),
    "addmv": lambda op: math.prod(op.args["self"].shape) * op.args["vec"].shape[-1],
    "mv": lambda op: math.prod(op.args["self"].shape),
    "dot": lambda op: math.prod(op.args["self"].shape),
    "_scaled_dot_product_flash_attention_for_cpu": _attention,
}

# --- rules: other operations ---

VIEWS = _words(  # the same numbers in the same memory, with another shape: free
    """view _unsafe_view _reshape_alias reshape permute transpose t expand slice select narrow unsqueeze
    squeeze split split_with_sizes chunk unbind unfold diagonal alias detach as_strided written"""
)
COPIES = _words(  # memory is written, nothing is computed
    """clone copy _to_copy contiguous cat stack roll flip index index_select gather constant_pad_nd repeat
    im2col reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d
    replication_pad3d pixel_shuffle pixel_unshuffle channel_shuffle upsample_nearest1d upsample_nearest2d
    upsample_nearest3d new_zeros new_ones new_full new_empty empty_like zeros_like ones_like full_like fill
    zero"""
)


def _per_value(count: int) -> Callable[[Op], int]:
    """So many operations for each value of the result."""
    return lambda op: count * math.prod(op.shape)


def _per_input(count: int) -> Callable[[Op], int]:
    """So many operations for each value of the (first) input: reductions."""
    return lambda op: count * math.prod(op.inputs[0].shape)


def _window(op: Op) -> int:
    """Each result reads a whole window."""
    kernel, axes = op.args["kernel_size"], len(op.args["self"].shape) - 2
    return math.prod(op.shape) * math.prod(kernel if len(kernel) > 1 else kernel * axes)


def _bias(name: str) -> Callable[[Op], int]:
    """One addition for each result where there is a bias."""
    return lambda op: math.prod(op.shape) * isinstance(op.args.get(name), Source)


OTHER: dict[str, Callable[[Op], int]] = {  # default: one for each value of the result
    "convolution": _bias("bias"),
    "deform_conv2d": _bias("bias"),
    "addmm": _bias("self"),
    "baddbmm": _bias("self"),
    "addmv": _bias("self"),
    **dict.fromkeys(("mm", "bmm", "mv", "dot"), _per_value(0)),
    "_scaled_dot_product_flash_attention_for_cpu": lambda op: 3 * _attention(op) // (2 * op.shape[-1]),
    "native_batch_norm": _per_value(2),  # at inference: times a number, plus a number
    "native_layer_norm": _per_value(7),  # two for the mean and the variance each, subtract, scale, shift
    "native_group_norm": _per_value(7),
    **dict.fromkeys(("_softmax", "_safe_softmax", "_log_softmax"), _per_value(3)),  # exponential, sum, divide
    **dict.fromkeys(
        ("max_pool2d_with_indices", "max_pool3d_with_indices", "avg_pool2d", "avg_pool3d"), _window
    ),
    **dict.fromkeys(("_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "adaptive_max_pool2d"), _per_input(1)),
    **dict.fromkeys(("mean", "sum", "amax", "amin", "max", "min", "argmax", "prod"), _per_input(1)),
    **dict.fromkeys(("linalg_vector_norm", "norm"), _per_input(2)),  # square, sum
    **dict.fromkeys(("var", "var_mean", "std"), _per_input(4)),
    **dict.fromkeys(VIEWS | COPIES, _per_value(0)),
}

# --- rules: what the backward pass needs ---
# Names of arguments, or "result", "result1", ...; "a if b": only where the gradient of b is wanted;
# "copy": the input, of which an in-place form must make a copy. A name with "_" is the in-place form.

RESULT, COPY = ("result",), ("copy",)
FACTORS = ("self if other", "other if self")

KEPT: dict[str, tuple[str, ...]] = {  # default: nothing for views and copies, all inputs otherwise
    "convolution": ("input",),
    "deform_conv2d": ("input", "offset", "mask"),
    "addmm": ("mat1 if mat2", "mat2 if mat1"),
    "mm": ("self if mat2", "mat2 if self"),
    "bmm": ("self if mat2", "mat2 if self"),
    "baddbmm": ("batch1 if batch2", "batch2 if batch1"),
    "mul": FACTORS,  # dropout too: it multiplies by a random mask, kept as floats (as bytes on a GPU)
    "div": ("self if other", "other"),
    **dict.fromkeys(("add", "sub", "rsub", "neg", "mean", "sum", "cumsum"), ()),
    **dict.fromkeys(("relu", "sigmoid", "tanh", "exp", "sqrt", "rsqrt"), RESULT),
    **dict.fromkeys(("_softmax", "_safe_softmax", "_log_softmax"), RESULT),
    **dict.fromkeys(("leaky_relu_", "elu_"), RESULT),
    **dict.fromkeys(
        ("hardtanh_", "silu_", "gelu_", "hardswish_", "hardsigmoid_", "mish_"), COPY
    ),  # ReLU6 too
    **dict.fromkeys(("threshold_", "abs_", "clamp_", "clamp_min_", "clamp_max_", "pow_"), COPY),
    "mul_": ("copy if other", "other if self"),
    "native_batch_norm": ("input", "result1", "result2"),  # mean and 1/deviation of each channel
    "native_layer_norm": ("input", "result1", "result2"),
    "native_group_norm": ("input", "result1", "result2"),
    "max_pool2d_with_indices": ("self", "result1"),  # where each maximum was, as 8-byte integers
    "max_pool3d_with_indices": ("self", "result1"),
    "adaptive_max_pool2d": ("self", "result1"),
    **dict.fromkeys(("max", "min"), ("result1",)),
    **dict.fromkeys(("amax", "amin", "linalg_vector_norm"), ("self", "result")),
    "masked_fill": ("mask",),
    "where": ("condition",),
    "index": ("indices",),
    "_scaled_dot_product_flash_attention_for_cpu": ("query", "key", "value", "result", "result1"),
    **dict.fromkeys(("upsample_bilinear2d", "upsample_bicubic2d", "upsample_trilinear3d"), ()),
    "pow": ("self",),
    **dict.fromkeys(VIEWS | COPIES, ()),
}
NO_GRADIENT = _words(  # results that do not depend on the input in a way that could be differentiated
    """empty_like zeros_like ones_like full_like new_zeros new_ones new_full new_empty bernoulli rand_like
    argmax eq ne lt le gt ge isnan logical_not logical_and logical_or any all floor round"""
)
INDEX_RESULTS = _words(  # result number 1 holds 8-byte indices
    """max_pool2d_with_indices max_pool3d_with_indices adaptive_max_pool2d adaptive_max_pool3d max min topk
    sort"""
)
