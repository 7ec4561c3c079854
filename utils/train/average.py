"""A moving average of the weights: often better than the last weights, at the cost of one more copy."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

__all__ = ["Average"]


class Average:
    """The moving average of all weights and running statistics of a model: `average.model`.

    After each step: average ← d average + (1 - d) now, with d = decay, and at first less: t / (t + 1) after
    t + 1 steps, the plain mean of what there was so far. Integers (the counters of batch normalization) are
    copied. Source: B. Polyak, A. Juditsky, "Acceleration of stochastic approximation by averaging", 1992.
    """

    def __init__(self, model: nn.Module, decay: float):
        self.model, self.decay, self.steps = copy.deepcopy(model).requires_grad_(False).eval(), decay, 0
        pairs = list(zip(tensors(self.model), tensors(model), strict=True))
        self._floats = [pair for pair in pairs if pair[0].is_floating_point()]
        self._others = [pair for pair in pairs if not pair[0].is_floating_point()]

    @torch.no_grad()
    def update(self) -> None:
        """Take in what the model is now."""
        decay = min(self.decay, self.steps / (self.steps + 1))
        averages, now = zip(*self._floats, strict=True)
        torch._foreach_lerp_(averages, now, 1 - decay)  # one kernel for many tensors
        for average, value in self._others:
            average.copy_(value)
        self.steps += 1


def tensors(model: nn.Module) -> list[Tensor]:
    """All parameters and buffers, in the same order for equal models."""
    return [*model.parameters(), *model.buffers()]
