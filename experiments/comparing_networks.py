"""Sixteen networks from 1998 to 2022, one budget: accuracy, parameters, multiply-adds, memory, latency.

    python -m experiments.comparing_networks              do what is not done yet, print the table
    python -m experiments.comparing_networks --record     and write results/comparing_networks.json
    python -m experiments.comparing_networks --seeds 0    a part of it (two processes can share the work)
    python -m experiments.comparing_networks --full --record     full size, for a GPU: ..._full.json

On one CPU core the networks are narrow and the pictures small: 6,000 images of Fashion-MNIST of 14×14 (half
the side of the originals), 2 epochs, batches of 32, Adam with one cycle of learning rates, nothing else. A
network's highest learning rate is the better of two on 2,000 other training images, after one epoch. With 376
steps this shows how far a network gets on little, not how good it can be; `--full` (all images, 28×28, the
usual widths, 30 epochs with flips) is for that.

Every network is trained with three seeds and tested once, at the end, on all 10,000 test images. Recorded:
its costs by `utils.cost`; the held-out accuracies of both rates; for every seed, which test images it
gets right; the accuracy of several seeds or networks together (their probabilities averaged); and, on 2,000
test images, of each picture together with its mirror image or its shifts by one pixel. Latency: rounds in
which each network has its turn, once with one picture and once with 128, as ratios to ResNet-20 in the same
round. Energy, where the machine lets it be read.

Each finished part is a line of _build/experiments/comparing_networks.jsonl, so that a run that was broken off
goes on where it was. About 25 minutes of CPU time; `--full` about an hour on a GPU.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before PyTorch starts its threads

import argparse
import base64
import itertools
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from experiments import runlog
from experiments.provenance import ROOT, provenance, write
from utils import train
from utils.compare import energy_counter, measure_latency
from utils.cost import cost
from utils.models import build
from utils.models.convnext import ConvNeXt
from utils.models.densenet import cifar_densenet
from utils.models.nin import NiN, mlpconv
from utils.models.resnet import Bottleneck, ResNet
from utils.models.shufflenet_v2 import ShuffleNetV2
from utils.models.wide_resnet import cifar_wide_resnet

RATES = (5e-4, 3e-3)
REFERENCE = "ResNet-20"
BATCHES = (1, 128)
AUGMENTED = 2_000  # test images that are looked at in several ways


@dataclass(frozen=True)
class Size:
    """How large everything is."""

    suffix: str
    side: int
    images: int | None
    held_out: int
    epochs: int
    batch_size: int
    rounds: int
    augment: tuple[str, ...]


SMALL = Size("", 14, 6_000, 2_000, 2, 32, 15, ())
FULL = Size("_full", 28, None, 5_000, 30, 128, 100, ("flip",))


def named(name: str, **options) -> Callable[[], nn.Module]:
    """A network of `utils.models` for ten classes of gray pictures."""
    return lambda: build(name, num_classes=10, in_channels=1, small=True, **options)


def narrow_nin() -> nn.Module:
    """`nin_cifar` with a quarter of its channels, and without dropout."""
    return NiN(
        mlpconv(1, (48, 40, 24), kernel_size=5, padding=2),
        nn.MaxPool2d(3, stride=2, ceil_mode=True),
        mlpconv(24, (48, 48, 48), kernel_size=5, padding=2),
        nn.AvgPool2d(3, stride=2, ceil_mode=True),
        mlpconv(48, (48, 48, 10), kernel_size=3, padding=1),
    )


def resnext(blocks: int) -> Callable[[], nn.Module]:
    """Three stages of bottlenecks with eight paths each."""
    options = {"groups": 8, "group_width": 16}
    return lambda: ResNet(Bottleneck, (blocks,) * 3, (16, 32, 64), 10, 1, small=True, **options)


# name -> (year, narrow form, the form of --full)
NETWORKS: dict[str, tuple[int, Callable[[], nn.Module], Callable[[], nn.Module]]] = {
    "LeNet": (1998, named("lenet"), named("lenet")),
    "AlexNet": (2012, named("alexnet", width=0.25), named("alexnet")),
    "NiN": (2013, narrow_nin, named("nin_cifar")),
    "VGG-11": (2014, named("vgg11_bn", width=0.25), named("vgg11_bn")),
    "GoogLeNet": (2014, named("googlenet", width=0.125, aux=False), named("googlenet")),
    "plain-20": (2015, named("plain20", width=8), named("plain20")),
    "ResNet-20": (2015, named("resnet20", width=8), named("resnet20")),
    "WRN": (2016, lambda: cifar_wide_resnet(10, 2, 10, 1), lambda: cifar_wide_resnet(16, 4, 10, 1)),
    "ResNeXt": (2016, resnext(1), resnext(3)),
    "DenseNet": (2016, lambda: cifar_densenet(22, 12, 10, 1), lambda: cifar_densenet(100, 12, 10, 1)),
    "SqueezeNet": (2016, named("squeezenet1_1"), named("squeezenet1_1")),
    "MobileNet v1": (2017, named("mobilenet_v1", width=0.25), named("mobilenet_v1")),
    "MobileNet v1, dense": (  # full 3×3 layers in place of the separable ones
        2017,
        named("mobilenet_v1", width=0.125, depthwise=False),
        named("mobilenet_v1", width=0.5, depthwise=False),
    ),
    "MobileNet v2": (2018, named("mobilenet_v2", width=0.25), named("mobilenet_v2")),
    "ShuffleNet v2": (
        2018,
        lambda: ShuffleNetV2((24, 48, 96), 256, 10, 1, True),
        named("shufflenet_v2_x1_0"),
    ),
    "ConvNeXt": (
        2022,
        lambda: ConvNeXt((32, 64, 128), (2, 2, 2), 10, 1, small=True),
        lambda: ConvNeXt((96, 192, 384), (3, 3, 9), 10, 1, small=True),
    ),
}


def network(name: str, full: bool) -> nn.Module:
    """One of NETWORKS; call `torch.manual_seed` before."""
    return NETWORKS[name][2 if full else 1]()


def settings(size: Size, rate: float, seed: int, epochs: int) -> train.Settings:
    """The recipe: the same for all but the rate."""
    options = {"batch_size": size.batch_size, "augment": size.augment}
    return train.Settings(epochs=epochs, lr=rate, seed=seed, **options)


def fitted(name: str, rate: float, seed: int, epochs: int, images, size: Size) -> tuple[nn.Module, float]:
    """A trained network and the CPU seconds that it took."""
    torch.manual_seed(seed)
    model = network(name, size is FULL).to(images.device)
    began = time.process_time()
    train.fit(model, images, None, settings(size, rate, seed, epochs), progress=False)
    return model.eval(), time.process_time() - began


def choose(name: str, images, size: Size) -> dict:
    """Held-out accuracy of each rate after one epoch (of --full: three)."""
    pool, held_out = images[: -size.held_out], images[-size.held_out :]
    epochs = 3 if size is FULL else 1
    result = {}
    for rate in RATES:
        model, _ = fitted(name, rate, 100, epochs, pool, size)
        result[f"{rate:g}"] = round(train.evaluate(model, held_out)[1], 4)
    return {"held-out accuracy": result, "rate": float(max(result, key=result.get))}


def probabilities(model: nn.Module, images) -> np.ndarray:
    """(N, 10) float32."""
    return train.predict(model, images).softmax(1).numpy()


def run(name: str, seed: int, rate: float, images, test, size: Size) -> dict:
    """Train and test one network; its probabilities stay in the working folder."""
    model, seconds = fitted(name, rate, seed, size.epochs, images, size)
    p, labels = probabilities(model, test), test.labels.cpu().numpy()
    right = p.argmax(1) == labels
    np.save(probabilities_file(name, seed, size), p.astype(np.float16))
    return {
        "test accuracy": round(float(right.mean()), 4),
        "augmented": augmented(model, test[:AUGMENTED], p[:AUGMENTED]) if seed == 0 else None,
        "right": base64.b64encode(np.packbits(right).tobytes()).decode(),
        "cpu seconds": round(seconds, 1),
    }


def augmented(model: nn.Module, test, plain: np.ndarray) -> dict[str, float]:
    """Test accuracy of one picture, of it and its mirror image, of it and its four shifts by one pixel."""
    labels, sums, views = test.labels.cpu().numpy(), {"alone": plain}, test[:]
    views.images = test.images.flip(3)
    sums["mirrored"] = plain + probabilities(model, views)
    sums["shifted"] = plain.copy()
    for down, right in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        moved = torch.roll(test.images, (down, right), (2, 3))
        for amount, dim in ((down, 2), (right, 3)):  # what comes in at the edge is black
            if amount:
                moved.select(dim, 0 if amount > 0 else -1).zero_()
        views.images = moved
        sums["shifted"] += probabilities(model, views)
    return {way: round(float((p.argmax(1) == labels).mean()), 4) for way, p in sums.items()}


def probabilities_file(name: str, seed: int, size: Size):
    folder = LOG.parent / f"comparing_networks{size.suffix}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name.replace(' ', '_')}_{seed}.npy"


def costs(name: str, size: Size) -> dict:
    """What utils.cost counts for one picture, and what 128 of them move."""
    torch.manual_seed(0)
    counted = cost(network(name, size is FULL).eval(), (1, 1, size.side, size.side))
    total = counted.total
    batch = cost(network(name, size is FULL).eval(), (BATCHES[-1], 1, size.side, size.side)).total
    return {
        "parameters": total.parameters,
        "multiply-adds": total.multiply_adds,
        "layers": sum(row.multiply_adds > 0 for row in counted),
        "operations": len(counted),
        "peak": counted.peak,
        "stored": total.stored,
        "moved": total.moved,
        "intensity": round(total.intensity, 3),
        "intensity of 128": round(batch.intensity, 3),
        "moved of 128": batch.moved,
        "depthwise": any("depthwise" in row.detail for row in counted),
    }


def latencies(size: Size, device: torch.device) -> dict:
    """Ratios to the reference in the same round: median and quartiles; and the reference's milliseconds."""
    gpu = device.type == "cuda"
    models = {}
    for name in NETWORKS:
        torch.manual_seed(0)
        model = network(name, size is FULL).eval().to(device)
        models[name] = model.to(memory_format=torch.channels_last)
    result: dict[str, dict] = {}
    for batch in BATCHES:
        x = torch.randn(batch, 1, size.side, size.side, device=device)
        calls = {name: lambda model=model, x=x: model(x) for name, model in models.items()}
        times = measure_latency(calls, size.rounds, synchronize=torch.cuda.synchronize if gpu else None)
        reference = times[REFERENCE]
        result[str(batch)] = {
            "reference, ms": [round(1e3 * t, 4) for t in np.percentile(reference, (25, 50, 75))],
            "ratio": {
                name: [round(t, 4) for t in np.percentile(t / reference, (25, 50, 75))]
                for name, t in times.items()
            },
        }
    read, words = energy_counter()
    result["energy"] = {"counter": words}
    if read is not None:  # joules a picture in a batch of 128, idle power included
        for name, call in calls.items():
            joules, end, count = read(), time.perf_counter() + 5, 0
            while time.perf_counter() < end:
                call()
                count += 1
            if gpu:
                torch.cuda.synchronize()
            result["energy"][name] = (read() - joules) / (count * BATCHES[-1])
    return result


def together(seeds: list[int], test, size: Size) -> dict:
    """Test accuracy of averaged probabilities: of the seeds of a network, of several networks of seed 0."""
    labels = test.labels.cpu().numpy()
    p = {
        name: [np.load(probabilities_file(name, seed, size)).astype(np.float32) for seed in seeds]
        for name in NETWORKS
    }

    def accuracy(parts: list[np.ndarray]) -> float:
        return round(float((sum(parts).argmax(1) == labels).mean()), 4)

    return {
        "seeds": {name: accuracy(parts) for name, parts in p.items()},
        "pairs": {f"{a} + {b}": accuracy([p[a][0], p[b][0]]) for a, b in itertools.combinations(NETWORKS, 2)},
        "all networks": accuracy([parts[0] for parts in p.values()]),
    }


LOG = ROOT / "_build" / "experiments" / "comparing_networks.jsonl"


def done() -> dict[str, dict]:
    """The finished parts: key -> result."""
    return {entry["key"]: entry["result"] for entry in runlog.entries(LOG)}


def part(key: str, compute: Callable[[], dict]) -> dict:
    """The result of that name: as it stands in the log, or computed now and noted there."""
    if key not in (finished := done()):
        runlog.append(LOG, {"key": key, "result": compute()})
        finished = done()
    return finished[key]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], epilog="About 25 minutes of CPU time; --full is for a GPU."
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="which; 0 1 2 unless given")
    parser.add_argument("--only", nargs="+", choices=NETWORKS, help="train these alone (no latency)")
    parser.add_argument("--full", action="store_true", help="28×28, all images, 30 epochs: for a GPU")
    parser.add_argument(
        "--record", action="store_true", help="write the record; needs all seeds and networks"
    )
    options = parser.parse_args()
    if options.record and options.only:
        parser.error("--record needs all networks, without --only")
    size, device = FULL if options.full else SMALL, train.pick_device()
    if device.type == "cpu":
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    limit = None if size.images is None else size.images + size.held_out
    everything, test = (part.resize(size.side) for part in train.load("fashion-mnist", limit, device=device))
    if len(test) != 10_000:
        raise SystemExit(f"needs all of Fashion-MNIST, found {len(test):,} test images")
    images = everything if options.full else everything[: -size.held_out]
    names = options.only or list(NETWORKS)
    rows = {}
    for name in names:
        rates = part(f"rates{size.suffix} {name}", lambda name=name: choose(name, everything, size))
        print(f"{name}: rates {rates['held-out accuracy']}", flush=True)
        rows[name] = {"year": NETWORKS[name][0], **costs(name, size), **rates, "runs": []}
    if not options.only:
        latency = part(f"latency{size.suffix}", lambda: latencies(size, device))
    for seed in options.seeds:
        for name in names:
            result = part(
                f"run{size.suffix} {name} {seed}",
                lambda name=name, seed=seed: run(name, seed, rows[name]["rate"], images, test, size),
            )
            rows[name]["runs"].append({"seed": seed, **result})
            print(
                f"{name}, seed {seed}: {result['test accuracy']:.2%}, {result['cpu seconds']} s", flush=True
            )
    if options.only:
        return
    print(f"{'':20} parameters  mult-adds   accuracy     1 picture  128 pictures (ratios to {REFERENCE})")
    for name, row in rows.items():
        shares = [r["test accuracy"] for r in row["runs"]]
        spread = statistics.stdev(shares) if len(shares) > 1 else 0.0
        one, many = (latency[str(batch)]["ratio"][name][1] for batch in BATCHES)
        print(
            f"{name:20} {row['parameters']:10,} {row['multiply-adds']:10,}  "
            f"{statistics.mean(shares):.2%} ± {spread:.2%}  {one:9.2f}  {many:9.2f}"
        )
    if options.record:
        command = "python -m experiments.comparing_networks" + " --full" * options.full + " --record"
        facts = provenance(command, ("torch", "numpy"), ("utils", "experiments/comparing_networks.py"))
        body = {
            "data": f"Fashion-MNIST, {len(images):,} training, {len(test):,} test images, side {size.side}",
            "device": str(device),
            "settings": settings(size, RATES[0], 0, size.epochs).as_dict()
            | {"lr": "chosen", "seed": "as given"},
            "seeds": options.seeds,
            "networks": rows,
            "latency": latency,
            "together": together(options.seeds, test, size),
        }
        path = write(f"comparing_networks{size.suffix}", {**facts, **body})
        print(f"written to {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
