"""Losses: one number that says how wrong a batch of predictions is, and its gradient.

Both are means over the batch, so that the size of the gradient does not depend on the batch size.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from utils.functional.activations import log_softmax, softmax
from utils.functional.arrays import as_array

__all__ = ["cross_entropy", "cross_entropy_backward", "squared_error", "squared_error_backward"]


def cross_entropy(logits: ArrayLike, labels: ArrayLike, label_smoothing: float = 0.0) -> float:
    """The mean of -log p(right class) over the batch, with p = softmax(logits): chapter 6, (6.5).

    logits      (N, classes) scores, any real numbers
    labels      (N,) integers, the right classes; or (N, classes) floats, the probabilities that the network
                should give, which add up to 1 in each row
    label_smoothing    e in [0, 1]: the target is 1 - e times what the labels say, plus e / classes on every
                class: chapter 10, (10.11)

    Computed with `log_softmax`, which neither overflows nor takes the logarithm of 0. Raises ValueError for
    labels out of range, shapes that do not match, and an empty batch. Same as
    `torch.nn.functional.cross_entropy`.
    """
    logits, target = _read_classes(logits, labels, label_smoothing)
    return float(-(target * log_softmax(logits)).sum() / len(logits))


def cross_entropy_backward(
    grad_output: float, logits: ArrayLike, labels: ArrayLike, label_smoothing: float = 0.0
) -> np.ndarray:
    """The gradient of `cross_entropy` at the logits: grad_output (p - target) / N. (N, classes).

    Chapter 6, (6.6). Softmax and logarithm together leave what the network says minus what it should say. The
    gradient is never flat where the network is wrong. grad_output is the gradient at the loss, 1 where the
    loss is the end.
    """
    logits, target = _read_classes(logits, labels, label_smoothing)
    return (softmax(logits) - target) * logits.dtype.type(grad_output / len(logits))


def squared_error(prediction: ArrayLike, target: ArrayLike) -> float:
    """Half the squared distance, 1/2 |prediction - target|^2, meaned over the batch.

    prediction and target have the same shape (N, ...). With one number a sample it is the loss of
    chapter 4, (4.24). PyTorch's `mse_loss` has no 1/2 and divides by the number of all entries. Raises
    ValueError for different shapes and an empty batch.
    """
    prediction, target = _read_targets(prediction, target)
    return float(((prediction - target) ** 2).sum() / (2 * len(prediction)))


def squared_error_backward(grad_output: float, prediction: ArrayLike, target: ArrayLike) -> np.ndarray:
    """The gradient of `squared_error` at the prediction: grad_output (prediction - target) / N. Its shape.

    The delta of chapter 4, (4.24).
    """
    prediction, target = _read_targets(prediction, target)
    return (prediction - target) * prediction.dtype.type(grad_output / len(prediction))


def _read_classes(logits, labels, label_smoothing):
    """The logits, and the probabilities that they should lead to, in the same dtype."""
    logits, labels = as_array(logits, "logits", "(N, classes)"), np.asarray(labels)
    logits = logits if logits.dtype.kind == "f" else logits.astype(np.float64)
    if not logits.size:
        raise ValueError(f"logits must hold at least one row and class, got shape {logits.shape}")
    N, classes = logits.shape
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing must be from 0 to 1, got {label_smoothing}")
    if labels.dtype.kind == "f" and labels.ndim == 2:
        return logits, _read_probabilities(labels, logits, label_smoothing)
    if labels.shape != (N,) or labels.dtype.kind not in "iu":
        raise ValueError(f"labels must be {N} integers, one a row, got {labels.dtype} {labels.shape}")
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"labels must be from 0 to {classes - 1}, got values from {labels.min()} to {labels.max()}"
        )
    target = np.full((N, classes), label_smoothing / classes, logits.dtype)
    target[np.arange(N), labels] += 1 - label_smoothing
    return logits, target


def _read_probabilities(labels, logits, label_smoothing):
    if labels.shape != logits.shape:
        raise ValueError(f"labels must be {logits.shape} probabilities, as the logits, got {labels.shape}")
    if not (labels.min() >= 0 and np.allclose(labels.sum(1), 1, atol=1e-3)):
        raise ValueError("labels must be probabilities that add up to 1 in each row, got others")
    return ((1 - label_smoothing) * labels + label_smoothing / logits.shape[1]).astype(logits.dtype)


def _read_targets(prediction, target):
    prediction, target = as_array(prediction, "prediction"), as_array(target, "target")
    if prediction.shape != target.shape:
        raise ValueError(f"target must have the shape of prediction, {prediction.shape}, got {target.shape}")
    if not prediction.size:
        raise ValueError(f"prediction must hold at least one row, got shape {prediction.shape}")
    dtype = np.result_type(prediction, target)
    dtype = dtype if dtype.kind == "f" else np.float64
    return prediction.astype(dtype, copy=False), target.astype(dtype, copy=False)
