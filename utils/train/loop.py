"""The training loop: the same for a processor, a GPU, and several of either.

`Run.step` is one iteration, `Run.epoch` all samples once, `fit` the whole training. Inside a step nothing
waits for the device: losses stay there until they are looked at, every `LOOK_EVERY` steps and at the end of
an epoch.
"""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from utils.functional.shapes import as_integer
from utils.models.googlenet import auxiliary_loss
from utils.train import checkpoint, device, parallel
from utils.train.augment import augment_batch, prepare
from utils.train.average import Average
from utils.train.dataset import DeviceData
from utils.train.diagnosis import NotFiniteError, advice, first_not_finite
from utils.train.history import History
from utils.train.settings import Settings, in_words, make_optimizer, make_schedule, set_lr

__all__ = ["Run", "evaluate", "fit", "predict"]

LOOK_EVERY = 100  # steps between two looks at the losses: the device is waited for, a NaN is noticed
Loss = Callable[[object, Tensor], Tensor]
AfterEpoch = Callable[[int, nn.Module, History], bool | None]


def fit(
    model: nn.Module,
    train_set: DeviceData,
    test_set: DeviceData | None = None,
    settings: Settings | None = None,
    *,
    loss: Loss | None = None,
    folder: str | Path | None = None,
    resume: bool = True,
    after_epoch: AfterEpoch | None = None,
    progress: bool = True,
    tensorboard: bool = False,
) -> History:
    """Train `model` in place, on the device where the data lie, and return its learning curves.

    test_set    is looked at after each epoch, and chooses nothing
    settings    `Settings()` by default
    loss        loss(outputs, labels) -> a number; by default cross-entropy with the label smoothing of the
                settings; outputs with auxiliary scores (GoogLeNet, Inception) count as their papers say
    folder      for checkpoint.pt, metrics.csv and metrics.json, written after each epoch
    resume      go on from the checkpoint in the folder, if there is one: on a processor with the same bits as
                if training had never stopped. False: start over
    after_epoch after_epoch(epoch, model, history), epochs from 0, may look at the model; training ends where
                it returns True
    progress    show a bar
    tensorboard also write the curves into the folder for TensorBoard, whose package must be installed

    To train only a part of a model, freeze the rest: `model.stages.requires_grad_(False)`. Layers and blocks
    without a parameter that learns run as in evaluation: their batch normalization keeps its running
    statistics, their dropout drops nothing. `eval()` alone freezes nothing.

    Raises NotFiniteError that names the layer where numbers are no longer finite, and ValueError for
    arguments that do not fit, or do not fit the checkpoint. The random numbers of the caller stay untouched.
    """
    settings = Settings() if settings is None else settings
    check_arguments(model, train_set, test_set, settings, loss, after_epoch)
    folder = None if folder is None else Path(folder)
    board = checkpoint.Board(folder) if tensorboard and parallel.rank() == 0 else None
    run = Run(model, train_set, settings, loss)
    check_scores(model, train_set)
    check_last_batch(model, train_set, settings)
    if folder and parallel.rank() == 0:
        checkpoint.prepare(folder)
    history = run.restore(folder, test_set) if folder and resume else History(choices=run.choices)
    with ExitStack() as stack:
        stack.enter_context(device.arithmetic(run.device, settings.deterministic))
        stack.enter_context(device.fork_rng(run.device))
        bar = stack.enter_context(Bar(settings.epochs, len(train_set), len(history), progress))
        for epoch in range(len(history), 0 if history.stopped else settings.epochs):
            run.epoch(epoch, history, bar)
            if test_set is not None:
                run.test(test_set, history)
            stop = after_epoch is not None and after_epoch(epoch, model, history)
            history.stopped = bool(parallel.shared(stop))
            if folder and parallel.rank() == 0:
                run.save(folder, history)
            if board:
                board.write(history)
            if history.stopped:
                break
    history.ema = run.average.model if run.average else None
    return history


class Run:
    """What a step needs at hand: model, data, optimizer, schedule, and the choices of the device."""

    def __init__(self, model: nn.Module, data: DeviceData, settings: Settings, loss: Loss | None = None):
        self.model, self.data, self.settings, self.device = model, data, settings, data.device
        how = device.choices(settings, model, self.device)
        self.choices = {"device": device.describe(self.device), **how, "processes": parallel.world()}
        self.precision, self.channels_last, self.compiled = (
            how[name] for name in ("precision", "channels_last", "compile")
        )
        layout = torch.channels_last if self.channels_last else torch.preserve_format
        model.to(self.device, memory_format=layout)
        self.network = in_words(model)
        self.dtype = next(model.parameters()).dtype
        self.loss = loss or (lambda outputs, labels: class_loss(outputs, labels, settings.label_smoothing))
        self.optimizer = make_optimizer(settings, model.parameters(), how["fused"])
        self.schedule = make_schedule(settings)
        self.augmentations = prepare(settings.augment, data.black)
        self.average = Average(model, settings.ema) if settings.ema else None
        self.net = self.eager = parallel.wrap(model, self.device)
        if self.compiled:
            self.net = torch.compile(self.eager, dynamic=False)  # two shapes: a batch, and the last one
        self.steps = -(-len(data) // settings.batch_size)  # of an epoch

    # --- one step ------------------------------------------------------------------------------------

    def batch(self, chosen: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, float]:
        """Pictures and labels of this process's part of a batch, and the weight of their mean loss.

        chosen   (B,) the positions of the whole batch in the data set
        """
        part, weight = parallel.part_of(len(chosen))
        if self.augmentations:
            images = self.data.normalize(self.data.images[chosen])
            images = augment_batch(images, part, self.augmentations, generator)
        else:
            images = self.data.normalize(self.data.images[chosen[part]])
        images = device.to_layout(images.to(self.dtype), self.channels_last)
        return images, self.data.labels[chosen[part]], weight

    def step(self, chosen: Tensor, lr: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """One iteration: forward, loss, backward, update. Returns loss and right answers, on the device."""
        images, labels, weight = self.batch(chosen, generator)
        with device.autocast(self.device, self.precision):
            outputs = self.net(images)
            loss = self.loss(outputs, labels) * weight
        if loss.ndim:
            raise ValueError(f"loss must return one number, got a tensor of shape {tuple(loss.shape)}")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.settings.clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip)
        set_lr(self.optimizer, lr)
        self.optimizer.step()
        if self.average:
            self.average.update()
        right = (scores(outputs).argmax(1) == labels).sum()
        return loss.detach(), right if weight else 0 * right

    # --- one epoch -----------------------------------------------------------------------------------

    def epoch(self, epoch: int, history: History, bar: Bar) -> None:
        """All samples once, in a new order; adds a line to the history."""
        start, before = time.perf_counter(), self.snapshot()
        batches, generator = self.begin(epoch)
        losses = torch.zeros(self.steps, device=self.device)
        right = torch.zeros((), dtype=torch.int64, device=self.device)
        rates = [
            self.schedule(epoch * self.steps + s, self.settings.epochs * self.steps)
            for s in range(self.steps)
        ]
        for step, chosen in enumerate(batches):
            losses[step], correct = self.guarded_step(chosen, rates[step], generator)
            right += correct
            bar.update(len(chosen))
            if (step + 1) % LOOK_EVERY == 0 or step + 1 == self.steps:
                so_far = parallel.total(losses[: step + 1].clone()) / parallel.world()
                if not self.finite(so_far, step + 1 == self.steps):
                    self.explain(epoch, before, so_far)
                bar.look(epoch, so_far[-LOOK_EVERY:])
        for model in filter(None, (self.model, self.average and self.average.model)):
            parallel.broadcast_buffers(model)
        device.synchronize(self.device)
        history.seconds.append(time.perf_counter() - start)
        sizes = torch.tensor([len(chosen) for chosen in batches])
        history.train_loss.append(float((so_far.cpu().double() * sizes).sum() / len(self.data)))
        history.train_accuracy.append(int(parallel.total(right)) / len(self.data))
        history.step_loss += so_far.tolist()
        history.step_lr += rates
        history.lr.append(rates[-1])

    def begin(self, epoch: int) -> tuple[tuple[Tensor, ...], torch.Generator]:
        """The batches of this epoch, and the generator of its augmentation.

        Every epoch has its own random numbers, made from the seed and the number of the epoch: so a resumed
        training needs no state of theirs.
        """
        seed = self.settings.seed
        order = torch.randperm(len(self.data), generator=torch.Generator().manual_seed(mixed(seed, epoch, 0)))
        generator = torch.Generator(self.device).manual_seed(mixed(seed, epoch, 1))
        torch.manual_seed(mixed(seed, epoch, 2 + parallel.rank()))  # for dropout: other samples, other masks
        training_mode(self.model)
        return order.to(self.device).split(self.settings.batch_size), generator

    def guarded_step(self, chosen: Tensor, lr: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """`step`; where torch.compile fails at its first call, say so and go on without it."""
        if self.compiled is not True:
            return self.step(chosen, lr, generator)
        self.compiled = "yes"  # from now on, errors are errors
        state = generator.get_state()
        try:
            return self.step(chosen, lr, generator)
        except Exception as error:
            kinds = [kind.__module__ for kind in type(error).__mro__]
            if not any(kind.startswith(("torch._dynamo", "torch._inductor")) for kind in kinds):
                raise
            reason = str(error).strip().splitlines()[0][:200]
            print(f"torch.compile does not work here, training goes on without it ({reason}).")
        self.net, self.choices["compile"] = self.eager, False
        generator.set_state(state)
        return self.step(chosen, lr, generator)

    def test(self, data: DeviceData, history: History) -> None:
        """Loss and accuracy after the epoch; each process looks at its part of the pictures."""
        part, weight = parallel.part_of(len(data))
        where = self.device if parallel.world() > 1 else None  # alone on the processor: MPS has no float64
        for model in filter(None, (self.model, self.average and self.average.model)):
            numbers = torch.tensor(evaluate(model, data[part]), dtype=torch.float64, device=where)
            loss, accuracy = (parallel.total(numbers * weight) / parallel.world()).tolist()
            if model is self.model:
                history.test_loss.append(loss)
                history.test_accuracy.append(accuracy)
            else:
                history.ema_accuracy.append(accuracy)

    # --- numbers that are not finite -----------------------------------------------------------------

    def finite(self, losses: Tensor, last: bool) -> bool:
        """Whether all losses are finite, and, after the last step of an epoch, all weights."""
        fine = losses.isfinite().all()
        if last:
            fine = fine & torch.stack([p.isfinite().all() for p in self.model.parameters()]).all()
        return bool(fine)

    def snapshot(self) -> dict:
        """A copy of all that a step changes."""
        return copy.deepcopy({"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()})

    def explain(self, epoch: int, before: dict, losses: Tensor) -> None:
        """Run the epoch again up to the first loss that is not finite, watch the layers, raise the error."""
        bad = (~losses.isfinite()).nonzero()
        bad = int(bad[0]) if len(bad) else self.steps  # the first step whose loss is not finite
        self.model.load_state_dict(before["model"])
        self.optimizer.load_state_dict(before["optimizer"])
        batches, generator = self.begin(epoch)
        total, where, step, lr = self.settings.epochs * self.steps, None, 0, 0.0
        for step, chosen in enumerate(batches[: bad + 1]):
            lr = self.schedule(epoch * self.steps + step, total)
            if step < bad - 1:
                self.step(chosen, lr, generator)
                continue
            kept = copy.deepcopy(self.model.state_dict())
            where = self.watched_step(chosen, generator) or self.updated_weight(chosen, lr, generator)
            if where:
                self.model.load_state_dict(kept)
                break
        raise NotFiniteError(advice(where or "the loss", epoch, step, lr))

    def updated_weight(self, chosen: Tensor, lr: float, generator: torch.Generator) -> str | None:
        """Do the step: which weight, finite before, is not afterwards?"""
        self.step(chosen, lr, generator)
        bad = (name for name, p in self.model.named_parameters() if not p.isfinite().all())
        return next((f"the update of {name}" for name in bad), None)

    def watched_step(self, chosen: Tensor, generator: torch.Generator) -> str | None:
        """What is not finite in this step, in any process; nothing is updated."""
        state, kept = generator.get_state(), copy.deepcopy(self.model.state_dict())
        images, labels, weight = self.batch(chosen, generator)
        with device.fork_rng(self.device), device.autocast(self.device, self.precision):
            where = first_not_finite(self.model, images, lambda outputs: self.loss(outputs, labels) * weight)
        self.model.load_state_dict(kept)  # running statistics as they were
        generator.set_state(state)
        return next(filter(None, parallel.gathered(where)), None)

    # --- files ---------------------------------------------------------------------------------------

    def save(self, folder: Path, history: History) -> None:
        """Checkpoint and metrics after an epoch."""
        state = {
            "settings": self.settings.as_dict(),
            **self.about_data(),
            "network": self.network,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "ema": self.average.model.state_dict() if self.average else None,
            "history": history.as_dict(),
        }
        about = {"model": type(self.model).__name__, "data": self.data.name, "samples": len(self.data)}
        checkpoint.write_metrics(folder, history, about | {"settings": state["settings"]})
        checkpoint.write(folder, state)

    def about_data(self) -> dict:
        """By what a checkpoint knows the data again."""
        numbers = ", ".join(f"{value:.4f}" for value in (*self.data.mean, *self.data.std))
        shape = "×".join(map(str, self.data.images.shape[1:]))
        return {"samples": len(self.data), "data": f"{self.data.name} {shape}, mean and std {numbers}"}

    def restore(self, folder: Path, test_set: DeviceData | None = None) -> History:
        """Take over the checkpoint of the folder, if there is one; returns the history so far."""
        state = parallel.shared(checkpoint.read(folder) if parallel.rank() == 0 else None)
        if state is None:
            return History(choices=self.choices)
        checkpoint.check(state, self.settings.as_dict(), self.about_data(), self.network, folder)
        try:
            self.model.load_state_dict(state["model"])
        except RuntimeError as error:
            raise ValueError(f"folder: {folder} holds the weights of another model ({error})") from error
        # lr and the like follow from the settings; how to compute (fused, foreach) is this device's business
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict(state["optimizer"] | {"param_groups": groups})
        history = History(**state["history"] | {"choices": self.choices})
        goes_on = len(history) < self.settings.epochs and not history.stopped
        if goes_on and bool(history.test_loss) != (test_set is not None):
            was = "a test_set" if history.test_loss else "no test_set"
            raise ValueError(f"test_set must be as before: {folder} holds a training with {was}")
        if self.average:
            self.average.model.load_state_dict(state["ema"])
            self.average.steps = len(history) * self.steps
        return history


class Bar:
    """The progress bar: samples, and now and then the loss."""

    def __init__(self, epochs: int, samples: int, done: int, shown: bool):
        self.epochs = epochs
        self.tqdm = tqdm(
            total=epochs * samples,
            initial=done * samples,
            disable=not shown or parallel.rank() > 0,
            file=sys.stdout,  # on stderr a notebook shows it in red, as if something were wrong
            unit=" samples",
            unit_scale=True,
        )

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *error) -> None:
        self.tqdm.close()

    def update(self, samples: int) -> None:
        self.tqdm.update(samples)

    def look(self, epoch: int, losses: Tensor) -> None:
        """Show the mean of the last losses."""
        if not self.tqdm.disable:
            self.tqdm.set_description(f"epoch {epoch + 1}/{self.epochs}", refresh=False)
            self.tqdm.set_postfix_str(f"loss {float(losses.mean()):.3f}", refresh=False)


def training_mode(model: nn.Module) -> None:
    """Training mode for the model, evaluation mode for its frozen parts.

    Frozen is a layer, or a block of layers, that has parameters, none of which requires a gradient. It keeps
    all that it has learned: the running statistics of batch normalization, too, which need no gradient.
    """
    model.train()
    for part in model.modules():
        trained = [parameter.requires_grad for parameter in part.parameters()]
        if trained and not any(trained):
            part.eval()


def mixed(*numbers: int) -> int:
    """One seed from several numbers; near ones give seeds that have nothing to do with each other."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


# --- loss and test -----------------------------------------------------------------------------------


def scores(outputs: Tensor | tuple[Tensor, ...]) -> Tensor:
    """The scores of the classes (N, classes): of several outputs the first."""
    return outputs[0] if isinstance(outputs, (tuple, list)) else outputs


def class_loss(outputs: Tensor | tuple[Tensor, ...], labels: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Cross-entropy of the scores; auxiliary scores count as in `auxiliary_loss`."""
    if isinstance(outputs, (tuple, list)):
        return auxiliary_loss(tuple(outputs), labels, label_smoothing=label_smoothing)
    return F.cross_entropy(outputs, labels, label_smoothing=label_smoothing)


@torch.no_grad()
def scored(model: nn.Module, data: DeviceData, batch_size: int):
    """Batch by batch (scores, labels) of the model in evaluation mode; nothing waits."""
    as_integer(batch_size, "batch_size")
    modes = [(layer, layer.training) for layer in model.modules()]
    like = next(model.parameters(), data.normalize(data.images[:1]))
    model.eval()
    try:
        for images, labels in zip(data.images.split(batch_size), data.labels.split(batch_size), strict=True):
            yield scores(model(data.normalize(images).to(like))), labels.to(like.device)
    finally:
        for layer, training in modes:
            layer.training = training


def evaluate(model: nn.Module, data: DeviceData, batch_size: int = 1000) -> tuple[float, float]:
    """(mean cross-entropy, share of right answers) of the model in evaluation mode.

    Computed in the dtype of the model, sums in float64 (float32 on MPS). The model and each of its
    layers are left in their mode.
    """
    check_model(model)
    check_data("data", data)
    loss = right = 0
    for outputs, labels in scored(model, data, batch_size):
        if isinstance(right, int):  # the first batch
            check_labels("data", data, outputs.shape[1])
        each = F.cross_entropy(outputs, labels, reduction="none")
        loss = loss + each.sum(dtype=torch.float32 if each.device.type == "mps" else torch.float64)
        right = right + (outputs.argmax(1) == labels).sum()
    return float(loss) / len(data), int(right) / len(data)


def predict(model: nn.Module, data: DeviceData, batch_size: int = 1000) -> Tensor:
    """The scores of the model in evaluation mode: (N, classes) float32 on the processor."""
    check_model(model)
    check_data("data", data)
    return torch.cat([outputs for outputs, _ in scored(model, data, batch_size)]).float().cpu()


# --- arguments ---------------------------------------------------------------------------------------


def check_data(name: str, data: object) -> None:
    if not isinstance(data, DeviceData):
        raise ValueError(
            f"{name} must be DeviceData (see train.load and train.from_dataset), got {type(data).__name__}"
        )
    if not len(data):
        raise ValueError(f"{name} must hold at least one image, got none")


def check_labels(name: str, data: DeviceData, classes: int) -> None:
    """Raises ValueError for a label that stands for no class: a GPU would stop without a reason."""
    low, high = data.labels.min(), data.labels.max()
    if low < 0 or high >= classes:
        raise ValueError(f"{name}: labels must lie in 0 to {classes - 1}, got {int(low)} to {int(high)}")


def check_model(model: object) -> None:
    if not isinstance(model, nn.Module):
        raise ValueError(f"model must be an nn.Module, got {type(model).__name__}")


def check_last_batch(model: nn.Module, data: DeviceData, settings: Settings) -> None:
    """Raises ValueError if batch normalization would get one number a channel from a batch of one picture."""
    size = min(settings.batch_size, len(data))
    fewest = min(size, len(data) % size or size) // parallel.world()
    norms = [layer for layer in model.modules() if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d))]
    if fewest > 1 or not norms:
        return
    images = data.normalize(data.images[:1]).to(next(model.parameters()))
    try:
        with torch.no_grad(), device.fork_rng(data.device):
            trial = copy.deepcopy(model)
            training_mode(trial)
            trial(images)
    except ValueError as error:
        if "more than 1 value per channel" in str(error):
            raise ValueError(
                f"batch_size must leave no batch of one picture, which batch normalization cannot take, got "
                f"{settings.batch_size} for {len(data)} pictures and {parallel.world()} process(es)"
            ) from None
        raise


def check_scores(model: nn.Module, data: DeviceData) -> None:
    """Raises ValueError if the model does not take the images, or does not give a score for each class."""
    try:
        outputs, _ = next(scored(model, data[:2], 2))
    except torch.cuda.OutOfMemoryError:
        raise
    except RuntimeError as error:
        reason, shape = str(error).strip().partition("\n")[0], tuple(data.images.shape[1:])
        raise ValueError(f"model must take images of {shape}, as train_set has them ({reason})") from error
    if not isinstance(outputs, Tensor):
        raise ValueError(f"model must give scores, or a tuple that begins with them, got {type(outputs)}")
    if outputs.ndim != 2 or outputs.shape[1] < len(data.classes):
        shape, classes = tuple(outputs.shape), len(data.classes)
        raise ValueError(f"model must give scores (N, {classes}), one a class, got {shape} for 2 images")


def check_arguments(model, train_set, test_set, settings, loss, after_epoch) -> None:
    """Raises ValueError for the first argument of `fit` that does not fit."""
    if not isinstance(model, nn.Module) or not any(p.requires_grad for p in model.parameters()):
        raise ValueError(f"model must be an nn.Module with parameters to train, got {type(model).__name__}")
    if not isinstance(settings, Settings):
        raise ValueError(f"settings must be train.Settings, got {type(settings).__name__}")
    if after_epoch is not None and not callable(after_epoch):
        raise ValueError(f"after_epoch must be a function (epoch, model, history), got {after_epoch!r}")
    if loss is not None and not callable(loss):
        raise ValueError(f"loss must be a function (outputs, labels) -> a number, got {loss!r}")
    if loss is not None and settings.label_smoothing:
        raise ValueError(
            "label_smoothing must be 0 with a loss of your own, which settles it, got "
            f"{settings.label_smoothing}"
        )
    check_data("train_set", train_set)
    check_labels("train_set", train_set, len(train_set.classes))
    if test_set is not None:
        check_data("test_set", test_set)
        check_labels("test_set", test_set, len(train_set.classes))
        if test_set.images.shape[1:] != train_set.images.shape[1:]:
            shapes = [tuple(data.images.shape[1:]) for data in (train_set, test_set)]
            raise ValueError(f"test_set must hold images of {shapes[0]}, as train_set, got {shapes[1]}")
