"""What a training run is: `Settings`, and the optimizer and the schedule that they stand for."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from numbers import Real

import torch
from torch import nn

from utils.functional.shapes import as_integer
from utils.optim import Schedule, one_cycle
from utils.train.augment import AUGMENTATIONS

__all__ = ["OPTIMIZERS", "SCHEDULES", "Settings", "make_optimizer", "make_schedule", "set_lr"]

OPTIMIZERS = ("adam", "adamw", "sgd")
SCHEDULES = ("one-cycle", "cosine", "step", "constant")


@dataclass(frozen=True)
class Settings:
    """How to train: everything but the model, the data and the folder.

    epochs, batch_size   of several processes together, as of one
    optimizer       "adam", "adamw" or "sgd", as in `torch.optim`; momentum and nesterov belong to "sgd"
    lr              the highest learning rate of the schedule
    weight_decay    of all parameters
    schedule        "one-cycle": up to lr over the share `warmup` of all steps, down to nearly 0;
                    "cosine": up over `warmup`, down along half a cosine; "step": up over `warmup`, then lr,
                    a tenth from half of the steps on, a hundredth from three quarters on; "constant": lr
    label_smoothing chapter 10, (10.6): the share of the target that all classes divide among themselves
    augment         names ("flip", "shift", "erase", "noise"), `Augmentation`s, or functions
                    (images, generator) -> images of normalized float images (N, C, H, W)
    ema             above 0: also keep a moving average of the weights; its decay, 0.99 to 0.9999
    clip            the largest norm of the gradient of all parameters together; None: as it comes
    seed            of the order, the augmentation and dropout; for the first weights call
                    `torch.manual_seed(seed)` before making the model
    precision       "float32", "bf16" (products in bfloat16, weights in float32), "auto"
    channels_last   True, False, "auto": the memory order of pictures and kernels
    compile         True, False, "auto": `torch.compile`
    deterministic   the same bits in every run, also on a GPU, which then is slower

    What "auto" means on which device: `utils.train.device.choices`.
    """

    epochs: int = 3
    batch_size: int = 128
    optimizer: str = "adam"
    lr: float = 1e-3
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0
    schedule: str = "one-cycle"
    warmup: float = 0.2
    label_smoothing: float = 0.0
    augment: tuple[str | Callable, ...] = ()
    ema: float = 0.0
    clip: float | None = None
    seed: int = 0
    precision: str = "auto"
    channels_last: bool | str = "auto"
    compile: bool | str = False
    deterministic: bool = False

    def __post_init__(self):
        # NumPy's numbers become Python's: files of JSON and of PyTorch hold no others
        for name, minimum in (("epochs", 1), ("batch_size", 1), ("seed", 0)):
            object.__setattr__(self, name, as_integer(getattr(self, name), name, minimum))
        one_of("optimizer", self.optimizer, OPTIMIZERS)
        one_of("schedule", self.schedule, SCHEDULES)
        one_of("precision", self.precision, ("auto", "float32", "bf16"))
        one_of("channels_last", self.channels_last, ("auto", True, False))
        one_of("compile", self.compile, ("auto", True, False))
        one_of("deterministic", self.deterministic, (True, False))
        one_of("nesterov", self.nesterov, (True, False))
        self._number("lr", "above 0", lambda value: value > 0)
        self._number("weight_decay", "0 or more", lambda value: value >= 0)
        for name in ("momentum", "warmup", "label_smoothing", "ema"):
            self._number(name, "at least 0 and less than 1", lambda value: 0 <= value < 1)
        if self.clip is not None:
            self._number("clip", "above 0, or None", lambda value: value > 0)
        if self.nesterov and not (self.optimizer == "sgd" and self.momentum > 0):
            raise ValueError(f"nesterov must be False without sgd and momentum, got {self.nesterov}")
        augment = (self.augment,) if isinstance(self.augment, str) or callable(self.augment) else self.augment
        object.__setattr__(self, "augment", tuple(augment or ()))
        for one in self.augment:
            if not callable(one):
                one_of("augment", one, tuple(AUGMENTATIONS))

    def _number(self, name: str, expected: str, fits: Callable[[float], bool]) -> None:
        """Raises ValueError if the setting is no finite number or does not fit."""
        value = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
            raise ValueError(f"{name} must be a number {expected}, got {value!r}")
        if not fits(value):
            raise ValueError(f"{name} must be {expected}, got {value!r}")
        if type(value) not in (int, float):
            object.__setattr__(self, name, float(value))

    def as_dict(self) -> dict:
        """The settings as numbers and texts, for a file; functions by their name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return values | {"augment": [in_words(one) for one in self.augment]}


def in_words(thing: str | Callable) -> str:
    """An augmentation or a model as a text that is the same in each run."""
    if isinstance(thing, str):
        return thing
    if hasattr(thing, "__qualname__"):
        return thing.__qualname__
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(thing))  # an address is another one in each run


def one_of(name: str, value: object, allowed: tuple) -> None:
    """Raises ValueError if the value is not among the allowed ones; says which of them is near."""
    if any(value is one or (isinstance(value, str) and value == one) for one in allowed):
        return
    near = difflib.get_close_matches(str(value), [one for one in allowed if isinstance(one, str)], n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}{hint}")


def make_optimizer(settings: Settings, parameters: Iterable[nn.Parameter], fused: bool = False):
    """The optimizer of `torch.optim`; `fused` updates all parameters in one kernel."""
    options = {"lr": settings.lr, "weight_decay": settings.weight_decay, "fused": fused or None}
    if settings.optimizer == "sgd":
        return torch.optim.SGD(parameters, momentum=settings.momentum, nesterov=settings.nesterov, **options)
    kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    return kind(parameters, **options)


def make_schedule(settings: Settings) -> Schedule:
    """The learning rate as a function (step, total steps) -> lr, steps from 0."""
    lr, warmup = settings.lr, settings.warmup
    if settings.schedule == "constant":
        return lambda step, total: lr
    if settings.schedule == "one-cycle":
        return one_cycle(lr, warmup)

    def schedule(step: int, total: int) -> float:
        up = round(warmup * total)  # steps of the way up
        if step < up:
            return lr * (step + 1) / (up + 1)
        if settings.schedule == "cosine":
            return lr * (1 + math.cos(math.pi * (step - up) / max(total - up, 1))) / 2
        return lr * (1 if 2 * step < total else 0.1 if 4 * step < 3 * total else 0.01)

    return schedule


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Give all parameters of the optimizer this learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = lr
