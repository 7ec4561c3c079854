"""What lies in the folder of a training: the checkpoint, and the metrics for people and programs.

checkpoint.pt   all that the rest of the training depends on; after a kill it goes on from here
metrics.csv     one line an epoch
metrics.json    the same with settings, choices and the loss of every step
"""

from __future__ import annotations

import json
import os
from itertools import zip_longest
from pathlib import Path

import torch

from utils.train.history import History

__all__ = ["CHECKPOINT", "load_weights", "read", "write", "write_metrics"]

CHECKPOINT = "checkpoint.pt"


def replace_file(path: Path, write) -> None:
    """Write a file beside, then rename: a crash in between leaves the old file whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.part")
    with open(unfinished, "wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(unfinished, path)


def write(folder: Path, state: dict) -> None:
    """Keep the state of a training: tensors, numbers and texts in dicts and lists."""
    replace_file(folder / CHECKPOINT, lambda file: torch.save(state, file))


def read(folder: Path) -> dict | None:
    """The state that `write` kept, on the processor, or None. Runs nothing that the file might contain."""
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        state["settings"], state["model"], state["ema"]  # other files of PyTorch hold no such things
        return state
    except Exception as error:
        raise ValueError(
            f"folder: expected a readable {CHECKPOINT}, got {path} ({type(error).__name__}); remove it, or "
            "train with resume=False"
        ) from error


def prepare(folder: Path) -> None:
    """Make the folder, or raise ValueError before time is spent on a training that could not be kept."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"folder must be a folder or a new name, got {str(folder)!r} ({type(error).__name__})"
        ) from None


def check(state: dict, settings: dict, data: dict, network: str, folder: Path) -> None:
    """Raises ValueError where the checkpoint belongs to another training, or to another network.

    Weights of the same names and shapes do not make the same network: a plain one and a residual one, or two
    that differ in their dropout, have them. `network` is the text of all layers.
    """
    now = settings | data
    then = state["settings"] | {name: state.get(name, now[name]) for name in data}
    other = [f"{name} {then.get(name)!r}, now {now[name]!r}" for name in now if now[name] != then.get(name)]
    if other:
        raise ValueError(
            f"folder: {folder} holds a training with other settings ({'; '.join(other)}); use another "
            "folder, or resume=False to start over"
        )
    lines = zip_longest(state.get("network", network).splitlines(), network.splitlines(), fillvalue="nothing")
    for was, here in lines:
        if was != here:
            raise ValueError(
                f"folder: {folder} holds the weights of another model (it had {was.strip()}, now "
                f"{here.strip()}); use another folder, or resume=False to start over"
            )


def load_weights(model: torch.nn.Module, folder: str | Path, average: bool = False) -> torch.nn.Module:
    """The model, with the weights of the checkpoint in `folder`, or with their moving average."""
    state = read(Path(folder))
    if state is None:
        raise ValueError(f"folder must hold a {CHECKPOINT}, got {str(folder)!r}")
    if average and state["ema"] is None:
        raise ValueError("average must be False: this training kept no moving average (ema was 0)")
    try:
        model.load_state_dict(state["ema"] if average else state["model"])
    except RuntimeError as error:
        raise ValueError(f"model must be the one that was trained in {folder} ({error})") from error
    return model


def write_metrics(folder: Path, history: History, about: dict) -> None:
    """metrics.csv and metrics.json."""
    csv = history.table().to_csv().encode()
    replace_file(folder / "metrics.csv", lambda file: file.write(csv))
    text = json.dumps(about | history.as_dict(), indent=1, ensure_ascii=False) + "\n"
    replace_file(folder / "metrics.json", lambda file: file.write(text.encode()))


class Board:
    """The curves, in the form that TensorBoard shows: `tensorboard --logdir FOLDER`."""

    def __init__(self, folder: Path | None):
        if folder is None:
            raise ValueError("tensorboard must be False without a folder, got True")
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise ValueError(
                "tensorboard: expected the package tensorboard (pip install tensorboard), got none; without "
                "it, metrics.csv holds the same numbers"
            ) from None
        self.writer = SummaryWriter(str(folder / "tensorboard"))

    def write(self, history: History) -> None:
        """The last epoch."""
        for name, curve in history.curves().items():
            self.writer.add_scalar(name, curve[-1], len(history))
        self.writer.flush()
