"""Optimizers: what one step does to a parameter, given its gradient. And schedules for the learning rate.

    SGD      g += weight_decay w;  v = momentum v + g;  w -= lr v
             Nesterov: w -= lr (g + momentum v)
    Adam     g += weight_decay w;  m = beta1 m + (1 - beta1) g;  s = beta2 s + (1 - beta2) g^2
             w -= lr (m / (1 - beta1^t)) / (sqrt(s / (1 - beta2^t)) + eps)
    AdamW    w -= lr weight_decay w, then as Adam without the decay in g

They are chapter 6, (6.9) without and (6.10) with momentum, (6.11) for weight decay, (6.12) for Adam.
The updates are those of `torch.optim`, step by step. Parameters are objects with the arrays `value` and
`grad`, as those of `utils.layers`; they are changed in place. A parameter whose grad is None is left alone.

A schedule is a function of the step (from 0) and the number of steps, and returns the learning rate:

    schedule = one_cycle(4e-3)
    optimizer.lr = schedule(step, total_steps)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "Schedule", "constant", "cosine", "one_cycle", "step_decay"]

Schedule = Callable[[int, int], float]


class Optimizer:
    """The common part: the parameters, the learning rate `lr`, the number of steps done, saving and loading.

    A subclass says in `update` what a step does, and keeps what it remembers of each parameter in `memory`, a
    dict of names to arrays.
    """

    def __init__(self, parameters: Iterable, lr: float, weight_decay: float = 0.0):
        self.parameters = list(parameters)
        if not self.parameters:
            raise ValueError("parameters must hold at least one parameter, got none")
        _check_range("lr", lr, 0, math.inf)
        _check_range("weight_decay", weight_decay, 0, math.inf)
        self.lr, self.weight_decay, self.steps = lr, weight_decay, 0
        self.memory: list[dict[str, np.ndarray]] = [{} for _ in self.parameters]

    def update(self, value: np.ndarray, grad: np.ndarray, memory: dict[str, np.ndarray]) -> None:
        """Change `value` in place; `memory` is this parameter's own."""
        raise NotImplementedError

    def step(self) -> None:
        """One step of all parameters along their gradients."""
        self.steps += 1
        for parameter, memory in zip(self.parameters, self.memory, strict=True):
            if parameter.grad is not None:
                self.update(parameter.value, parameter.grad, memory)

    def zero_grad(self) -> None:
        """Forget the gradients, before those of the next batch are collected."""
        for parameter in self.parameters:
            parameter.grad = None

    def state_dict(self) -> dict[str, np.ndarray]:
        """All that a later step depends on, as arrays: "steps", "lr", and "0.momentum", "1.momentum", ..."""
        state = {
            f"{i}.{name}": a.copy() for i, memory in enumerate(self.memory) for name, a in memory.items()
        }
        return {"steps": np.array(self.steps), "lr": np.array(self.lr), **state}

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """Go on from what `state_dict` returned. Raises ValueError when it does not fit the parameters."""
        memory: list[dict[str, np.ndarray]] = [{} for _ in self.parameters]
        for key, array in state.items():
            if key in ("steps", "lr"):
                continue
            number, name = key.split(".", 1)
            shape = self.parameters[int(number)].value.shape if int(number) < len(memory) else None
            if np.shape(array) != shape:
                raise ValueError(
                    f"state must fit the parameters: {key} is {np.shape(array)}, expected {shape}"
                )
            memory[int(number)][name] = np.array(array)
        self.memory, self.steps, self.lr = memory, int(state["steps"]), float(state["lr"])


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum, Nesterov's look ahead and weight decay if wanted.

    Chapter 6, (6.9), (6.10), (6.11).

    lr, momentum, weight_decay, nesterov    as in `torch.optim.SGD`. Raises ValueError for numbers out of
    range.

    Sources: B. Polyak, "Some methods of speeding up the convergence of iteration methods", 1964; I.
    Sutskever et al., "On the importance of initialization and momentum in deep learning", 2013.
    """

    def __init__(
        self,
        parameters: Iterable,
        lr: float = 0.01,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ):
        super().__init__(parameters, lr, weight_decay)
        _check_range("momentum", momentum, 0, 1)
        if nesterov and not momentum:
            raise ValueError("momentum must be above 0 with nesterov, got 0")
        self.momentum, self.nesterov = momentum, nesterov

    def update(self, value, grad, memory):
        if self.weight_decay:
            grad = grad + self.weight_decay * value
        if self.momentum:
            velocity = memory.get("momentum")
            velocity = grad.copy() if velocity is None else self.momentum * velocity + grad
            memory["momentum"] = velocity
            grad = grad + self.momentum * velocity if self.nesterov else velocity
        value -= self.lr * grad


class Adam(Optimizer):
    """Adam: every weight has its own step size, by the mean and the mean square of its recent gradients.

    Chapter 6, (6.12).

    lr, betas, eps, weight_decay    as in `torch.optim.Adam`. Raises ValueError for numbers out of range.

    Source: D. Kingma, J. Ba, "Adam: a method for stochastic optimization", 2015, arXiv:1412.6980, algorithm
    1.
    """

    decoupled = False  # weight decay goes through the gradient

    def __init__(
        self,
        parameters: Iterable,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ):
        super().__init__(parameters, lr, weight_decay)
        for name, beta in zip(("betas[0]", "betas[1]"), betas, strict=True):
            _check_range(name, beta, 0, 1)
        self.betas, self.eps = betas, eps

    def update(self, value, grad, memory):
        if self.weight_decay and self.decoupled:
            value *= 1 - self.lr * self.weight_decay
        elif self.weight_decay:
            grad = grad + self.weight_decay * value
        beta1, beta2 = self.betas
        if not memory:
            memory |= {"mean": np.zeros_like(value), "square": np.zeros_like(value)}
        mean, square = memory["mean"], memory["square"]
        mean += (1 - beta1) * (grad - mean)
        square += (1 - beta2) * (grad * grad - square)
        size = self.lr / (1 - beta1**self.steps)  # at first the averages are too small, they began at 0
        value -= size * mean / (np.sqrt(square / (1 - beta2**self.steps)) + self.eps)


class AdamW(Adam):
    """Adam with decoupled weight decay: the weights shrink by lr weight_decay, whatever their gradients.

    Chapter 10, (10.3).

    Source: I. Loshchilov, F. Hutter, "Decoupled weight decay regularization", 2019, arXiv:1711.05101.
    """

    decoupled = True

    def __init__(
        self,
        parameters: Iterable,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ):
        super().__init__(parameters, lr, betas, eps, weight_decay)


# --- schedules ---------------------------------------------------------------------------------------


def constant(lr: float) -> Schedule:
    """The same learning rate at every step."""
    return lambda step, total: lr


def step_decay(lr: float, every: int, factor: float = 0.1) -> Schedule:
    """`lr` times `factor` after every `every` steps, as `torch.optim.lr_scheduler.StepLR`."""
    return lambda step, total: lr * factor ** (step // every)


def cosine(lr: float, lowest: float = 0.0) -> Schedule:
    """From `lr` down to `lowest` along half a cosine, as `torch.optim.lr_scheduler.CosineAnnealingLR`.

    Source: I. Loshchilov, F. Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017,
    arXiv:1608.03983.
    """
    return lambda step, total: lowest + (lr - lowest) * (1 + math.cos(math.pi * step / total)) / 2


def one_cycle(
    peak: float,
    warm_up: float = 0.25,
    first: float | None = None,
    last: float | None = None,
    shape: str = "linear",
) -> Schedule:
    """Up to `peak` over the share `warm_up` of all steps, then down to nearly nothing: fast, and it ends
    well.

    first       the learning rate of step 0, peak / 25 by default
    last        that of the last step, first / 10,000 by default
    shape       of the way up and down: "linear" or "cosine"

    With warm_up = 0.3 and shape "cosine" these are the defaults of `torch.optim.lr_scheduler.OneCycleLR`.
    Source: L. Smith, N. Topin, "Super-convergence", 2018, arXiv:1708.07120.
    """
    _check_range("warm_up", warm_up, 0, 1)
    if shape not in ("linear", "cosine"):
        raise ValueError(f'shape must be "linear" or "cosine", got {shape!r}')
    first = peak / 25 if first is None else first
    last = first / 1e4 if last is None else last

    def between(start, end, share):
        if shape == "cosine":
            share = (1 - math.cos(math.pi * share)) / 2
        return start + (end - start) * share

    def schedule(step: int, total: int) -> float:
        top = warm_up * total - 1  # the step at which the peak is reached
        if step <= top:
            return between(first, peak, step / top if top else 1)
        return between(peak, last, (step - top) / max(total - 1 - top, 1))

    return schedule


def _check_range(name, value, low, high):
    if not low <= value < high:
        raise ValueError(f"{name} must be at least {low} and less than {high}, got {value}")
