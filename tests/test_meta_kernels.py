"""Shapes of batch normalization on the device "meta", as the tests use them, against the layer on the CPU."""

import pytest
import torch
from torch import nn

from tests import meta_kernels

CASES = {  # layer, size of its input
    "maps": (lambda: nn.BatchNorm2d(5), (3, 5, 4, 6)),
    "columns": (lambda: nn.BatchNorm1d(5), (7, 5)),
    "signals": (lambda: nn.BatchNorm1d(5), (3, 5, 9)),
    "volumes": (lambda: nn.BatchNorm3d(2), (2, 2, 3, 4, 5)),
    "without scales": (lambda: nn.BatchNorm2d(5, affine=False), (3, 5, 4, 6)),
    "without averages": (lambda: nn.BatchNorm2d(5, track_running_stats=False), (3, 5, 4, 6)),
}


def facts(tensor):
    return tensor if tensor is None else (tuple(tensor.shape), tensor.dtype, tensor.stride())


def run(make, size, device, training, dtype):
    """What the layer gives, what autograd keeps for the backward pass, and the gradients."""
    kept = []
    layer = make().to(device=device, dtype=dtype).train(training)
    x = torch.ones(size, device=device, dtype=dtype, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(facts(t)) or t, lambda t: t):
        y = layer(x)
    y.sum().backward()
    return facts(y), kept, [facts(t.grad) for t in (x, *layer.parameters())]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shapes_on_meta_are_those_of_the_layer(name, training, dtype):
    meta_kernels.install()
    ours, layers = (run(*CASES[name], device, training, dtype) for device in ("meta", "cpu"))
    assert (ours[0], ours[2]) == (layers[0], layers[2])
    assert not training or ours[1] == layers[1]  # in use, the CPU alone keeps nothing of the batch


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("size", [(3, 5, 4, 6), (7, 5), (2, 5, 3, 4, 5)])
def test_shapes_are_those_that_pytorch_finds(size, training):
    theirs = torch._decomp.decomposition_table[torch.ops.aten.native_batch_norm.default]
    arguments = [torch.empty(size, device="meta"), *(torch.empty(5, device="meta") for _ in range(4))]
    results = [f(*arguments, training, 0.1, 1e-5) for f in (meta_kernels.batch_norm, theirs)]
    assert [facts(tensor) for tensor in results[0]] == [facts(tensor) for tensor in results[1]]


def test_they_are_in_use():
    """And refuse what the layer refuses: tensors on two devices."""
    meta_kernels.install()
    layer = nn.BatchNorm2d(5).eval()
    with pytest.raises(RuntimeError, match=r"on meta: got \(5,\) on cpu, expected \(5,\)"):
        layer(torch.empty(3, 5, 4, 6, device="meta"))
