"""Networks that have learned already: torchvision's weights, or our own, which need no network connection.

torchvision's were trained on ImageNet, 1.28 million photographs of 1000 classes. Ours are a ResNet-20 of
width 8 that `python -m experiments.pretrained_resnet` trained on eight of the ten classes of Fashion-MNIST,
all but shirt and coat. Those two are the task of `utils.data.example_folder`: a transfer is honest only to
classes that the network has not seen. Beside the weights lies where they come from, with their SHA-256.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import urllib.request
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from utils.models import build
from utils.models.resnet import from_torchvision

__all__ = ["OFFLINE", "as_in_pretraining", "pretrained", "shipped"]

OFFLINE = "CONVNETS_OFFLINE"  # environment variable: where it is set, nothing is downloaded
WEIGHTS = Path(__file__).resolve().parents[1] / "weights"
SHIPPED = "resnet20_fashion8"
TIMEOUT = 5  # seconds without an answer, after which the network counts as down
NAMES = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", SHIPPED)
IMAGENET = {"in_channels": 3, "side": None, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def pretrained(
    name: str = "resnet18",
    num_classes: int = 2,
    download: bool | None = None,
    folder: str | os.PathLike | None = None,
    timeout: float = TIMEOUT,
) -> tuple[nn.Module, str]:
    """A network with trained weights and a new dense layer for `num_classes`, and in words where it is from.

    The weights of `name` (one of NAMES) are taken from `folder`, by default PyTorch's own cache, where
    torchvision keeps them, too; else they are downloaded there, and their SHA-256 is checked. Where that
    cannot be done, or with `download=False`, or with CONVNETS_OFFLINE set in the environment, it is the small
    network that ships with the course. With SHIPPED as `name` it always is, and nothing else is looked for.

    The new layer `model.fc` starts at random: call `torch.manual_seed` before. `model.pretraining` says what
    pictures the network knows: in_channels, side (None: any), mean, std; `as_in_pretraining` makes yours so.
    """
    if name not in NAMES:
        raise ValueError(f"name: expected one of {', '.join(NAMES)}, got {name!r}")
    if isinstance(num_classes, bool) or not isinstance(num_classes, int) or num_classes < 1:
        raise ValueError(f"num_classes: expected a positive whole number, got {num_classes!r}")
    if download is None:
        download = not os.environ.get(OFFLINE)
    if name == SHIPPED:
        state, why = None, ""
    else:
        state, why = _torchvision_state(name, folder, download, timeout)
    if state is not None:
        model = build(name)
        model.load_state_dict(from_torchvision(state))
        model.pretraining = dict(IMAGENET)
        source = f"torchvision's {name}, trained on ImageNet, {why}"
    else:
        model = shipped()
        source = "the course's ResNet-20 of width 8, trained on eight classes of Fashion-MNIST"
        source += f" ({why})" if why else ""
    model.fc = nn.Linear(model.fc.in_features, num_classes)
    return model, source


def shipped() -> nn.Module:
    """The ResNet-20 of width 8 that ships with the course, with its dense layer for eight classes.

    `model.classes` are their names. Raises ValueError where the file is not the one that was recorded.
    """
    record = json.loads((WEIGHTS / f"{SHIPPED}.json").read_text(encoding="utf-8"))
    path = WEIGHTS / f"{SHIPPED}.npz"
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != record["sha256"]:
        raise ValueError(f"{path.name}: expected the SHA-256 {record['sha256']}, got {found}")
    with np.load(path) as arrays:
        state = {key: torch.from_numpy(arrays[key].astype(np.float32)) for key in arrays.files}
    model = build("resnet20", num_classes=len(record["classes"]), in_channels=1, width=record["width"])
    counters = {key: value for key, value in model.state_dict().items() if key.endswith("batches_tracked")}
    model.load_state_dict(state | counters)
    model.pretraining = {key: record[key] for key in ("in_channels", "side", "mean", "std")}
    model.classes = tuple(record["classes"])
    return model.eval()


def as_in_pretraining(model: nn.Module, data):
    """The pictures of a `train.DeviceData` as the network knows them: channels, size, mean and deviation.

    Color becomes gray by the weights of ITU-R BT.601, gray becomes three equal channels.
    """
    known = model.pretraining
    images = data.images
    if images.shape[1] == 3 and known["in_channels"] == 1:
        weights = torch.tensor([0.299, 0.587, 0.114], device=images.device)
        images = (images.float() * weights[:, None, None]).sum(1, keepdim=True).round().to(torch.uint8)
    elif images.shape[1] == 1 and known["in_channels"] == 3:
        images = images.expand(-1, 3, -1, -1)
    if known["side"] and images.shape[-2:] != (known["side"],) * 2:
        size = (known["side"],) * 2
        images = F.interpolate(images.float(), size, mode="bilinear", antialias=True, align_corners=False)
        images = images.round().clamp(0, 255).to(torch.uint8)
    return type(data)(images, data.labels, data.classes, known["mean"], known["std"], data.name)


def _torchvision_state(name: str, folder, download: bool, timeout: float) -> tuple[dict | None, str]:
    """The state dictionary and where it was found, or None and why there is none."""
    import torchvision

    url = torchvision.models.get_model_weights(name).IMAGENET1K_V1.url
    path = Path(folder or Path(torch.hub.get_dir()) / "checkpoints").expanduser() / url.rpartition("/")[2]
    expected = path.stem.rpartition("-")[2]  # resnet18-f37072fd.pth: the first digits of its SHA-256
    if path.is_file() and _sha256(path).startswith(expected):
        return torch.load(path, map_location="cpu", weights_only=True), "found in PyTorch's cache"
    if not download:
        return None, "no download wanted"
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with urllib.request.urlopen(url, timeout=timeout) as answer, part.open("wb") as file:
            while block := answer.read(1 << 20):
                file.write(block)
        if not _sha256(part).startswith(expected):
            return None, "the downloaded file was damaged"
        part.replace(path)
    except (OSError, ValueError, http.client.HTTPException):  # URLError is an OSError
        return None, "torchvision's weights could not be downloaded"
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    return torch.load(path, map_location="cpu", weights_only=True), "downloaded"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
