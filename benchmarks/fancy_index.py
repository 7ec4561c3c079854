"""Convolution and pooling as many course assignments write them, to compare with: im2col by fancy indexing.

Three index arrays say which channel, row and column each entry of the columns comes from. The forward
gathers all columns of the batch at once, the backward scatters with `np.add.at`. It is short, it is right,
and it shows what memory costs: every pixel is copied kh kw times, one number at a time.
"""

import numpy as np


def indices(x_shape, kernel_size, stride, padding):
    """(channel, row, column) arrays of shapes (C kh kw, 1), (C kh kw, OH OW), (C kh kw, OH OW)."""
    _, C, H, W = x_shape
    kh, kw = kernel_size
    OH, OW = (H + 2 * padding - kh) // stride + 1, (W + 2 * padding - kw) // stride + 1
    channel, i, j = (a.reshape(-1, 1) for a in np.indices((C, kh, kw)))
    r, q = (a.reshape(1, -1) for a in np.indices((OH, OW)))
    return channel, i + stride * r, j + stride * q


def columns(x, kernel_size, stride=1, padding=0):
    """(C kh kw, OH OW N): the windows of all pictures as columns."""
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    channel, row, column = indices((*x.shape[:2], *x.shape[2:]), kernel_size, stride, 0)
    gathered = x[:, channel, row, column]  # (N, C kh kw, OH OW)
    return gathered.transpose(1, 2, 0).reshape(gathered.shape[1], -1)


def conv2d(x, weight, bias, stride=1, padding=0):
    """The layer, (N, K, OH, OW)."""
    (N, _, H, W), (K, _, kh, kw) = x.shape, weight.shape
    OH, OW = (H + 2 * padding - kh) // stride + 1, (W + 2 * padding - kw) // stride + 1
    y = weight.reshape(K, -1) @ columns(x, (kh, kw), stride, padding) + bias[:, None]
    return y.reshape(K, OH, OW, N).transpose(3, 0, 1, 2)


def grad_weight(delta, x, kernel_size, stride=1, padding=0):
    """The gradient at the weight, (K, C, kh, kw)."""
    K = delta.shape[1]
    rows = delta.transpose(1, 2, 3, 0).reshape(K, -1)
    return (rows @ columns(x, kernel_size, stride, padding).T).reshape(K, x.shape[1], *kernel_size)


def grad_input(delta, weight, input_size, stride=1, padding=0):
    """The gradient at the input, (N, C, H, W)."""
    (N, K, OH, OW), (_, C, kh, kw), (H, W) = delta.shape, weight.shape, input_size
    spread = weight.reshape(K, -1).T @ delta.transpose(1, 2, 3, 0).reshape(K, -1)
    spread = spread.reshape(C * kh * kw, OH * OW, N).transpose(2, 0, 1)
    padded = np.zeros((N, C, H + 2 * padding, W + 2 * padding), delta.dtype)
    np.add.at(padded, (slice(None), *indices(padded.shape, (kh, kw), stride, 0)), spread)
    return padded[:, :, padding : padding + H, padding : padding + W]


def max_pool2d(x, size):
    """Max pooling with windows of size × size that do not overlap: ((N, C, OH, OW), where the maxima lie)."""
    (N, C, H, W), OH, OW = x.shape, x.shape[2] // size, x.shape[3] // size
    seen = columns(x.reshape(N * C, 1, H, W), (size, size), size)  # (size², OH OW N C)
    where = seen.argmax(0)
    y = seen[where, np.arange(len(where))]
    return y.reshape(OH, OW, N, C).transpose(2, 3, 0, 1), where


def max_pool2d_backward(delta, where, input_size, size):
    """The gradient at the input of `max_pool2d`, (N, C, H, W): delta at the maxima, 0 elsewhere."""
    (N, C, OH, OW), (H, W) = delta.shape, input_size
    spread = np.zeros((size * size, len(where)), delta.dtype)
    spread[where, np.arange(len(where))] = delta.transpose(2, 3, 0, 1).ravel()
    spread = spread.reshape(size * size, OH * OW, N * C).transpose(2, 0, 1)
    grad = np.zeros((N * C, 1, H, W), delta.dtype)
    np.add.at(grad, (slice(None), *indices(grad.shape, (size, size), size, 0)), spread)
    return grad.reshape(N, C, H, W)
