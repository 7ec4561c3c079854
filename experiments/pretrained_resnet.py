"""The small ResNet that ships with the course, trained to be transferred.

    python -m experiments.pretrained_resnet              train and print, about 7 minutes on one core
    python -m experiments.pretrained_resnet --record     and write utils/weights/resnet20_fashion8.*

ResNet-20 of width 8, on the eight classes of Fashion-MNIST that are neither shirt nor coat (48,000 images of
28×28, 2 epochs): the two others are the example of chapter 15, which transfers what was learned here. The
test images choose nothing. Written are the weights as float16 and, beside them, a record with their SHA-256,
the accuracy of the network as it is loaded again, the command and the versions.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before PyTorch starts its threads

import argparse
import hashlib
import json
import time

import numpy as np
import torch

from experiments.provenance import provenance
from utils import data, train
from utils.models import build
from utils.models.pretrained import SHIPPED, WEIGHTS, as_in_pretraining, shipped

LEFT_OUT = ("Shirt", "Coat")
WIDTH, SEED = 8, 0
SETTINGS = {"epochs": 2, "batch_size": 128, "optimizer": "sgd", "lr": 0.1, "momentum": 0.9}
MORE = {"weight_decay": 1e-4, "schedule": "one-cycle", "warmup": 0.2, "augment": ("flip",)}


def eight_classes(full: train.DeviceData) -> train.DeviceData:
    """The images of the classes that are not left out, labels 0 to 7."""
    kept = [i for i, name in enumerate(data.FASHION_CLASSES) if name not in LEFT_OUT]
    new_label = torch.full((len(data.FASHION_CLASSES),), -1, device=full.labels.device)
    new_label[kept] = torch.arange(len(kept), device=full.labels.device)
    part = full[new_label[full.labels] >= 0]
    names = tuple(data.FASHION_CLASSES[i] for i in kept)
    return train.DeviceData(part.images, new_label[part.labels], names, full.mean, full.std, full.name)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--limit", type=int, help="so many training images, to try the program")
    parser.add_argument("--record", action="store_true", help="write the weights and their record")
    arguments = parser.parse_args()
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    train_set, test_set = train.load("fashion-mnist", limit=arguments.limit, device=train.pick_device())
    train_set, test_set = eight_classes(train_set), eight_classes(test_set)
    torch.manual_seed(SEED)
    model = build("resnet20", num_classes=len(train_set.classes), in_channels=1, width=WIDTH)
    model = model.to(train_set.images.device)
    began = time.process_time()
    history = train.fit(
        model, train_set, settings=train.Settings(seed=SEED, **SETTINGS, **MORE), progress=False
    )
    seconds = time.process_time() - began
    accuracy = train.evaluate(model, test_set)[1]
    print(f"{len(train_set):,} images, test accuracy {accuracy:.2%}, {seconds:.0f} CPU seconds")
    print(history)
    if not arguments.record:
        return
    state = {
        key: value.cpu().numpy().astype(np.float16)
        for key, value in model.state_dict().items()
        if not key.endswith("batches_tracked")
    }
    WEIGHTS.mkdir(exist_ok=True)
    path = WEIGHTS / f"{SHIPPED}.npz"
    np.savez_compressed(path, **state)
    record = provenance("python -m experiments.pretrained_resnet --record", packages=("torch", "numpy")) | {
        "data": f"Fashion-MNIST without {' and '.join(LEFT_OUT)}: {len(train_set):,} training images",
        "license of the data": "MIT, see utils/datasets/LICENSE",
        "settings": SETTINGS | MORE | {"seed": SEED},
        "cpu seconds": round(seconds, 1),
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "classes": list(train_set.classes),
        "width": WIDTH,
        "in_channels": 1,
        "side": 28,
        "mean": list(train_set.mean),
        "std": list(train_set.std),
    }
    place = WEIGHTS / f"{SHIPPED}.json"
    place.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    loaded = shipped().to(train_set.images.device)
    record["test accuracy"] = train.evaluate(loaded, as_in_pretraining(loaded, test_set))[1]
    place.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"written: {path.stat().st_size:,} bytes, test accuracy when loaded {record['test accuracy']:.2%}")


if __name__ == "__main__":
    main()
