"""What a training run leaves behind: its learning curves."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from torch import nn

from utils.table import Table

__all__ = ["History"]


@dataclass
class History:
    """The learning curves: one number a step in `step_loss` and `step_lr`, one an epoch in the others.

    step_loss and train_loss are what was minimized, label smoothing and auxiliary scores included, while the
    model changed; train_accuracy is counted on the same pictures, as augmented.
    """

    step_loss: list[float] = field(default_factory=list)
    step_lr: list[float] = field(default_factory=list)
    train_loss: list[float] = field(default_factory=list)  # step_loss, the mean over the samples
    train_accuracy: list[float] = field(default_factory=list)  # shares, 0 to 1
    test_loss: list[float] = field(default_factory=list)  # after the epoch, without label smoothing
    test_accuracy: list[float] = field(default_factory=list)
    ema_accuracy: list[float] = field(default_factory=list)  # of the averaged model, if there is one
    seconds: list[float] = field(default_factory=list)  # of training, without testing
    lr: list[float] = field(default_factory=list)  # at the end of the epoch
    stopped: bool = False  # by `after_epoch`, before all epochs were done
    choices: dict = field(default_factory=dict)  # device, precision, memory order: what "auto" came to
    ema: nn.Module | None = field(default=None, repr=False, compare=False)  # the averaged model

    def __len__(self) -> int:
        return len(self.train_loss)  # epochs

    def curves(self) -> dict[str, list[float]]:
        """The lists with one number an epoch that are not empty."""
        names = [one.name for one in fields(self) if one.name not in ("step_loss", "step_lr")]
        return {name: getattr(self, name) for name in names if isinstance(getattr(self, name), list)
                and getattr(self, name)}  # fmt: skip

    def as_dict(self) -> dict:
        """All but the averaged model: what a checkpoint and `metrics.json` hold."""
        return {one.name: getattr(self, one.name) for one in fields(self) if one.name != "ema"}

    def table(self) -> Table:
        """One row an epoch."""
        curves = self.curves()
        forms = {"loss": ".4f", "accuracy": ".2%", "seconds": ".1f", "lr": ".2e"}
        heads = {name: name.replace("_", " ") for name in curves}
        rows = [[e + 1, *(curve[e] for curve in curves.values())] for e in range(len(self))]
        formats = {head: forms[name.split("_")[-1]] for name, head in heads.items()}
        return Table(["epoch", *heads.values()], rows, formats=formats)

    def line(self, epoch: int) -> str:
        """One epoch, from 0, in one readable line."""
        text = (
            f"epoch {epoch + 1}: loss {self.train_loss[epoch]:.4f}, accuracy {self.train_accuracy[epoch]:.2%}"
        )
        if self.test_loss:
            text += f"; test loss {self.test_loss[epoch]:.4f}, accuracy {self.test_accuracy[epoch]:.2%}"
        if self.ema_accuracy:
            text += f", averaged model {self.ema_accuracy[epoch]:.2%}"
        return f"{text}; {self.seconds[epoch]:.1f} s"

    def __str__(self) -> str:
        return "\n".join(self.line(epoch) for epoch in range(len(self)))
