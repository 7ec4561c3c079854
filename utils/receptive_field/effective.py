"""Measured with gradients: the region they reach, how strongly each pixel acts, and the bell that fits."""

from __future__ import annotations

import contextlib
import copy
import difflib
import functools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from utils.receptive_field.axes import spread
from utils.receptive_field.fields import Region


def measured(
    model: nn.Module,
    input_size: Sequence[int] = (1, 3, 224, 224),
    layer: str | None = None,
    unit: Sequence[int] | None = None,
) -> Region | None:
    """The rectangle of input pixels that a unit's back-propagated gradient reaches.

    layer       path of a module; the network's output if left out
    unit        (row, column) of the unit; the center one if left out

    A gradient says which pixels a unit depends on, if nothing cancels and nothing is switched off by chance.
    So the run takes a copy of the model in double precision, with every weight replaced by a positive random
    number, rectifiers by the identity, and maximum pooling by the mean over its window. `model` is left as
    it was. Returns a `Region`, or None where no pixel reaches the unit. Raises ValueError for an unknown
    layer, a unit outside the layer's map, or an input without two axes.
    """
    size = _two_axes(input_size)
    generator = torch.Generator().manual_seed(0)
    positive = _positive(model, generator)
    x = torch.rand(size, generator=generator, dtype=torch.float64) + 0.5
    rng = np.random.default_rng(0)
    with _Smooth():
        gradient = _gradient(positive, x.requires_grad_(), layer, unit, lambda shape: 1 + rng.random(shape))
    reached = (gradient != 0).any(dim=0).any(dim=0)
    rows, columns = reached.any(dim=1).nonzero().flatten(), reached.any(dim=0).nonzero().flatten()
    if len(rows) == 0:
        return None
    return Region(int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1]))


def effective(
    model: nn.Module,
    input_size: Sequence[int] = (1, 3, 224, 224),
    layer: str | None = None,
    unit: Sequence[int] | None = None,
    samples: int = 16,
    rng: np.random.Generator | None = None,
    images: Tensor | None = None,
) -> np.ndarray:
    """How strongly each input pixel acts on a unit: the mean squared gradient, as shares that sum to 1.

    model       as it is: its own weights, in evaluation mode, on the device and in the dtype of its weights
    layer, unit as in `measured`
    samples     how many inputs the mean runs over, drawn from a normal distribution
    rng         draws the inputs and signs; a fresh generator with seed 0 if left out
    images      inputs to use instead, shape (samples, C, H, W); they set the size

    For each input, the unit's channels are added with random signs and the sum is differentiated with respect
    to the pixels; the squares are summed over the input channels. On average this is the sum over all pairs
    of channels of the squared derivative (after Luo et al. 2016). Returns shape (H, W), float64.
    """
    if images is None:
        size = _two_axes(input_size)
        if not isinstance(samples, int) or samples < 1:
            raise ValueError(f"samples: expected a whole number of at least 1, got {samples!r}")
    elif images.ndim != 4 or len(images) == 0:
        raise ValueError(f"images: expected shape (samples, C, H, W), got {tuple(images.shape)}")
    rng = np.random.default_rng(0) if rng is None else rng
    signs = functools.partial(rng.choice, (-1.0, 1.0))
    like = next(model.parameters(), torch.zeros(()))
    total = 0.0
    with _evaluating(model):
        for i in range(samples if images is None else len(images)):
            x = torch.from_numpy(rng.normal(size=(1, *size[1:]))) if images is None else images[i : i + 1]
            x = x.detach().to(like.device, like.dtype).requires_grad_()
            gradient = _gradient(model, x, layer, unit, signs)
            total = total + gradient.double().square().sum(dim=(0, 1)).cpu().numpy()
    if not total.sum() > 0:
        raise ValueError(f"layer: no gradient of {layer or 'the output'!r} reaches the input at this unit")
    return total / total.sum()


def _two_axes(input_size: Sequence[int]) -> tuple[int, ...]:
    size = tuple(input_size)
    if len(size) != 4 or not all(isinstance(n, int) and n >= 1 for n in size):
        raise ValueError(f"input_size: expected (N, C, H, W), got {input_size!r}")
    return size


def _gradient(
    model: nn.Module,
    x: Tensor,
    layer: str | None,
    unit: Sequence[int] | None,
    weigh: Callable[[Sequence[int]], np.ndarray],
) -> Tensor:
    """Gradient of one unit with respect to the input; `weigh` draws weights for its channels."""
    found: list[Tensor] = []
    handle = _module(model, layer).register_forward_hook(lambda m, given, made: found.append(made))
    try:
        with torch.enable_grad():
            model(x)
            made = found[-1] if found else None
            if not isinstance(made, Tensor):
                raise ValueError(f"layer: {layer!r} did not run, or returns no single tensor")
            values = made[0][(slice(None), *_center(made, unit))]  # (channels,)
            signs = torch.from_numpy(weigh(values.shape)).to(values)
            (gradient,) = torch.autograd.grad((values * signs).sum(), x, allow_unused=True)
    finally:
        handle.remove()
    return torch.zeros_like(x) if gradient is None else gradient


def _module(model: nn.Module, layer: str | None) -> nn.Module:
    """The module of this path; names that are close if there is none."""
    modules = dict(model.named_modules())
    if layer is None or layer in modules:
        return modules[layer or ""]
    close = difflib.get_close_matches(str(layer), [n for n in modules if n], n=4, cutoff=0.4)
    hint = f"; close names: {', '.join(map(repr, close))}" if close else ""
    raise ValueError(f"layer: {type(model).__name__} has no module called {layer!r}{hint}")


def _center(made: Tensor, unit: Sequence[int] | None) -> tuple[int, ...]:
    """The position asked for in the map of a layer, or its center; () for a layer without positions."""
    shape = tuple(made.shape[2:])
    if unit is None:
        return tuple(n // 2 for n in shape)
    if len(unit) != len(shape) or not all(0 <= i < n for i, n in zip(unit, shape, strict=True)):
        raise ValueError(f"unit: expected a position in a map of {shape} units, got {tuple(unit)}")
    return tuple(unit)


@contextlib.contextmanager
def _evaluating(model: nn.Module):
    """Evaluation mode; afterwards each module is back in the mode it had."""
    modes = {module: module.training for module in model.modules()}
    try:
        yield model.eval()
    finally:
        for module, mode in modes.items():
            module.training = mode


def _positive(model: nn.Module, generator: torch.Generator) -> nn.Module:
    """A copy whose weights are all positive and small, so that no gradient cancels, vanishes or explodes."""
    meta = any(tensor.is_meta for tensor in model.parameters())
    twin = copy.deepcopy(model)
    twin = (twin.to_empty(device="cpu") if meta else twin.cpu()).double().eval()
    with torch.no_grad():
        for tensor in twin.parameters():
            fan_in = tensor[0].numel() if tensor.ndim > 1 else 1
            tensor.copy_((torch.rand(tensor.shape, generator=generator) + 0.5) / fan_in)
        for module in twin.modules():
            if isinstance(module, nn.modules.batchnorm._NormBase) and module.running_var is not None:
                module.reset_running_stats()
    return twin


class _Smooth(TorchFunctionMode):
    """Rectifiers become the identity, maximum pooling the mean: what can switch off cannot hide a path."""

    RECTIFIERS = ("relu", "relu_", "relu6", "hardtanh", "hardtanh_", "hardswish", "hardsigmoid", "threshold")

    def __torch_function__(self, func, types, args=(), kwargs=None):
        name, kwargs = getattr(func, "__name__", ""), kwargs or {}
        if name in self.RECTIFIERS:
            return args[0]
        made = func(*args, **kwargs)
        if name == "max_pool2d" and isinstance(made, Tensor):
            return _mean_pool(made.shape[-2:], *args, **kwargs)
        return made


def _mean_pool(output, x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, **_) -> Tensor:
    """The mean over the windows of a maximum pooling, zeros beyond the edge."""
    k = spread(kernel_size, 2)
    s, p, d = spread(stride or k, 2), spread(padding, 2), spread(dilation, 2)
    behind = [(output[a] - 1) * s[a] + d[a] * (k[a] - 1) + 1 - x.shape[-2 + a] - p[a] for a in range(2)]
    x = nn.functional.pad(x, (p[1], behind[1], p[0], behind[0]))  # negative: not read by any window
    weight = torch.full((x.shape[-3], 1, *k), 1 / math.prod(k), dtype=x.dtype)
    return nn.functional.conv2d(x, weight, stride=s, dilation=d, groups=x.shape[-3])


class Gaussian(NamedTuple):
    """height · exp(-(y - center y)² / (2 sigma_y²) - (x - center x)² / (2 sigma_x²)), in pixels.

    explained   the share of the map's variance that the bell accounts for (R²)
    """

    sigma_y: float
    sigma_x: float
    center: tuple[float, float]
    height: float
    explained: float

    def map(self, shape: Sequence[int]) -> np.ndarray:
        """The bell on a grid of this shape (H, W)."""
        return _bell(np.array([self.height, *self.center, self.sigma_y, self.sigma_x]), shape)[0]


def fit_gaussian(map: np.ndarray, steps: int = 100) -> Gaussian:
    """The bell with the least squared distance from a map, by the Levenberg-Marquardt method.

    map     shape (H, W), finite, nowhere negative and not flat: for instance a result of `effective`

    Raises ValueError for any other map.
    """
    map = np.asarray(map, dtype=float)
    if map.ndim != 2 or not np.isfinite(map).all() or map.min() < 0 or np.ptp(map) == 0:
        raise ValueError(f"map: expected (H, W) finite values >= 0 that differ, got shape {map.shape}")
    parameters, damping = _moments(map), 1e-3
    bell, slopes = _bell(parameters, map.shape)
    error = ((map - bell) ** 2).sum()
    for _ in range(steps):
        J, residual = slopes.reshape(5, -1), (map - bell).ravel()  # (5, H·W)
        normal = J @ J.T
        move = np.linalg.lstsq(normal + damping * np.diag(np.diag(normal)), J @ residual, rcond=None)[0]
        trial = parameters + move
        trial[3:] = np.abs(trial[3:])
        bell_there, slopes_there = _bell(trial, map.shape)
        error_there = ((map - bell_there) ** 2).sum()
        if error_there >= error:
            damping *= 10
            continue
        done = error - error_there < 1e-12 * error
        parameters, bell, slopes, error = trial, bell_there, slopes_there, error_there
        damping /= 10
        if done:
            break
    height, y, x, sigma_y, sigma_x = parameters.tolist()
    explained = 1 - error / ((map - map.mean()) ** 2).sum()
    return Gaussian(sigma_y, sigma_x, (y, x), height, float(explained))


def _moments(map: np.ndarray) -> np.ndarray:
    """Height, center and standard deviations of the map itself: where the fit begins."""
    total, (y, x) = map.sum(), np.indices(map.shape)
    center = (map * y).sum() / total, (map * x).sum() / total
    spread = [math.sqrt((map * (a - c) ** 2).sum() / total) for a, c in zip((y, x), center, strict=True)]
    return np.array([map.max(), *center, *(max(s, 0.3) for s in spread)])


def _bell(parameters: np.ndarray, shape: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """The bell, shape (H, W), and its derivatives by height, center and widths, shape (5, H, W)."""
    height, cy, cx, sy, sx = parameters
    y, x = np.indices(shape)
    sy, sx = max(sy, 1e-3), max(sx, 1e-3)
    unit = np.exp(-((y - cy) ** 2) / (2 * sy**2) - (x - cx) ** 2 / (2 * sx**2))
    bell = height * unit
    by = [unit, bell * (y - cy) / sy**2, bell * (x - cx) / sx**2]
    return bell, np.array([*by, bell * (y - cy) ** 2 / sy**3, bell * (x - cx) ** 2 / sx**3])
