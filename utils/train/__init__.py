"""One training loop for the networks of PyTorch, on a processor, a GPU, or several.

    from utils import train
    from utils.models import build

    train_set, test_set = train.load("fashion-mnist")
    torch.manual_seed(0)
    model = build("resnet20", num_classes=10, in_channels=1, small=True)
    history = train.fit(model, train_set, test_set, train.Settings(epochs=10, lr=3e-3, augment=("flip",)))
    print(history)

As a command: `python -m utils.train --help`.
"""

from utils.train.augment import Augmentation, Erase, Flip, Noise, Shift
from utils.train.checkpoint import load_weights
from utils.train.dataset import DeviceData, from_dataset, load
from utils.train.device import pick_device
from utils.train.diagnosis import NotFiniteError, first_not_finite
from utils.train.history import History
from utils.train.loop import evaluate, fit, predict
from utils.train.settings import Settings

__all__ = [
    "Augmentation",
    "DeviceData",
    "Erase",
    "Flip",
    "History",
    "Noise",
    "NotFiniteError",
    "Settings",
    "Shift",
    "evaluate",
    "first_not_finite",
    "fit",
    "from_dataset",
    "load",
    "load_weights",
    "pick_device",
    "predict",
]
