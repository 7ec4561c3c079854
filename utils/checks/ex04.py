"""Exercise 4, backpropagation through convolution: tasks, cases, and the mistakes that readers make."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from utils.checks import Case, Misconception, Task

# ---- 1. By hand ------------------------------------------------------------------------------------------

# A graph: p = a b, q = a + c, L = p q with a = 2, b = -3, c = 5; so p = -6 and q = 7.
# A convolution of five inputs with three weights, and one of six inputs with stride 2.
_X, _W, _DELTA = np.array([2.0, -1, 3, 0, 1]), np.array([1.0, -2, 3]), np.array([1.0, -1, 2])
_DELTA_STRIDED = np.array([2.0, -1])


def _hand_input(size: int, delta: np.ndarray, w: np.ndarray, stride: int = 1) -> np.ndarray:
    grad = np.zeros(size)
    for i, error in enumerate(delta):
        grad[i * stride : i * stride + len(w)] += error * w
    return grad


_HAND = {
    "graph a": np.array(-3 * 7 + 1 * -6.0),
    "graph b": np.array(2 * 7.0),
    "weights": np.correlate(_X, _DELTA, "valid"),
    "bias": np.array(_DELTA.sum()),
    "input": _hand_input(5, _DELTA, _W),
    "strided input": _hand_input(6, _DELTA_STRIDED, _W, stride=2),
}


def _hand_with(**wrong) -> Callable:
    """The right values, but for those given (underscores stand for spaces)."""
    values = _HAND | {key.replace("_", " "): value for key, value in wrong.items()}
    return lambda key: values[key]


by_hand = Task(
    name="ex04.by_hand",
    title="1 · Gradients by hand",
    section="4.3 When one number is used twice; 4.5 Three weights, five inputs; 4.6 The flip returns",
    reference=_HAND.__getitem__,
    cases=lambda rng: [
        Case("the gradient of a in the graph", 0.5, ("graph a",)),
        Case("the gradient of b in the graph", 0.25, ("graph b",)),
        Case("the weights of the convolution", 0.5, ("weights",)),
        Case("its bias", 0.25, ("bias",)),
        Case("its input", 0.5, ("input",)),
        Case("the input with stride 2", 0.5, ("strided input",)),
    ],
    misconceptions={
        "only through p": Misconception(
            _hand_with(graph_a=-3 * 7), "That is what comes back to a through p. It feeds q as well: add it."
        ),
        "only through q": Misconception(
            _hand_with(graph_a=1 * -6), "That is what comes back to a through q. It feeds p as well: add it."
        ),
        "paths multiplied": Misconception(
            _hand_with(graph_a=-3 * 7 * -6),
            "You multiplied what comes back through p and through q. Along a path factors multiply; "
            "what arrives on two paths adds up.",
        ),
        "no upstream gradient": Misconception(
            _hand_with(graph_a=-3 + 1, graph_b=2),
            "Those are local derivatives. Each is to be multiplied by the upstream gradient of its result.",
        ),
        "own factor": Misconception(
            _hand_with(graph_a=2 * 7 + 1 * -6, graph_b=-3 * 7),
            "The local derivative of a product is the other factor, not the number itself.",
        ),
        "own value upstream": Misconception(
            _hand_with(graph_a=-3 * -6 + 1 * 7, graph_b=2 * -6),
            "L = p q hands p the value of q, and q the value of p. You gave each its own value.",
        ),
        "weights without errors": Misconception(
            _hand_with(weights=np.correlate(_X, np.ones(3), "valid")),
            "You added up the inputs that each weight has met. Multiply each by the error of its output.",
        ),
        "error map flipped": Misconception(
            _hand_with(weights=np.convolve(_X, _DELTA, "valid")),
            "For the weights nothing is flipped: entry u adds up delta[i] * x[i + u], both counting up.",
        ),
        "weights from the right": Misconception(
            _hand_with(weights=np.correlate(_X, _DELTA, "valid")[::-1]),
            "Right numbers in reverse order: weight 0 meets x[0] in y[0].",
        ),
        "weights averaged": Misconception(
            _hand_with(weights=np.correlate(_X, _DELTA, "valid") / 3, bias=_DELTA.mean()),
            "You averaged over the positions. What comes back from each of them adds up.",
        ),
        "bias of each output": Misconception(
            _hand_with(bias=_DELTA), "One bias serves all outputs, so its gradient is one number: the sum."
        ),
        "bias counted": Misconception(
            _hand_with(bias=3.0),
            "You counted the outputs. Each hands its own error back to the bias, not a 1.",
        ),
        "kernel not flipped": Misconception(
            _hand_with(input=_hand_input(5, _DELTA, _W[::-1])),
            "You slid the kernel over the error map without turning it around. "
            "Which weight has x[0] met in y[0]?",
        ),
        "input too short": Misconception(
            _hand_with(input=np.convolve(_DELTA, _W, "same")),
            "Pad the error map with zeros first: every input gets a gradient, those at the ends as well.",
        ),
        "last writer": Misconception(
            _hand_with(input=np.array([1.0, -1, 2, -4, 6]), strided_input=np.array([2.0, -4, -1, 2, -3, 0])),
            "Where windows overlap you kept what the last output handed out. The shares add up.",
        ),
        "stride forgotten": Misconception(
            _hand_with(strided_input=_hand_input(6, _DELTA_STRIDED, _W)),
            "With stride 2 the second window starts at x[2], so its error is handed out from there on.",
        ),
        "windows a kernel apart": Misconception(
            _hand_with(strided_input=_hand_input(6, _DELTA_STRIDED, _W, stride=3)),
            "Your two windows do not overlap. With stride 2 the second one starts at x[2]: both read x[2].",
        ),
        "strided, not flipped": Misconception(
            _hand_with(strided_input=_hand_input(6, _DELTA_STRIDED, _W[::-1], stride=2)),
            "The windows are right, but the kernel lies in them backward: x[0] has met weight 0.",
        ),
        "unread input left out": Misconception(
            _hand_with(strided_input=_hand_input(6, _DELTA_STRIDED, _W, stride=2)[:5]),
            "There are six inputs, so there are six gradients. What is that of an input nobody reads?",
        ),
    },
)


# ---- 2. The gradients of weights and bias ----------------------------------------------------------------


def _pad(x: np.ndarray, p: int) -> np.ndarray:
    return np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))


def _windows(x: np.ndarray, kernel_size: tuple[int, int], stride: int) -> np.ndarray:
    """(N, C, OH, OW, kh, kw)"""
    view = np.lib.stride_tricks.sliding_window_view(x, kernel_size, axis=(2, 3))
    return view[:, :, ::stride, ::stride]


def _grad_weight(delta, x, kernel_size, stride, padding):
    return np.einsum("nmij,ncijuv->mcuv", delta, _windows(_pad(x, padding), kernel_size, stride))


def _grad_parameters(grad_output, x, kernel_size, stride=1, padding=0):
    grad_weight = _grad_weight(grad_output, x, kernel_size, stride, padding)
    return grad_weight, np.einsum("nmij->m", grad_output)


def _parameters_loops(grad_output, x, kernel_size, stride=1, padding=0):
    x = _pad(x, padding)
    K, (kh, kw) = grad_output.shape[1], kernel_size
    grad_weight, grad_bias = np.zeros((K, x.shape[1], kh, kw)), np.zeros(K)
    for n, m, i, j in np.ndindex(grad_output.shape):
        window = x[n, :, i * stride : i * stride + kh, j * stride : j * stride + kw]
        grad_weight[m] += grad_output[n, m, i, j] * window
        grad_bias[m] += grad_output[n, m, i, j]
    return grad_weight, grad_bias


def _parameters_im2col(grad_output, x, kernel_size, stride=1, padding=0):
    (N, K, OH, OW), C = grad_output.shape, x.shape[1]
    view = _windows(_pad(x, padding), kernel_size, stride)
    columns = view.transpose(0, 2, 3, 1, 4, 5).reshape(N * OH * OW, -1)
    errors = grad_output.transpose(1, 0, 2, 3).reshape(K, N * OH * OW)
    return (errors @ columns).reshape(K, C, *kernel_size), errors @ np.ones(N * OH * OW)


def _changed(weight: Callable | None = None, bias: Callable | None = None) -> Callable:
    """The right gradients, then changed: weight(grad_weight, grad_output), bias(grad_bias, grad_output)."""

    def function(grad_output, x, kernel_size, stride=1, padding=0):
        grad_weight, grad_bias = _grad_parameters(grad_output, x, kernel_size, stride, padding)
        if weight:
            grad_weight = weight(grad_weight, grad_output)
        if bias:
            grad_bias = bias(grad_bias, grad_output)
        return grad_weight, grad_bias

    return function


def _with_weight(make: Callable) -> Callable:
    """The right bias gradient beside the weight gradient make(delta, x, kernel_size, stride, padding)."""

    def function(grad_output, x, kernel_size, stride=1, padding=0):
        return make(grad_output, x, kernel_size, stride, padding), grad_output.sum(axis=(0, 2, 3))

    return function


def _batch_kept(delta, x, kernel_size, stride, padding):
    view = _windows(_pad(x, padding), kernel_size, stride)
    return np.einsum("nmij,ncijuv->nmcuv", delta, view)


def _channels_added(delta, x, kernel_size, stride, padding):
    x = np.repeat(x.sum(axis=1, keepdims=True), x.shape[1], axis=1)
    return _grad_weight(delta, x, kernel_size, stride, padding)


def _windows_side_by_side(delta, x, kernel_size, stride, padding):
    """Windows of stride 1: as many as the error map has entries, but not where they were."""
    view = _windows(_pad(x, padding), kernel_size, 1)
    return np.einsum("nmij,ncijuv->mcuv", delta, view[:, :, : delta.shape[2], : delta.shape[3]])


def _unpadded(delta, x, kernel_size, stride, padding):
    """The windows of the picture without zeros; those that do not exist are left out."""
    view = _windows(x, kernel_size, stride)
    OH, OW = (min(a, b) for a, b in zip(view.shape[2:4], delta.shape[2:], strict=True))
    return np.einsum("nmij,ncijuv->mcuv", delta[:, :, :OH, :OW], view[:, :, :OH, :OW])


def _padded_otherwise(before: Callable, after: Callable, mode: str = "constant") -> Callable:
    def make(delta, x, kernel_size, stride, padding):
        zeros = before(padding), after(padding)
        return _grad_weight(delta, np.pad(x, ((0, 0), (0, 0), zeros, zeros), mode), kernel_size, stride, 0)

    return _with_weight(make)


def _layer_cases(rng, points: float, make: Callable) -> list[Case]:
    """Cases of a layer: make(delta, x, weight) gives the arguments before stride and padding.

    The sizes are all different, and with a stride some pixels at the border are unread.
    """
    cases = []
    for label, N, C, K, stride, padding, H, W in (
        ("one channel, one filter", 1, 1, 1, 1, 0, 8, 11),
        ("channels, filters, a batch", 2, 3, 4, 1, 0, 11, 8),  # once higher than wide
        ("stride", 2, 3, 4, 3, 0, 8, 11),
        ("padding", 2, 3, 4, 1, 2, 8, 11),
        ("stride and padding", 2, 3, 4, 2, 1, 8, 11),
    ):
        x, weight = rng.normal(size=(N, C, H, W)), rng.normal(size=(K, C, 4, 3))
        OH, OW = (H + 2 * padding - 4) // stride + 1, (W + 2 * padding - 3) // stride + 1
        delta = rng.normal(size=(N, K, OH, OW))
        options = {"stride": stride, "padding": padding}
        options = {key: value for key, value in options.items() if value != {"stride": 1, "padding": 0}[key]}
        cases.append(Case(label, points, make(delta, x, weight), options))
    return cases


grad_parameters = Task(
    name="ex04.grad_parameters",
    title="2 · The gradients of weights and bias",
    section="4.8 Channels, filters, batch; 4.10 Stride, padding, dilation, groups",
    reference=_grad_parameters,
    cases=lambda rng: _layer_cases(rng, 0.4, lambda delta, x, weight: (delta, x, weight.shape[2:])),
    misconceptions={
        "other order": Misconception(
            lambda *a, **k: _grad_parameters(*a, **k)[::-1],
            "The numbers are right, their order is not: return the gradient of the weights first.",
        ),
        "weights alone": Misconception(
            lambda *a, **k: _grad_parameters(*a, **k)[0],
            "You returned one array. Return two: the gradient of the weights, then that of the bias.",
        ),
        "bias unsummed": Misconception(
            _changed(bias=lambda grad, delta: delta),
            "The bias gradient has the shape of the output. It has one number for each filter: sum.",
        ),
        "bias summed over the batch only": Misconception(
            _changed(bias=lambda grad, delta: delta.sum(axis=0)),
            "The bias is added at every position, so its gradient sums over rows and columns as well.",
        ),
        "bias not summed over the batch": Misconception(
            _changed(bias=lambda grad, delta: delta.sum(axis=(2, 3))),
            "All pictures of the batch share the bias, so its gradient sums over axis 0 as well.",
        ),
        "bias summed over the filters": Misconception(
            _changed(bias=lambda grad, delta: delta.sum()),
            "Each filter has a bias of its own: keep axis 1 of the error map, sum over the others.",
        ),
        "bias averaged": Misconception(
            _changed(bias=lambda grad, delta: delta.mean(axis=(0, 2, 3))),
            "The bias gradient is a mean. Everything that comes back to a number adds up.",
        ),
        "averaged over the batch": Misconception(
            _changed(lambda grad, delta: grad / len(delta), lambda grad, delta: grad / len(delta)),
            "Both gradients are divided by the batch size. If the loss is a mean, that 1/N is in "
            "grad_output already.",
        ),
        "weights averaged over the batch": Misconception(
            _changed(lambda grad, delta: grad / len(delta)),
            "The weight gradient is divided by the batch size: sum over the pictures, do not average.",
        ),
        "weights averaged over the positions": Misconception(
            _changed(lambda grad, delta: grad / delta[0, 0].size),
            "The weight gradient is divided by the number of positions: sum over them, do not average.",
        ),
        "batch not summed": Misconception(
            _with_weight(_batch_kept),
            "The weight gradient has one axis too many: all pictures share the weights, so sum over them.",
        ),
        "first picture only": Misconception(
            _with_weight(lambda delta, x, *options: _grad_weight(delta[:1], x[:1], *options)),
            "Only the first picture of the batch arrives in the weight gradient.",
        ),
        "last picture only": Misconception(
            _with_weight(lambda delta, x, *options: _grad_weight(delta[-1:], x[-1:], *options)),
            "Only the last picture of the batch arrives in the weight gradient: add up with +=.",
        ),
        "channels added up": Misconception(
            _with_weight(_channels_added),
            "Every channel got the same weight gradient: the forward pass sums over the channels, the "
            "gradient of weight[m, c] belongs to channel c alone.",
        ),
        "filters added up": Misconception(
            _changed(lambda grad, delta: np.repeat(grad.sum(axis=0, keepdims=True), len(grad), axis=0)),
            "Every filter got the same weight gradient: filter m learns from channel m of grad_output.",
        ),
        "weights flipped": Misconception(
            _changed(lambda grad, delta: grad[:, :, ::-1, ::-1]),
            "The weight gradient is turned by 180 degrees. Only the gradient of the input needs the flip.",
        ),
        "error map flipped": Misconception(
            _with_weight(lambda delta, *options: _grad_weight(delta[:, :, ::-1, ::-1], *options)),
            "You turned the error map around: delta[i, j] belongs to the window that starts at i, j.",
        ),
        "channels before filters": Misconception(
            _changed(lambda grad, delta: grad.swapaxes(0, 1)),
            "The weight gradient has the axes (C, K, kh, kw): it belongs in (K, C, kh, kw), like the weight.",
        ),
        "kernel transposed": Misconception(
            _changed(lambda grad, delta: grad.swapaxes(2, 3)),
            "Rows and columns of the kernel are swapped in the weight gradient.",
        ),
        "stride forgotten": Misconception(
            _with_weight(_windows_side_by_side),
            "You took windows next to each other. With a stride, output i has read from row i * stride on.",
        ),
        "padding forgotten": Misconception(
            _with_weight(_unpadded),
            "The padding is missing: the layer has read the padded picture, so pad x before you cut windows.",
        ),
        "padding after only": Misconception(
            _padded_otherwise(lambda p: 0, lambda p: 2 * p),
            "Zeros are missing at the top and on the left: `padding` of them belong on each side of x.",
        ),
        "padding repeats the edge": Misconception(
            _padded_otherwise(lambda p: p, lambda p: p, mode="edge"),
            "You padded with copies of the edge: the layer has read zeros there.",
        ),
    },
    alternatives={"loops": _parameters_loops, "im2col": _parameters_im2col},
)


# ---- 3. The gradient of the input ------------------------------------------------------------------------


def _scatter(delta, weight, input_size, stride, padding, *, overlap: str = "add"):
    """The gradient of the padded picture: a kernel for each output. `overlap`: add, assign or mean."""
    (N, _, OH, OW), (_, C, kh, kw) = delta.shape, weight.shape
    grad = _pad(np.zeros((N, C, *input_size)), padding)
    readers = np.zeros(grad.shape[2:])
    for i, j in np.ndindex(OH, OW):
        rows = slice(i * stride, i * stride + kh)
        columns = slice(j * stride, j * stride + kw)
        share = np.einsum("nm,mcuv->ncuv", delta[:, :, i, j], weight)
        grad[:, :, rows, columns] = share + (0 if overlap == "assign" else grad[:, :, rows, columns])
        readers[rows, columns] += 1
    return grad / np.maximum(readers, 1) if overlap == "mean" else grad


def _crop(grad, input_size, padding):
    return grad[:, :, padding : padding + input_size[0], padding : padding + input_size[1]]


def _grad_input(grad_output, weight, input_size, stride=1, padding=0):
    (N, _, OH, OW), (_, C, kh, kw), (H, W) = grad_output.shape, weight.shape, input_size
    grad = _pad(np.zeros((N, C, H, W)), padding)
    for i in range(OH):
        for j in range(OW):
            share = np.einsum("nm,mcuv->ncuv", grad_output[:, :, i, j], weight)
            top, left = i * stride, j * stride
            grad[:, :, top : top + kh, left : left + kw] += share
    return grad[:, :, padding : padding + H, padding : padding + W]


def _input_gathered(grad_output, weight, input_size, stride=1, padding=0):
    """The dilated error map, padded, under the rotated kernel; cropped, and zero where nobody has read."""
    (N, K, OH, OW), C = grad_output.shape, weight.shape[1]
    dilated = np.zeros((N, K, stride * (OH - 1) + 1, stride * (OW - 1) + 1))
    dilated[:, :, ::stride, ::stride] = grad_output
    gathered = _repaired(dilated, weight)
    grad = _pad(np.zeros((N, C, *input_size)), padding)
    grad[:, :, : gathered.shape[2], : gathered.shape[3]] = gathered
    return _crop(grad, input_size, padding)


def _input_by_taps(grad_output, weight, input_size, stride=1, padding=0):
    N, _, OH, OW = grad_output.shape
    grad = _pad(np.zeros((N, weight.shape[1], *input_size)), padding)
    for u, v in np.ndindex(weight.shape[2:]):
        rows, columns = np.arange(OH) * stride + u, np.arange(OW) * stride + v
        grad[:, :, rows[:, None], columns] += np.einsum("nmij,mc->ncij", grad_output, weight[:, :, u, v])
    return _crop(grad, input_size, padding)


def _other_weight(change: Callable) -> Callable:
    """The right function with another kernel."""

    def function(grad_output, weight, *args, **kwargs):
        return _grad_input(grad_output, change(weight), *args, **kwargs)

    return function


def _overlapping(overlap: str) -> Callable:
    def function(grad_output, weight, input_size, stride=1, padding=0):
        grad = _scatter(grad_output, weight, input_size, stride, padding, overlap=overlap)
        return _crop(grad, input_size, padding)

    return function


def _cropped_otherwise(crop: Callable) -> Callable:
    """The gradient of the padded picture, then crop(grad, H, W, padding)."""

    def function(grad_output, weight, input_size, stride=1, padding=0):
        return crop(_scatter(grad_output, weight, input_size, stride, padding), *input_size, padding)

    return function


def _stride_forgotten(grad_output, weight, input_size, stride=1, padding=0):
    grad = _scatter(grad_output, weight, input_size, 1, padding)
    return _crop(grad, input_size, padding)


def _unread_left_out(grad_output, weight, input_size, stride=1, padding=0):
    """Only what the windows cover: too small where pixels at the end are unread."""
    (OH, OW), (kh, kw) = grad_output.shape[2:], weight.shape[2:]
    covered = stride * (OH - 1) + kh - padding, stride * (OW - 1) + kw - padding
    grad = _grad_input(grad_output, weight, input_size, stride, padding)
    return grad[:, :, : covered[0], : covered[1]]


def _result(change: Callable) -> Callable:
    """The right gradient, then changed."""
    return lambda *args, **kwargs: change(_grad_input(*args, **kwargs))


grad_input = Task(
    name="ex04.grad_input",
    title="3 · The gradient of the input",
    section="4.7 Two dimensions; 4.10 Stride, padding, dilation, groups",
    reference=_grad_input,
    cases=lambda rng: _layer_cases(rng, 0.5, lambda delta, x, weight: (delta, weight, x.shape[2:])),
    misconceptions={
        "kernel not flipped": Misconception(
            _other_weight(lambda weight: weight[:, :, ::-1, ::-1]),
            "The kernel lies the wrong way around. In the gather view it is rotated by 180 degrees; in the "
            "scatter view it is laid into the window as it is.",
        ),
        "rows flipped only": Misconception(
            _other_weight(lambda weight: weight[:, :, :, ::-1]),
            "The columns of the kernel run the wrong way: 180 degrees turn rows and columns around.",
        ),
        "columns flipped only": Misconception(
            _other_weight(lambda weight: weight[:, :, ::-1]),
            "The rows of the kernel run the wrong way: 180 degrees turn rows and columns around.",
        ),
        "stride's dilation forgotten": Misconception(
            _stride_forgotten,
            "The errors stand next to each other. With a stride, error i belongs to the window that starts "
            "at row i * stride: put stride - 1 zeros between them.",
        ),
        "assigned": Misconception(
            _overlapping("assign"),
            "Where windows overlap, the last one has overwritten the others: += instead of =.",
        ),
        "averaged over the windows": Misconception(
            _overlapping("mean"),
            "You divided by how many windows read a pixel. Their shares add up.",
        ),
        "padding not cropped": Misconception(
            _cropped_otherwise(lambda grad, H, W, p: grad),
            "That is the gradient of the padded picture. Cut the zeros around it off again.",
        ),
        "cropped at the end": Misconception(
            _cropped_otherwise(lambda grad, H, W, p: grad[:, :, :H, :W]),
            "The shape is right, but you cut at the bottom and on the right only: the picture begins "
            "at row `padding`.",
        ),
        "cropped at the start": Misconception(
            _cropped_otherwise(lambda grad, H, W, p: grad[:, :, 2 * p :, 2 * p :]),
            "The shape is right, but you cut at the top and on the left only: `padding` rows belong "
            "to each side.",
        ),
        "cropped to nothing": Misconception(
            _cropped_otherwise(lambda grad, H, W, p: grad[:, :, p:-p, p:-p]),
            "With padding 0, a slice from padding to -padding is empty. End it at padding + H, padding + W.",
        ),
        "unread pixels left out": Misconception(
            _unread_left_out,
            "Some shapes are too small: pixels that no window reads have a gradient as well. It is zero.",
        ),
        "first filter only": Misconception(
            lambda grad_output, weight, *a, **k: _grad_input(grad_output[:, :1], weight[:1], *a, **k),
            "Only filter 0 hands its error back: sum over all filters that read the pixel.",
        ),
        "last filter only": Misconception(
            lambda grad_output, weight, *a, **k: _grad_input(grad_output[:, -1:], weight[-1:], *a, **k),
            "Only the last filter hands its error back: add the filters up with +=.",
        ),
        "averaged over the filters": Misconception(
            lambda grad_output, weight, *a, **k: _grad_input(grad_output, weight / len(weight), *a, **k),
            "You averaged over the filters. A pixel is to blame in every map that it helped to make: sum.",
        ),
        "averaged over the batch": Misconception(
            lambda grad_output, *a, **k: _grad_input(grad_output / len(grad_output), *a, **k),
            "The gradient is divided by the batch size: that factor belongs to the loss, not to the layer.",
        ),
        "batch summed": Misconception(
            _result(lambda grad: np.repeat(grad.sum(axis=0, keepdims=True), len(grad), axis=0)),
            "Every picture got the sum over the batch: pictures share the weights, not their pixels.",
        ),
        "batch summed away": Misconception(
            _result(lambda grad: grad.sum(axis=0)),
            "The batch axis is gone. The gradient has the shape of the input: each picture has its own.",
        ),
        "channels added up": Misconception(
            _result(lambda grad: np.repeat(grad.sum(axis=1, keepdims=True), grad.shape[1], axis=1)),
            "All channels got the same gradient: channel c was read through weight[m, c].",
        ),
        "channels last": Misconception(
            _result(lambda grad: grad.transpose(0, 2, 3, 1)),
            "The numbers are right, in the order (N, H, W, C): return (N, C, H, W).",
        ),
        "rows and columns swapped": Misconception(
            _result(lambda grad: grad.swapaxes(2, 3)),
            "Rows and columns of the result are swapped: return (N, C, H, W).",
        ),
    },
    alternatives={"gather": _input_gathered, "one tap at a time": _input_by_taps},
)


# ---- 4. Find the bug: right for some kernels only --------------------------------------------------------


def _repaired(grad_output, weight):
    kh, kw = weight.shape[2:]
    padded = np.pad(grad_output, ((0, 0), (0, 0), (kh - 1, kh - 1), (kw - 1, kw - 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kh, kw), axis=(2, 3))
    return np.einsum("nmijuv,mcuv->ncij", windows, weight[:, :, ::-1, ::-1])


def _repaired_by_scattering(grad_output, weight):
    (OH, OW), (kh, kw) = grad_output.shape[2:], weight.shape[2:]
    return _grad_input(grad_output, weight, (OH + kh - 1, OW + kw - 1))


def _repaired_without_flip(grad_output, weight):
    """The error map turned, and the result turned back."""
    turned = _bug(grad_output[:, :, ::-1, ::-1], weight)
    return turned[:, :, ::-1, ::-1]


def _bug(grad_output, weight):
    return _repaired(grad_output, weight[:, :, ::-1, ::-1])


def _repair_cases(rng) -> list[Case]:
    one = rng.normal(size=(1, 1, 5, 4)), rng.normal(size=(1, 1, 3, 3))
    square = rng.normal(size=(2, 4, 5, 7)), rng.normal(size=(4, 3, 3, 3))
    oblong = rng.normal(size=(2, 3, 4, 6)), rng.normal(size=(3, 2, 2, 5))
    return [
        Case("one channel, one filter", 0.5, one),
        Case("channels, filters, a batch", 0.5, square),
        Case("a kernel that is not square", 0.5, oblong),
    ]


def _square_only(change: Callable) -> Callable:
    """A wrong change of the kernel that needs square kernels, and raises for others."""

    def function(grad_output, weight):
        changed = change(weight)
        if changed.shape != weight.shape:
            raise ValueError("the kernel has another shape now")
        return _bug(grad_output, changed)

    return function


repaired = Task(
    name="ex04.repaired",
    title="4 · Find the bug: right for some kernels",
    section="4.6 The flip returns; 4.7 Two dimensions",
    reference=_repaired,
    cases=_repair_cases,
    misconceptions={
        "the bug": Misconception(
            _bug,
            "The bug is still there. Draw a kernel that hides it and one that shows it, and turn the page.",
        ),
        "rows only": Misconception(
            lambda grad_output, weight: _bug(grad_output, weight[:, :, ::-1]),
            "You turned the order of the rows around. That of the columns has to turn as well.",
        ),
        "columns only": Misconception(
            lambda grad_output, weight: _bug(grad_output, weight[:, :, :, ::-1]),
            "You turned the order of the columns around. That of the rows has to turn as well.",
        ),
        "all axes flipped": Misconception(
            lambda grad_output, weight: _bug(grad_output, np.flip(weight)),
            "Filters and channels are turned around, too, as np.flip does without an axis. Name axes 2, 3.",
        ),
        "filters flipped": Misconception(
            lambda grad_output, weight: _repaired(grad_output, weight[::-1]),
            "The kernels are turned, but so is the order of the filters: map m goes back through filter m.",
        ),
        "channels flipped": Misconception(
            lambda grad_output, weight: _repaired(grad_output, weight[:, ::-1]),
            "The kernels are turned, but so is the order of the channels: leave axis 1 alone.",
        ),
        "first axes flipped": Misconception(
            lambda grad_output, weight: _bug(grad_output, weight[::-1, ::-1]),
            "weight[::-1, ::-1] turns filters and channels around. Rows and columns are the last two axes.",
        ),
        "transposed": Misconception(
            _square_only(lambda weight: weight.swapaxes(2, 3)),
            "You swapped rows and columns of the kernel. It is to be turned by 180 degrees.",
        ),
        "a quarter turn": Misconception(
            _square_only(lambda weight: np.rot90(weight, 1, axes=(2, 3))),
            "You turned the kernel by 90 degrees. Two quarter turns are needed.",
        ),
        "error map turned": Misconception(
            lambda grad_output, weight: _bug(grad_output[:, :, ::-1, ::-1], weight),
            "You turned the error map instead of the kernel: now the gradient itself is upside down.",
        ),
        "both turned": Misconception(
            lambda grad_output, weight: _repaired(grad_output[:, :, ::-1, ::-1], weight),
            "Kernel and error map are both turned: only the kernel is.",
        ),
        "sign changed": Misconception(
            lambda grad_output, weight: _bug(grad_output, -weight),
            "A minus sign helps kernels that change sign under a half turn, such as Sobel, and no others.",
        ),
    },
    alternatives={"scatter": _repaired_by_scattering, "turn and turn back": _repaired_without_flip},
)


# ---- 5. The best step ------------------------------------------------------------------------------------

# Measured on exp at 1001 points from 0 to 3, the mean relative error of its derivative, h = 10^-1 ... 10^-12.
_MEASURED = {"one-sided": -8, "central": -5, "float32": -2, "kink": (2e-6 + 1e-5) / 2e-5, "rule": "c"}


def _measured_with(**wrong) -> Callable:
    """The right conclusions, but for those given (underscores stand for hyphens)."""
    values = _MEASURED | {key.replace("_", "-"): value for key, value in wrong.items()}
    return lambda key: values[key]


steps = Task(
    name="ex04.steps",
    title="5 · Experiment: the best step",
    section="4.12 Checking a gradient",
    reference=_MEASURED.__getitem__,
    cases=lambda rng: [
        Case("one-sided, float64", 0.3, ("one-sided",)),
        Case("central, float64", 0.3, ("central",)),
        Case("central, float32", 0.3, ("float32",)),
        Case("close to a kink", 0.3, ("kink",)),
        Case("a loss that is a straight line", 0.3, ("rule",)),
    ],
    misconceptions={
        "steps instead of exponents": Misconception(
            _measured_with(one_sided=1e-8, central=1e-5, float32=1e-2),
            "That is the step. The exponent of ten was asked for, a whole number.",
        ),
        "sign of the exponent": Misconception(
            _measured_with(one_sided=8, central=5, float32=2),
            "Ten to that power is a very large step. Steps below 1 have a negative exponent.",
        ),
        "smallest step": Misconception(
            _measured_with(one_sided=-12, central=-12, float32=-12),
            "The smallest step of the list is not the best: look at the error there, and at the next ones.",
        ),
        "largest step": Misconception(
            _measured_with(one_sided=-1, central=-1, float32=-1),
            "The largest step of the list is not the best: exp is curved, and a large step shows it.",
        ),
        "one-sided as central": Misconception(
            _measured_with(one_sided=-5),
            "That is the best step for central differences. The one-sided error shrinks with h, not with its "
            "square, and so it pays to go further down.",
        ),
        "central as one-sided": Misconception(
            _measured_with(central=-8),
            "At that step rounding already rules: it is the best one for one-sided differences.",
        ),
        "float32 not used": Misconception(
            _measured_with(float32=-5),
            "That is the result for float64. Are the points and the step both in float32? A float64 in the "
            "formula lifts everything to float64.",
        ),
        "float32 one-sided": Misconception(
            _measured_with(float32=-4),
            "That step suits a one-sided difference in float32. Take the central one.",
        ),
        "a step too small": Misconception(
            _measured_with(one_sided=-9, central=-6, float32=-3),
            "Close, but at that step rounding already rules. Compare the errors at its neighbors.",
        ),
        "a step too large": Misconception(
            _measured_with(one_sided=-7, central=-4),
            "Close, but at that step the Taylor error still rules. Compare the errors at its neighbors.",
        ),
        "the absolute value": Misconception(
            _measured_with(kink=0.2),
            "That is the slope of the absolute value, as in the chapter. To the left of 0, ReLU is 0.",
        ),
        "the right slope": Misconception(
            _measured_with(kink=1),
            "That is the true derivative to the right of 0. Which value does the central difference give?",
        ),
        "the left slope": Misconception(
            _measured_with(kink=0),
            "The point lies to the right of 0, and one of the two points of the difference does as well.",
        ),
        "halfway": Misconception(
            _measured_with(kink=0.5),
            "One half comes out exactly at the kink. This point lies a little to the right of it.",
        ),
        "divided by h": Misconception(
            _measured_with(kink=(2e-6 + 1e-5) / 1e-5),
            "The two points of a central difference are 2 h apart.",
        ),
        "rule a": Misconception(
            _measured_with(rule="a"),
            "Measure it: with a tiny step, the two losses differ in their last digits only.",
        ),
        "rule b": Misconception(
            _measured_with(rule="b"),
            "That holds where a curved loss balances rounding. Is this loss curved in any weight?",
        ),
        "rule d": Misconception(
            _measured_with(rule="d"),
            "The Taylor error is zero for every step. The rounding error is not: it is divided by the step.",
        ),
    },
    rtol=1e-3,
    atol=1e-6,
)


TASKS = (by_hand, grad_parameters, grad_input, repaired, steps)
