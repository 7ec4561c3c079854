"""`python -m utils.train`: train a network of the course from the command line."""

from __future__ import annotations

import argparse
import ast
import dataclasses
import difflib
import statistics
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from tqdm import tqdm

from utils.functional.shapes import as_integer
from utils.models import MODELS, build
from utils.table import Table
from utils.train import device, parallel
from utils.train.augment import AUGMENTATIONS
from utils.train.dataset import DeviceData, load
from utils.train.diagnosis import NotFiniteError
from utils.train.history import History
from utils.train.loop import fit
from utils.train.settings import OPTIMIZERS, SCHEDULES, Settings, one_of

__all__ = ["main"]

DESCRIPTION = """\
Train a network of the course, with one process or many, on a processor or on GPUs.

Prints the device and what it chose for it, one line an epoch, and a table at the end. With --folder it also
keeps a checkpoint and the metrics, and goes on where it was broken off when you type the same command again.
"""

EXAMPLES = """\
examples
  a first look, a minute on a processor:
    python -m utils.train --model lenet5 --epochs 2 --limit 6000
  ResNet-20, three seeds, kept in a folder (Ctrl-C, and the same command goes on):
    python -m utils.train --model resnet20 --epochs 10 --optimizer sgd --lr 0.1 --weight-decay 5e-4 \\
        --augment flip shift --seeds 0 1 2 --folder runs/resnet20
  a narrow network, options of its function:
    python -m utils.train --model vgg11_bn --option width=0.25 dropout=0.2 --epochs 8
  an ImageNet network on small pictures, enlarged:
    python -m utils.train --model alexnet --no-small --size 96 --limit 10000
  two processes that share every batch, here or on two GPUs; killed ones are started again and go on:
    torchrun --nproc_per_node 2 --max-restarts 3 -m utils.train --model resnet20 --folder runs/two
  two machines with four GPUs each (on every machine, ADDRESS being the first one's):
    TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 torchrun --nnodes 2 --nproc_per_node 4 --max-restarts 3 \\
        --rdzv-backend c10d --rdzv-endpoint ADDRESS:29500 \\
        -m utils.train --model resnet18 --epochs 30 --folder runs/eight

several processes
  --batch-size is that of all together. Each holds the whole data set, draws the same order, and computes its
  part of each batch; gradients are averaged by DistributedDataParallel. The result is that of one process, up
  to rounding, with two exceptions: dropout draws other masks, and batch normalization takes the statistics of
  each process's part. --sync-norm (GPUs only) lets it take those of the whole batch.
"""


def make_parser() -> argparse.ArgumentParser:
    """The options, in the order in which one thinks of them."""
    parser = argparse.ArgumentParser(
        prog="python -m utils.train",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument_group("what to train").add_argument
    add("--model", help="its name; --list shows all of them")
    add(
        "--option",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="options of the model's function: width=0.5",
    )
    add("--small", action=argparse.BooleanOptionalAction, default=None,
        help="the form for small pictures; by default where they are 32×32 or less")  # fmt: skip
    add("--list", action="store_true", help="print the names of all models and end")

    add = parser.add_argument_group("on what").add_argument
    add("--data", default="fashion-mnist", help="fashion-mnist (default), mnist, cifar-10")
    add("--sample", action="store_true", help="the 3,000 + 1,000 pictures that ship with the course")
    add("--limit", type=int, metavar="N", help="only N training pictures, balanced over the classes")
    add("--size", type=int, metavar="PIXELS", help="resize the pictures to PIXELS×PIXELS")

    add_settings(parser.add_argument_group("how"))

    add = parser.add_argument_group("where").add_argument
    add("--folder", type=Path, help="for checkpoint.pt, metrics.csv, metrics.json (one folder a seed)")
    add("--resume", action=argparse.BooleanOptionalAction, default=True,
        help="go on from the folder's checkpoint (default); --no-resume starts over")  # fmt: skip
    add("--tensorboard", action="store_true", help="also write the curves for TensorBoard into the folder")
    add("--device", help="cpu, cuda, cuda:1, mps; by default a GPU if there is one")
    add("--threads", type=int, metavar="N", help="of the processor; by default as many as PyTorch chooses")
    add("--sync-norm", action="store_true", help="several GPUs: batch normalization over the whole batch")
    add("--no-progress", dest="progress", action="store_false", help="no bar, lines only")
    return parser


def add_settings(group) -> None:
    """One option for each setting; None stands for the default of `Settings`."""
    default = {field.name: field.default for field in dataclasses.fields(Settings)}

    def add(name: str, text: str, **options) -> None:
        flag = "--" + name.replace("_", "-")
        group.add_argument(flag, dest=name, default=None, help=f"{text} ({default[name]})", **options)

    switch = {"choices": ("auto", "yes", "no")}
    add("epochs", "how often each picture is seen", type=int, metavar="N")
    add("batch_size", "pictures a step, of all processes together", type=int, metavar="N")
    add("optimizer", "the rule of the update", choices=OPTIMIZERS)
    add("lr", "the highest learning rate: the first thing to tune", type=float)
    add("momentum", "of sgd", type=float)
    add("nesterov", "Nesterov's momentum, of sgd", action="store_true")
    add("weight_decay", "pulls the weights towards 0", type=float)
    add("schedule", "how the learning rate moves", choices=SCHEDULES)
    add("warmup", "share of the steps in which it rises", type=float)
    add("label_smoothing", "share of the target given to all classes", type=float)
    group.add_argument("--augment", nargs="*", metavar="NAME", default=None,
                       help=f"random changes of the pictures: {', '.join(AUGMENTATIONS)} (none)")  # fmt: skip
    add("ema", "decay of a moving average of the weights; 0 is off", type=float)
    add("clip", "largest norm of the gradient", type=float)
    group.add_argument("--seeds", nargs="+", type=int, default=[0], metavar="SEED",
                       help="one training each: first weights, order, augmentation (0)")  # fmt: skip
    add(
        "precision",
        "bf16 is fast on GPUs with such units, and slow elsewhere",
        choices=("auto", "float32", "bf16"),
    )
    add("channels_last", "memory order of the pictures", **switch)
    add("compile", "torch.compile: slow to start, then faster on GPUs; auto: on GPUs", **switch)
    add("deterministic", "the same bits in every run, also on a GPU", action="store_true")


def settings_from(arguments: argparse.Namespace, seed: int) -> Settings:
    """The `Settings` that the command line asks for."""
    words = {"yes": True, "no": False}
    names = [field.name for field in dataclasses.fields(Settings) if field.name != "seed"]
    given = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    given = {
        name: words.get(value, value) if isinstance(value, str) else value for name, value in given.items()
    }
    return Settings(seed=seed, **given | {"augment": tuple(given.get("augment", ()))})


def parsed_options(pairs: list[str]) -> dict:
    """["width=0.5", "shortcut=A"] -> {"width": 0.5, "shortcut": "A"}."""
    options = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not (equals and name.isidentifier()):
            raise ValueError(f"option must look like width=0.5, got {pair!r}")
        try:
            options[name] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            options[name] = text
    return options


def make_model(arguments: argparse.Namespace, data: DeviceData, seed: int) -> nn.Module:
    """The network with first weights from the seed, tried on two pictures."""
    C, H, W = data.images.shape[1:]
    small = max(H, W) <= 32 if arguments.small is None else arguments.small
    options = {"num_classes": len(data.classes), "in_channels": C} | parsed_options(arguments.option)
    torch.manual_seed(seed)
    try:
        model = build(arguments.model, **({"small": True} if small else {}) | options)
    except TypeError as error:
        if "small" not in str(error) or arguments.small:
            raise ValueError(f"option: {arguments.model} does not take it ({error})") from None
        torch.manual_seed(seed)
        model = build(arguments.model, **options)
    model.to(data.device).eval()
    try:
        with torch.no_grad():
            model(data.normalize(data.images[:2]))
    except torch.cuda.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise ValueError(
            f"size: {arguments.model} cannot take pictures of {C}×{H}×{W} ({error}); try --small or --size 96"
        ) from None
    if arguments.sync_norm:
        if data.device.type != "cuda":
            raise ValueError(
                f"sync_norm must be off on {data.device}: PyTorch has SyncBatchNorm for GPUs only"
            )
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    return model.train()


def run(arguments: argparse.Namespace) -> None:
    """All that the command line asks for."""
    if arguments.model is None:
        raise ValueError("model must be given, for instance --model resnet20; --list shows all of them")
    if arguments.model not in MODELS:
        near = difflib.get_close_matches(arguments.model.lower(), MODELS, n=3, cutoff=0.5)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise ValueError(f"model must be a name that --list shows, got {arguments.model!r}{hint}")
    one_of("data", arguments.data, ("fashion-mnist", "mnist", "cifar-10"))
    if arguments.threads is not None:
        torch.set_num_threads(as_integer(arguments.threads, "threads"))
    where = device.pick_device(arguments.device)
    with parallel.processes(where):
        say = aloud if parallel.rank() == 0 else lambda text: None
        all_settings = [settings_from(arguments, seed) for seed in arguments.seeds]
        with parallel.first_alone():
            train_set, test_set = load(arguments.data, arguments.limit, arguments.sample, where)
        if arguments.size is not None:
            train_set, test_set = train_set.resize(arguments.size), test_set.resize(arguments.size)
        say(f"Data: {train_set}, {len(test_set):,} for testing")
        histories = {}
        for seed, settings in zip(arguments.seeds, all_settings, strict=True):
            model = make_model(arguments, train_set, seed)
            parameters = sum(p.numel() for p in model.parameters())
            say(f"\nModel: {arguments.model}, {parameters:,} parameters, seed {seed}")
            say(f"Chosen: {in_words(device.choices(settings, model, where))}; {device.describe(where)}; "
                f"{parallel.world()} process{'es' if parallel.world() > 1 else ''}")  # fmt: skip
            folder = arguments.folder
            if folder is not None and len(arguments.seeds) > 1:
                folder = folder / f"seed-{seed}"
            lines = Lines(say)
            histories[seed] = fit(
                model, train_set, test_set, settings, folder=folder, resume=arguments.resume,
                after_epoch=lines, progress=arguments.progress, tensorboard=arguments.tensorboard,
            )  # fmt: skip
            lines.show(histories[seed])
        say(f"\n{summary(arguments.model, histories)}")


def aloud(text: object) -> None:
    """Print at once, above the bar if there is one: whoever reads a log file wants to see it grow."""
    tqdm.write(str(text))
    sys.stdout.flush()


class Lines:
    """One line an epoch as soon as it is done; of a resumed training also those from before."""

    def __init__(self, say: Callable[[str], None]):
        self.say, self.shown = say, 0

    def __call__(self, epoch: int, model: nn.Module, history: History) -> None:
        self.show(history)

    def show(self, history: History) -> None:
        """The lines that are not shown yet."""
        while self.shown < len(history):
            self.say(history.line(self.shown))
            self.shown += 1


def in_words(choices: dict) -> str:
    """{"precision": "bf16", "compile": False} -> "precision bf16, compile no"."""
    words = {True: "yes", False: "no"}
    return ", ".join(f"{name.replace('_', ' ')} {words.get(value, value)}" for name, value in choices.items())


def summary(model: str, histories: dict[int, History]) -> Table:
    """One row a seed, and their mean."""
    names = {"train accuracy": "train_accuracy", "test loss": "test_loss", "test accuracy": "test_accuracy"}
    if any(history.ema_accuracy for history in histories.values()):
        names["averaged model"] = "ema_accuracy"
    rows = [
        [seed, *(getattr(history, name)[-1] for name in names.values()), sum(history.seconds)]
        for seed, history in histories.items()
    ]
    columns = ["seed", *names, "seconds"]
    formats = {name: ".4f" if "loss" in name else ".2%" for name in names} | {"seconds": ".1f"}
    foot, caption = None, f"{model} after {len(next(iter(histories.values())))} epochs"
    if len(rows) > 1:
        foot = ["mean", *(statistics.fmean(column) for column in list(zip(*rows, strict=True))[1:])]
        spread = statistics.stdev(history.test_accuracy[-1] for history in histories.values())
        caption += f"; standard deviation of the test accuracy {spread:.2%}"
    return Table(columns, rows, caption, formats, foot)


def main(words: list[str] | None = None) -> int:
    """Run the command; returns its exit status: 2 for a wrong word, 1 for a training that failed."""
    parser = make_parser()
    arguments = parser.parse_args(words)
    if arguments.list:
        print("\n".join(sorted(MODELS)))
        return 0
    try:
        run(arguments)
    except ValueError as error:
        parser.exit(2, f"{parser.prog}: error: {error}\n")
    except (NotFiniteError, OSError) as error:
        parser.exit(1, f"{parser.prog}: {error}\n")
    except torch.cuda.OutOfMemoryError as error:
        parser.exit(1, f"{parser.prog}: {str(error).splitlines()[0]} Try a smaller --batch-size.\n")
    except KeyboardInterrupt:
        kept = " The same command goes on from the last epoch." if arguments.folder else ""
        parser.exit(130, f"\n{parser.prog}: interrupted.{kept}\n")
    sys.stdout.flush()
    return 0
