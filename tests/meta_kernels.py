"""Batch normalization on the device "meta", where tensors have shapes and no numbers, without PyTorch's detour.

Half of the tests of networks run there. PyTorch finds the shapes of a batch normalization by going through its
formula, operation by operation, which takes longer than the rest of a network. Here they are written down;
`tests/test_meta_kernels.py` holds them against the layer on the CPU.
"""

import functools

import torch


def batch_norm(x, weight, bias, mean, variance, training, momentum, eps):
    """The normalized maps, and what the backward pass keeps of the batch."""
    for tensor in (weight, bias, mean, variance):
        if tensor is not None and (tensor.device != x.device or tensor.shape != x.shape[1:2]):
            raise RuntimeError(
                f"batch normalization of {tuple(x.shape)} on {x.device}: got {tuple(tensor.shape)} "
                f"on {tensor.device}, expected {tuple(x.shape[1:2])}"
            )
    return torch.empty_like(x), x.new_empty(x.shape[1]), x.new_empty(x.shape[1])


def batch_norm_backward(grad, x, weight, mean, variance, kept_mean, kept_scale, training, eps, wanted):
    """Gradients for the maps, the scales, the shifts: those that are wanted."""
    maps, scales, shifts = wanted
    per_channel = functools.partial(x.new_empty, x.shape[1])
    return (
        torch.empty_like(x) if maps else None,
        per_channel() if scales else None,
        per_channel() if shifts else None,
    )


@functools.cache
def install() -> torch.library.Library:
    """Put them in place of PyTorch's, in this process. What is returned must live as long as they shall be used."""
    library = torch.library.Library("aten", "IMPL")
    library.impl("native_batch_norm", batch_norm, "Meta")
    library.impl("native_batch_norm_backward", batch_norm_backward, "Meta")
    return library
