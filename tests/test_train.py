"""utils.train against loops written out in plain PyTorch, torch's own schedules, brute force, and real kills."""

import csv
import json
import math
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.swa_utils import AveragedModel
from torch.utils._python_dispatch import TorchDispatchMode

from utils import data as files
from utils import train
from utils.models import MODELS, build
from utils.train import augment, checkpoint, command, device, loop, parallel
from utils.train.settings import make_schedule

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = train.Settings(epochs=2, batch_size=64, lr=0.01)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def sets():
    train_set, test_set = train.load(sample=True, limit=300, device="cpu")
    return train_set.resize(14), test_set[:150].resize(14)


def small_model(seed=0, norm=True, dropout=0.0):
    torch.manual_seed(seed)
    middle = [nn.BatchNorm2d(6)] if norm else []
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1), *middle, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Dropout(dropout), nn.Linear(6 * 49, 10),
    )  # fmt: skip


def order_of(seed, epoch, count):
    """The order of an epoch, as documented: a permutation from the seed mixed with the number of the epoch."""
    mixed = np.random.SeedSequence([seed, epoch, 0]).generate_state(1, np.uint64)[0] >> np.uint64(1)
    return torch.randperm(count, generator=torch.Generator().manual_seed(int(mixed)))


def same(model, other):
    return all(
        torch.equal(a, b)
        for a, b in zip(model.state_dict().values(), other.state_dict().values(), strict=True)
    )


def fit(model, data, *arguments, **options):
    return train.fit(model, data, *arguments, progress=False, **options)


# --- data --------------------------------------------------------------------------------------------


def test_load_is_balanced_nested_and_normalized():
    whole, test = train.load(sample=True, device="cpu")
    part, _ = train.load(sample=True, limit=205, device="cpu")
    smaller, _ = train.load(sample=True, limit=33, device="cpu")
    assert len(whole) == 3000
    assert len(test) == 1000
    counts = part.labels.bincount()
    assert counts.min() == 20
    assert counts.max() == 21
    assert torch.equal(part.images[:33], smaller.images)
    assert len(train.load(sample=True, limit=10**6, device="cpu")[0]) == 3000
    pixels = whole.images.double() / 255
    assert whole.mean == pytest.approx([float(pixels.mean())])
    assert whole.std == pytest.approx([float(pixels.std(unbiased=False))])
    assert part.mean == test.mean == whole.mean
    x = whole.normalize(whole.images)
    assert x.dtype == torch.float32
    assert abs(float(x.mean())) < 1e-4
    assert float(x.std()) == pytest.approx(1, abs=1e-3)


def test_color_images_and_indexing():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (12, 5, 7, 3)).astype(np.uint8)
    dataset = files.Dataset(images, np.arange(12) % 3, ("a", "b", "c"), "mine", "train", "here")
    data = train.from_dataset(dataset, "cpu")
    assert data.images.shape == (12, 3, 5, 7)
    assert data.mean == pytest.approx(images.mean((0, 1, 2)) / 255)
    assert data.std == pytest.approx(images.std((0, 1, 2)) / 255)
    expected = (images[3] / 255 - np.array(data.mean)) / np.array(data.std)
    np.testing.assert_allclose(data.normalize(data.images[3:4])[0].movedim(0, -1), expected, atol=1e-6)
    for index in (
        slice(2, 5),
        torch.tensor([2, 3, 4]),
        np.array([2, 3, 4]),
        np.isin(np.arange(12), [2, 3, 4]),
    ):
        assert torch.equal(data[index].images, data.images[2:5])
    assert data.resize((5, 7)) is data
    assert data.resize(10).images.shape == (12, 3, 10, 10)


def test_smaller_pictures_are_means():
    images = torch.arange(2 * 16).reshape(2, 1, 4, 4).to(torch.uint8)
    data = train.DeviceData(images, torch.tensor([0, 1]), ("a", "b"), (0.5,), (0.5,))
    expected = images.double().reshape(2, 1, 2, 2, 2, 2).mean((3, 5)).round()
    assert torch.equal(data.resize(2).images.double(), expected)


# --- training against plain PyTorch ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "make"),
    [
        (replace(SETTINGS, schedule="constant"), lambda p: torch.optim.Adam(p, 0.01)),
        (
            replace(SETTINGS, optimizer="adamw", weight_decay=0.05, clip=0.5, schedule="constant"),
            lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.05),
        ),
        (
            replace(SETTINGS, optimizer="sgd", nesterov=True, weight_decay=1e-3, label_smoothing=0.2),
            lambda p: torch.optim.SGD(p, 0.01, 0.9, weight_decay=1e-3, nesterov=True),
        ),
    ],
    ids=["adam", "adamw", "sgd"],
)
def test_the_same_weights_as_a_plain_loop(sets, settings, make):
    data, test = sets
    model, theirs = small_model().double(), small_model().double()
    history = fit(model, data, test, settings)

    optimizer, losses = make(theirs.parameters()), []
    schedule, steps = make_schedule(settings), math.ceil(300 / 64)
    x = data.images.double() / 255
    x, rates = (x - data.mean[0]) / data.std[0], []
    for epoch in range(2):
        for step, chosen in enumerate(order_of(0, epoch, 300).split(64)):
            optimizer.param_groups[0]["lr"] = schedule(epoch * steps + step, 2 * steps)
            loss = F.cross_entropy(
                theirs(x[chosen]), data.labels[chosen], label_smoothing=settings.label_smoothing
            )
            optimizer.zero_grad()
            loss.backward()
            if settings.clip:
                nn.utils.clip_grad_norm_(theirs.parameters(), settings.clip)
            optimizer.step()
            losses.append(loss.item())
            rates.append(optimizer.param_groups[0]["lr"])
    for ours, expected in zip(model.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-6)  # pixels are rounded to float32
    np.testing.assert_allclose(history.step_loss, losses, rtol=1e-5)
    assert history.step_lr == rates
    assert history.lr == rates[steps - 1 :: steps]
    sizes = np.array([64] * 4 + [44])
    assert history.train_loss[1] == pytest.approx(np.average(losses[steps:], weights=sizes), rel=1e-5)

    theirs.eval()
    z = theirs((test.images.double() / 255 - data.mean[0]) / data.std[0])
    assert history.test_loss[-1] == pytest.approx(F.cross_entropy(z, test.labels).item(), rel=1e-4)
    assert train.evaluate(model, test, 64)[1] == history.test_accuracy[-1]
    torch.testing.assert_close(train.predict(model, test), z.float(), rtol=1e-3, atol=1e-4)


def test_the_seed_decides_everything_and_the_caller_keeps_his_random_numbers(sets):
    settings = replace(SETTINGS, augment=("flip", "shift", "erase", "noise"), ema=0.9)
    models = [small_model(dropout=0.3) for _ in range(3)]
    torch.manual_seed(77)
    expected = torch.rand(1)
    for model, seed, disturbance in zip(models, (1, 1, 2), (5, 6, 7), strict=True):
        torch.manual_seed(disturbance)
        before = torch.get_rng_state()
        fit(model, sets[0], None, replace(settings, seed=seed))
        assert torch.equal(torch.get_rng_state(), before)
    assert same(models[0], models[1])
    assert not same(models[0], models[2])
    torch.manual_seed(77)
    assert torch.equal(torch.rand(1), expected)


def test_after_epoch_stops_and_mode_is_kept(sets):
    seen = []
    model = small_model()

    def after_epoch(epoch, model, history):
        seen.append((epoch, len(history), len(history.test_loss)))
        return epoch == 1

    history = fit(model, *sets, replace(SETTINGS, epochs=5), after_epoch=after_epoch)
    assert seen == [(0, 1, 1), (1, 2, 2)]
    assert history.stopped
    model.eval()
    train.evaluate(model, sets[1])
    assert not model.training
    lines = str(history).splitlines()
    assert len(lines) == len(history.table()) == 2
    assert f"{history.test_accuracy[1]:.2%}" in lines[1]


def frozen_model(which):
    """A small network of which a part is frozen, and the names of the entries that must stay as they are."""
    torch.manual_seed(3)
    norm = nn.BatchNorm2d(6, affine=which != "a block, its norm without parameters")
    body = nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), norm, nn.ReLU(), nn.Dropout(0.5), nn.MaxPool2d(2))
    model = nn.Sequential(body, nn.Conv2d(6, 4, 1), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 49, 10))
    (norm if which == "a norm alone" else body).requires_grad_(False)
    stays = "0.1." if which == "a norm alone" else "0."
    return model, [name for name in model.state_dict() if name.startswith(stays)]


@pytest.mark.parametrize("which", ["a block", "a block, its norm without parameters", "a norm alone"])
def test_what_is_frozen_stays_as_it_is(sets, which):
    model, stays = frozen_model(which)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes = []

    def look(epoch, model, history):
        modes.append({name: layer.training for name, layer in model.named_modules()})

    fit(model.eval(), *sets, replace(SETTINGS, ema=0.9, weight_decay=0.1), after_epoch=look)
    after = model.state_dict()
    assert {name for name in before if torch.equal(before[name], after[name])} == set(stays)
    assert float(after["2.num_batches_tracked"]) == 10  # what is not frozen learns, running statistics too
    for mode in modes:
        assert mode["2"], "not frozen"
        assert not mode["0.1"], "frozen"
        assert mode["0.3"] == (which == "a norm alone"), "dropout of a frozen block"


def test_frozen_features_are_those_of_evaluation(sets):
    """A dense layer on a frozen body learns as one that gets the features of the body in evaluation mode."""
    model, _ = frozen_model("a block")
    model[1:3].requires_grad_(False)
    model[0][1].running_mean.add_(0.1)  # statistics that are not those of a batch
    data = sets[0]
    with torch.no_grad():
        features = model.eval()[:4](data.normalize(data.images))
    head = nn.Linear(4 * 49, 10)
    head.load_state_dict(model[4].state_dict())
    settings = replace(SETTINGS, optimizer="sgd", schedule="constant")
    history = fit(model, data, None, settings)
    optimizer, losses = torch.optim.SGD(head.parameters(), 0.01, 0.9), []
    for epoch in range(2):
        for chosen in order_of(0, epoch, 300).split(64):
            loss = F.cross_entropy(head(features[chosen]), data.labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    np.testing.assert_allclose(history.step_loss, losses, rtol=1e-4)


def test_layers_may_thaw_between_epochs_and_a_frozen_dense_norm_takes_one_picture(sets):
    model, _ = frozen_model("a block")
    start = model[0][1].running_mean.clone()
    still = []

    def thaw(epoch, model, history):
        still.append(torch.equal(model[0][1].running_mean, start))
        model.requires_grad_(True)

    fit(model, sets[0], None, SETTINGS, after_epoch=thaw)
    assert still == [True, False]
    dense = nn.Sequential(nn.Flatten(), nn.Linear(196, 8), nn.BatchNorm1d(8), nn.Linear(8, 10))
    dense[2].requires_grad_(False)
    fit(dense, sets[0][:65], None, SETTINGS)  # the last batch is one picture: no statistics are taken of it


def test_several_outputs(sets):
    """GoogLeNet's auxiliary scores enter the loss with weight 0.3; a loss of one's own replaces it."""

    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.side = small_model(), nn.Linear(196, 10)

        def forward(self, x):
            scores = self.body(x)
            return (scores, self.side(x.flatten(1))) if self.training else scores

    def by_hand(outputs, labels):
        return F.cross_entropy(outputs[0], labels) + 0.3 * F.cross_entropy(outputs[1], labels)

    models = [Two(), Two()]
    models[1].load_state_dict(models[0].state_dict())
    histories = [
        fit(model, *sets, SETTINGS, loss=loss) for model, loss in zip(models, (None, by_hand), strict=True)
    ]
    np.testing.assert_allclose(histories[0].step_loss, histories[1].step_loss, rtol=1e-5)
    smoothed = loop.class_loss((torch.eye(10), torch.eye(10)), torch.arange(10), 0.1)
    assert float(smoothed) == pytest.approx(
        1.3 * F.cross_entropy(torch.eye(10), torch.arange(10), label_smoothing=0.1)
    )


def test_a_step_never_asks_the_device_for_a_number(sets):
    """No operation whose result the processor needs: on a GPU each of them would wait for all that came before."""
    waiting = {
        "aten::_local_scalar_dense",
        "aten::nonzero",
        "aten::equal",
        "aten::masked_select",
        "aten::is_nonzero",
    }

    class Watch(TorchDispatchMode):
        seen = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            self.seen += 1
            assert function._schema.name not in waiting, function
            return function(*args, **(kwargs or {}))

    settings = replace(
        SETTINGS, augment=("flip", "shift", "erase", "noise"), ema=0.9, clip=1.0, label_smoothing=0.1
    )
    run = loop.Run(small_model(dropout=0.1), sets[0], settings)
    run.optimizer.step = lambda: None  # counts its steps on the processor, unless fused
    batches, generator = run.begin(0)
    with Watch() as watch:
        run.step(batches[0], 0.01, generator)
    assert watch.seen > 100


# --- schedules, smoothing, averages ------------------------------------------------------------------


def rates_of(scheduler, optimizer, total):
    rates = []
    for _ in range(total):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize("total", [10, 37, 400])
def test_schedules_are_those_of_torch(total):
    def ours(**options):
        schedule = make_schedule(train.Settings(lr=0.3, **options))
        return [schedule(step, total) for step in range(total)]

    def fresh():
        return torch.optim.SGD([nn.Parameter(torch.zeros(1))], 0.3)

    optimizer = fresh()
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 0.3, total, pct_start=0.2, anneal_strategy="linear", cycle_momentum=False
    )
    np.testing.assert_allclose(
        ours(schedule="one-cycle"), rates_of(cycle, optimizer, total), rtol=1e-9, atol=1e-12
    )
    optimizer = fresh()
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, total)
    np.testing.assert_allclose(
        ours(schedule="cosine", warmup=0.0), rates_of(cosine, optimizer, total), atol=1e-9
    )
    optimizer = fresh()
    steps = torch.optim.lr_scheduler.MultiStepLR(optimizer, [math.ceil(total / 2), math.ceil(3 * total / 4)])
    np.testing.assert_allclose(
        ours(schedule="step", warmup=0.0), rates_of(steps, optimizer, total), rtol=1e-9
    )
    assert ours(schedule="constant") == [0.3] * total
    for schedule in ("cosine", "step"):
        rates = ours(schedule=schedule, warmup=0.3)
        top = round(0.3 * total)
        assert rates[top] == pytest.approx(0.3)
        np.testing.assert_allclose(np.diff(rates[: top + 1]), 0.3 / (top + 1), rtol=1e-9)


def test_label_smoothing_is_cross_entropy_with_shared_targets():
    torch.manual_seed(0)
    z, labels = torch.randn(7, 4, dtype=torch.float64), torch.tensor([0, 1, 2, 3, 0, 1, 2])
    targets = 0.9 * F.one_hot(labels, 4).double() + 0.1 / 4
    expected = -(targets * z.log_softmax(1)).sum(1).mean()
    assert float(loop.class_loss(z, labels, 0.1)) == pytest.approx(float(expected), rel=1e-12)


def test_the_average_is_that_of_torch(sets):
    def decay(average, now, steps):
        share = min(0.8, steps / (steps + 1))
        return share * average + (1 - share) * now

    model = small_model()
    ours, theirs = train.loop.Average(model, 0.8), AveragedModel(model, avg_fn=decay, use_buffers=True)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(9):
        loss = F.cross_entropy(model(sets[0].normalize(sets[0].images[:32])), sets[0].labels[:32])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        ours.update()
        theirs.update_parameters(model)
    for a, b in zip(ours.model.state_dict().values(), theirs.module.state_dict().values(), strict=True):
        if a.is_floating_point():
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
        else:
            assert a == 9
    history = fit(small_model(), *sets, replace(SETTINGS, ema=0.9))
    assert train.evaluate(history.ema, sets[1])[1] == history.ema_accuracy[-1]
    assert history.ema_accuracy != history.test_accuracy


# --- augmentation ------------------------------------------------------------------------------------


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_flip_mirrors_whole_pictures():
    x = torch.rand(200, 2, 5, 6)
    y = train.Flip()(x, generator())
    mirrored = [torch.equal(a, b.flip(-1)) for a, b in zip(y, x, strict=True)]
    left = [torch.equal(a, b) for a, b in zip(y, x, strict=True)]
    assert all(a != b for a, b in zip(mirrored, left, strict=True))
    assert 70 < sum(mirrored) < 130
    assert torch.equal(train.Flip(1.0)(train.Flip(1.0)(x, generator()), generator()), x)


@pytest.mark.parametrize(("channels", "pixels", "fill"), [(1, 2, -0.8), (3, 1, (1.0, 2.0, 3.0)), (2, 0, 0.0)])
def test_shift_is_the_loop(channels, pixels, fill):
    x = torch.rand(60, channels, 6, 4)
    shift = train.Shift(pixels, fill)
    top, left = shift.draw(x.shape, generator())
    y = shift.apply(x, top, left)
    fills = [fill] * channels if isinstance(fill, float) else fill
    assert torch.equal(y, shift(x, generator()))
    assert set(top.tolist()) == set(left.tolist()) == set(range(2 * pixels + 1))
    for n in range(60):
        for i in range(6):
            for j in range(4):
                r, c = i + int(top[n]) - pixels, j + int(left[n]) - pixels
                inside = 0 <= r < 6 and 0 <= c < 4
                expected = x[n, :, r, c] if inside else torch.tensor(fills)
                assert torch.equal(y[n, :, i, j], expected)


def test_erase_covers_one_rectangle_of_the_promised_size():
    x = torch.rand(400, 2, 20, 24) + 1
    y = train.Erase(fill=0.0)(x, generator())
    covered = (y == 0).all(1)
    assert torch.equal(y.where(~covered[:, None], x), x)
    sizes = []
    for mask in covered:
        if mask.any():
            rows, columns = mask.any(1), mask.any(0)
            assert torch.equal(mask, rows[:, None] & columns[None])
            assert len(rows.nonzero()) == rows.nonzero().max() - rows.nonzero().min() + 1
            sizes.append((int(rows.sum()), int(columns.sum())))
    assert 150 < len(sizes) < 250
    area = np.array([h * w for h, w in sizes]) / 480
    assert 0.01 < area.min() < 0.05
    assert 0.35 < area.max() < 0.45
    ratios = np.array([h / w for h, w in sizes])
    assert ratios.min() < 0.5
    assert ratios.max() > 2
    assert torch.equal(train.Erase(p=0.0)(x, generator()), x)


def test_noise_has_its_deviation_and_black_is_black(sets):
    x = torch.zeros(50, 1, 10, 10)
    y = train.Noise(0.3)(x, generator())
    assert float(y.std()) == pytest.approx(0.3, rel=0.05)
    black = sets[0].normalize(torch.zeros(1, 1, 1, 1, dtype=torch.uint8)).item()
    (shift,) = augment.prepare(("shift",), sets[0].black)
    assert float(shift(x + 5, generator()).min()) == pytest.approx(black, rel=1e-5)


def test_a_part_of_the_batch_is_augmented_as_in_the_whole_batch():
    x = torch.rand(10, 1, 6, 6)

    def own(images, generator):
        return images + torch.rand((len(images), 1, 1, 1), generator=generator)

    for chosen in (("flip", "shift", "erase", "noise"), ("flip", own)):
        todo = augment.prepare(chosen, (0.0,))
        whole = augment.augment_batch(x, slice(0, 10), todo, generator())
        part = augment.augment_batch(x, slice(3, 7), todo, generator())
        assert torch.equal(whole[3:7], part)


# --- interrupted and resumed -------------------------------------------------------------------------

RESUMED = replace(
    SETTINGS, epochs=4, optimizer="sgd", augment=("flip", "shift", "erase"), ema=0.9, label_smoothing=0.1
)
KILLED = """
import os, signal, sys
sys.path[:0] = [{root!r}, {tests!r}]
import torch
from test_train import RESUMED, small_model
from utils import train
torch.set_num_threads(1)
train_set, test_set = (d.resize(14) for d in train.load(sample=True, limit=300, device="cpu"))
steps = 0
def loss(outputs, labels):
    global steps
    steps += 1
    if steps == 13:  # in the middle of the third epoch
        os.kill(os.getpid(), signal.SIGKILL)
    return torch.nn.functional.cross_entropy(outputs, labels, label_smoothing=0.1)
import test_train
train.loop.class_loss = lambda outputs, labels, smoothing: loss(outputs, labels)
train.fit(small_model(dropout=0.2), train_set, test_set[:150], RESUMED, folder={folder!r}, progress=False)
"""


def test_a_killed_training_goes_on_to_the_same_bits(sets, tmp_path):
    whole = small_model(dropout=0.2)
    expected = fit(whole, *sets, RESUMED)
    program = KILLED.format(root=str(ROOT), tests=str(ROOT / "tests"), folder=str(tmp_path))
    killed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(checkpoint.read(tmp_path)["history"]["train_loss"]) == 2
    (tmp_path / "checkpoint.pt.part").write_bytes(b"half of a file")  # as a kill while writing leaves it

    model = small_model(seed=9, dropout=0.2)  # other first weights: they come from the checkpoint
    history = fit(model, *sets, RESUMED, folder=tmp_path)
    assert same(model, whole)
    assert same(history.ema, expected.ema)
    assert history.step_loss == expected.step_loss
    assert history.test_loss == expected.test_loss
    assert history.ema_accuracy == expected.ema_accuracy

    again = fit(small_model(seed=3, dropout=0.2), *sets, RESUMED, folder=tmp_path)  # done: nothing to do
    assert again.as_dict() == history.as_dict()
    rows = list(csv.DictReader((tmp_path / "metrics.csv").open()))
    assert [float(row["test loss"]) for row in rows] == history.test_loss
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["step_loss"] == history.step_loss
    assert metrics["settings"]["augment"] == ["flip", "shift", "erase"]
    loaded = train.load_weights(small_model(seed=5), tmp_path, average=True)
    assert same(loaded, expected.ema)


def test_a_folder_of_another_training_is_refused(sets, tmp_path):
    fit(small_model(), sets[0], None, replace(SETTINGS, epochs=1), folder=tmp_path)
    with pytest.raises(
        ValueError, match=r"folder: .* holds a training with other settings \(lr 0.01, now 0.02\)"
    ):
        fit(small_model(), sets[0], None, replace(SETTINGS, epochs=1, lr=0.02), folder=tmp_path)
    with pytest.raises(ValueError, match=r"folder: .* holds the weights of another model"):
        fit(
            nn.Sequential(nn.Flatten(), nn.Linear(196, 10)),
            sets[0],
            None,
            replace(SETTINGS, epochs=1),
            folder=tmp_path,
        )
    fresh = fit(
        small_model(), sets[0], None, replace(SETTINGS, epochs=1, lr=0.02), folder=tmp_path, resume=False
    )
    assert len(fresh) == 1
    (tmp_path / "checkpoint.pt").write_bytes(b"no checkpoint")
    with pytest.raises(ValueError, match=r"folder: expected a readable checkpoint\.pt"):
        fit(small_model(), sets[0], None, SETTINGS, folder=tmp_path)


def test_other_data_or_no_test_set_any_more_is_no_resume(sets, tmp_path):
    def interrupted(epoch, model, history):
        if epoch == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(small_model(), sets[0], None, SETTINGS, folder=tmp_path, after_epoch=interrupted)
    with pytest.raises(ValueError, match=r"test_set must be as before: .* with no test_set"):
        fit(small_model(), *sets, SETTINGS, folder=tmp_path)
    data = sets[0]
    other = train.DeviceData(data.images, data.labels, data.classes, (0.7,), (0.3,), "other")
    with pytest.raises(ValueError, match=r"data 'fashion-mnist 1×14×14, .*, now 'other 1×14×14"):
        fit(small_model(), other, None, SETTINGS, folder=tmp_path)
    with pytest.raises(ValueError, match="model must be the one that was trained"):
        train.load_weights(nn.Linear(2, 2), tmp_path)
    torch.save(small_model().state_dict(), tmp_path / "checkpoint.pt")
    with pytest.raises(ValueError, match=r"folder: expected a readable checkpoint\.pt"):
        fit(small_model(), data, None, SETTINGS, folder=tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="folder must be a folder or a new name"):
        fit(small_model(), data, None, SETTINGS, folder=tmp_path / "file")


def test_settings_in_numbers_of_numpy_and_objects_as_augmentation_resume(sets, tmp_path):
    class Same:
        def __call__(self, images, generator):
            return images

    def settings():
        made = {"epochs": np.int64(1), "seed": np.int64(3), "lr": np.float64(0.01), "clip": np.float32(0.5)}
        return train.Settings(augment=(Same(),), **made)

    first, second = settings(), settings()  # two objects at two addresses
    assert type(first.lr) is type(first.clip) is float
    history = fit(small_model(), sets[0], None, first, folder=tmp_path)
    assert fit(small_model(), sets[0], None, second, folder=tmp_path).step_loss == history.step_loss


def test_a_training_goes_on_with_the_optimizer_of_its_device(sets, tmp_path, monkeypatch):
    """Begun with one kernel for all (as on a GPU) and resumed without, or the other way round."""

    def interrupted(epoch, model, history):
        if epoch == 1:
            raise KeyboardInterrupt

    def kernels(fused):
        def choices(*arguments):
            return chosen(*arguments) | {"fused": fused}

        return choices

    chosen, made = device.choices, []
    expected = fit(small_model(), sets[0], None, replace(SETTINGS, epochs=3)).step_loss

    class Watched(loop.Run):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            made.append(self.optimizer)

    monkeypatch.setattr(loop, "Run", Watched)
    for before, after in ((False, True), (True, False)):
        folder = tmp_path / str(before)
        settings = replace(SETTINGS, epochs=3)
        monkeypatch.setattr(device, "choices", kernels(before))
        with pytest.raises(KeyboardInterrupt):
            fit(small_model(), sets[0], None, settings, folder=folder, after_epoch=interrupted)
        assert [bool(group["fused"]) for group in made[-1].param_groups] == [before]
        monkeypatch.setattr(device, "choices", kernels(after))
        history = fit(small_model(seed=5), sets[0], None, settings, folder=folder)
        assert [bool(group["fused"]) for group in made[-1].param_groups] == [after]
        np.testing.assert_allclose(history.step_loss, expected, rtol=1e-3)
        (steps,) = {float(state["step"]) for state in made[-1].state.values()}
        assert steps == 15


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (lambda: build("resnet20", in_channels=1, width=2), lambda: build("plain20", in_channels=1, width=2),
         r"holds the weights of another model \(it had \(shortcut\): Identity\(\), now \)\)"),
        (lambda: small_model(dropout=0.2), lambda: small_model(dropout=0.5),
         r"it had \(5\): Dropout\(p=0.2, inplace=False\), now \(5\): Dropout\(p=0.5, inplace=False\)"),
    ],
    ids=["no shortcuts", "dropout"],
)  # fmt: skip
def test_a_network_of_the_same_weights_is_another_network(sets, tmp_path, first, second, message):
    settings = replace(SETTINGS, epochs=1)
    data = sets[0][:128].resize(28 if "shortcut" in message else 14)
    history = fit(first(), data, None, settings, folder=tmp_path)
    second().load_state_dict(first().state_dict())  # nothing is missing, nothing is left over
    with pytest.raises(ValueError, match=message):
        fit(second(), data, None, settings, folder=tmp_path)
    assert fit(first(), data, None, settings, folder=tmp_path).step_loss == history.step_loss
    state = checkpoint.read(tmp_path)
    del state["network"]  # as a checkpoint of an earlier version
    checkpoint.write(tmp_path, state)
    assert fit(first(), data, None, settings, folder=tmp_path).step_loss == history.step_loss


def test_the_checkpoint_runs_no_code(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.system, ("touch " + str(tmp_path / "ran"),)

    torch.save({"model": Evil()}, tmp_path / "checkpoint.pt")
    with pytest.raises(ValueError, match="folder"):
        checkpoint.read(tmp_path)
    assert not (tmp_path / "ran").exists()


# --- numbers that are not finite ---------------------------------------------------------------------


def test_nan_names_the_layer_and_the_step(sets):
    class Bomb(nn.Module):
        """Passes on what it gets; in its ninth call in training, with an infinity."""

        def __init__(self):
            super().__init__()
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x):
            self.calls += self.training
            return x * (math.inf if self.calls == 9 else 1)

    model = nn.Sequential(*small_model()[:4], Bomb(), nn.Flatten(), nn.Linear(6 * 49, 10))
    with pytest.raises(
        train.NotFiniteError, match=r"step 4 of epoch 2: the output of 4 \(Bomb\) is not finite"
    ):
        fit(model, sets[0], None, SETTINGS)
    assert model[4].calls == 8  # the model is as before that step
    assert all(p.isfinite().all() for p in model.parameters())


def test_a_learning_rate_too_large_is_explained(sets):
    model = small_model(norm=False)
    with pytest.raises(
        train.NotFiniteError, match=r"step \d of epoch 1: .* is not finite. The learning rate was 1e\+30"
    ):
        fit(model, sets[0], None, replace(SETTINGS, optimizer="sgd", lr=1e30, schedule="constant"))
    broken = small_model()
    with torch.no_grad():
        broken[0].weight[0, 0, 0, 0] = math.nan
    with pytest.raises(train.NotFiniteError, match=r"step 1 of epoch 1: the weight of 0 \(Conv2d\)"):
        fit(broken, sets[0], None, SETTINGS)


def test_an_update_that_is_not_finite_is_taken_back(sets):
    model = small_model(norm=False)

    def steep(outputs, labels):
        return 1e4 * F.cross_entropy(outputs, labels)

    settings = replace(SETTINGS, optimizer="sgd", lr=1e37, schedule="constant", momentum=0.0)
    with pytest.raises(
        train.NotFiniteError, match=r"step 1 of epoch 1: the update of 0\.weight is not finite"
    ):
        fit(model, sets[0], None, settings, loss=steep)
    assert same(model, small_model(norm=False))


def test_a_gradient_that_is_not_finite(sets):
    x = torch.zeros(2, 3)

    class Root(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(3, 3, bias=False), nn.Linear(3, 2)

        def forward(self, x):
            return self.second(self.first(x).sqrt())  # the slope of the root at 0 is infinite

    where = train.first_not_finite(Root(), x, lambda outputs: F.cross_entropy(outputs, torch.tensor([0, 1])))
    assert where == "the gradient at the output of first (Linear)"


# --- several processes -------------------------------------------------------------------------------

TOGETHER = """
import os, signal, sys
sys.path[:0] = [{root!r}, {tests!r}]
import torch
from test_train import TWO, small_model
from utils import train
from utils.train import parallel
torch.set_num_threads(1)
train_set, test_set = (d.resize(14) for d in train.load(sample=True, limit=300, device="cpu"))
def die(epoch, model, history):
    if epoch == 1 and parallel.rank() == 1 and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
        os.kill(os.getpid(), signal.SIGKILL)
with parallel.processes(train_set.device):
    model = small_model(seed=parallel.rank(), norm=False).double()  # different ones: those of process 0 count
    history = train.fit(model, train_set, test_set[:149], TWO, folder={folder!r}, after_epoch=die, progress=False)
    print("restarts", os.environ["TORCHELASTIC_RESTART_COUNT"], "process", parallel.rank(), history.choices["processes"])
"""
TWO = replace(
    SETTINGS, epochs=3, batch_size=63, augment=("flip", "shift", "erase", "noise"), ema=0.9, clip=1.0
)


def test_two_processes_one_killed_and_restarted_are_as_one(sets, tmp_path):
    """batch_size 63: parts of 31 and 32; the last batch of 48. float64, without batch normalization."""
    one = small_model(norm=False).double()
    expected = fit(one, sets[0], sets[1][:149], TWO)
    program = tmp_path / "program.py"
    program.write_text(
        TOGETHER.format(root=str(ROOT), tests=str(ROOT / "tests"), folder=str(tmp_path / "run"))
    )
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc_per_node=2",
        "--max-restarts=2",
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        [*command, str(program)], capture_output=True, text=True, check=False, env=environment, timeout=500
    )
    assert result.returncode == 0, result.stderr[-3000:]
    assert "restarts 1 process 0 2" in result.stdout
    assert "restarts 1 process 1 2" in result.stdout
    state = checkpoint.read(tmp_path / "run")
    for name, value in one.state_dict().items():
        torch.testing.assert_close(state["model"][name], value, rtol=1e-6, atol=1e-8)
    for name, value in expected.ema.state_dict().items():
        torch.testing.assert_close(state["ema"][name], value, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(state["history"]["step_loss"], expected.step_loss, rtol=1e-5)
    assert state["history"]["train_accuracy"] == expected.train_accuracy
    np.testing.assert_allclose(state["history"]["test_loss"], expected.test_loss, rtol=1e-6)
    np.testing.assert_allclose(state["history"]["test_accuracy"], expected.test_accuracy, rtol=1e-9)


@pytest.mark.parametrize("world", [1, 2, 3, 7])
@pytest.mark.parametrize("count", [1, 2, 5, 128])
def test_parts_cover_the_batch_and_weigh_it(monkeypatch, world, count):
    values, covered, mean = torch.rand(count), [], 0
    for rank in range(world):
        monkeypatch.setattr(parallel, "rank", lambda rank=rank: rank)
        monkeypatch.setattr(parallel, "world", lambda: world)
        part, weight = parallel.part_of(count)
        covered += list(range(count))[part] if weight else []
        mean += float(values[part].mean()) * weight / world
    assert covered == list(range(count))
    assert mean == pytest.approx(float(values.mean()))


# --- choices and arguments ---------------------------------------------------------------------------


def test_choices_on_a_processor():
    cpu = torch.device("cpu")
    conv, dense = small_model(), nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    expected = {"precision": "float32", "channels_last": True, "compile": False, "fused": False}
    assert device.choices(train.Settings(compile="auto"), conv, cpu) == expected
    assert device.choices(train.Settings(), dense, cpu)["channels_last"] is False
    forced = device.choices(train.Settings(precision="bf16", channels_last=False, compile=True), conv, cpu)
    assert (forced["precision"], forced["channels_last"], forced["compile"]) == ("bf16", False, True)


def test_bf16_and_memory_order_change_little(sets):
    losses = {}
    for name, options in {
        "plain": {},
        "bf16": {"precision": "bf16"},
        "order": {"channels_last": False},
    }.items():
        model = small_model()
        losses[name] = fit(model, sets[0], None, replace(SETTINGS, epochs=1, **options)).step_loss
        assert next(model.parameters()).dtype == torch.float32
    np.testing.assert_allclose(losses["order"], losses["plain"], rtol=1e-4)
    np.testing.assert_allclose(losses["bf16"], losses["plain"], rtol=0.05)
    assert losses["bf16"] != losses["plain"]


def test_without_a_compiler_training_goes_on(sets, monkeypatch, capsys):
    class Failing(torch._dynamo.exc.BackendCompilerFailed):
        def __init__(self):
            Exception.__init__(self, "no compiler here")

    def broken_compile(model, **options):
        def call(*inputs):
            raise Failing

        return call

    monkeypatch.setattr(torch, "compile", broken_compile)
    compiled, plain = small_model(), small_model()
    history = fit(compiled, sets[0], None, replace(SETTINGS, compile=True))
    assert (
        "torch.compile does not work here, training goes on without it (no compiler here)"
        in capsys.readouterr().out
    )
    assert history.choices["compile"] is False
    fit(plain, sets[0], None, SETTINGS)
    assert same(compiled, plain)


def test_deterministic_mode_ends_with_the_training(sets):
    def look(*_):
        assert torch.are_deterministic_algorithms_enabled()

    fit(small_model(), sets[0], None, replace(SETTINGS, deterministic=True), after_epoch=look)
    assert not torch.are_deterministic_algorithms_enabled()
    torch.set_deterministic_debug_mode("warn")
    try:
        fit(small_model(), sets[0], None, replace(SETTINGS, epochs=1))
        assert torch.is_deterministic_algorithms_warn_only_enabled()
    finally:
        torch.set_deterministic_debug_mode("default")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs must be an integer of at least 1, got 0"),
        ({"batch_size": 2.5}, "batch_size must be an integer of at least 1, got 2.5"),
        (
            {"optimizer": "adma"},
            r"optimizer must be one of 'adam', 'adamw', 'sgd', got 'adma'; did you mean 'adam'\?",
        ),
        ({"lr": -1}, "lr must be above 0, got -1"),
        ({"lr": math.nan}, "lr must be a number above 0, got nan"),
        ({"momentum": 1}, "momentum must be at least 0 and less than 1, got 1"),
        ({"nesterov": True}, "nesterov must be False without sgd"),
        ({"weight_decay": -0.1}, "weight_decay must be 0 or more, got -0.1"),
        ({"schedule": "onecycle"}, "schedule must be one of .* got 'onecycle'; did you mean 'one-cycle'"),
        ({"warmup": 1.0}, "warmup must be at least 0 and less than 1, got 1.0"),
        ({"label_smoothing": "0.1"}, "label_smoothing must be a number at least 0"),
        ({"augment": ("flipp",)}, "augment must be one of 'flip', .* got 'flipp'; did you mean 'flip'"),
        ({"ema": 1.5}, "ema must be at least 0 and less than 1, got 1.5"),
        ({"clip": 0}, "clip must be above 0, or None, got 0"),
        ({"seed": -1}, "seed must be an integer of at least 0, got -1"),
        ({"precision": "fp16"}, "precision must be one of 'auto', 'float32', 'bf16', got 'fp16'"),
        ({"deterministic": "no"}, "deterministic must be one of True, False, got 'no'"),
        ({"nesterov": "no", "optimizer": "sgd"}, "nesterov must be one of True, False, got 'no'"),
        ({"label_smoothing": 1.0}, "label_smoothing must be at least 0 and less than 1, got 1.0"),
        ({"channels_last": "yes"}, "channels_last must be one of 'auto', True, False, got 'yes'"),
    ],
)
def test_bad_settings(options, message):
    with pytest.raises(ValueError, match=message):
        train.Settings(**options)


def test_bad_arguments(sets):
    class Scored(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = small_model()

        def forward(self, x):
            return {"scores": self.body(x)}

    data, test = sets
    model = small_model()
    for message, call in {
        "model must be an nn.Module": lambda: fit("resnet20", data),
        "train_set must be DeviceData": lambda: fit(model, data.images),
        "train_set must hold at least one image": lambda: fit(model, data[:0]),
        r"test_set must hold images of \(1, 14, 14\), as train_set, got \(1, 7, 7\)": lambda: fit(
            model, data, test.resize(7)
        ),
        "settings must be train.Settings, got dict": lambda: fit(model, data, None, {"epochs": 3}),
        "label_smoothing must be 0 with a loss of your own": lambda: fit(
            model, data, None, replace(SETTINGS, label_smoothing=0.1), loss=F.cross_entropy
        ),
        r"loss must return one number, got a tensor of shape \(64,\)": lambda: fit(
            model, data, None, SETTINGS, loss=lambda z, y: F.cross_entropy(z, y, reduction="none")
        ),
        r"model must give scores \(N, 10\), one a class, got \(2, 3\)": lambda: fit(
            nn.Sequential(nn.Flatten(), nn.Linear(196, 3)), data
        ),
        "tensorboard must be False without a folder": lambda: fit(model, data, tensorboard=True),
        "limit must be an integer of at least 1, got 0": lambda: train.load(sample=True, limit=0),
        'name must be "cpu", "cuda", "cuda:1" or "mps", got \'gpu\'': lambda: train.pick_device("gpu"),
        "images must be a uint8 tensor": lambda: train.DeviceData(
            data.images.float(), data.labels, ("a", "b"), (0,), (1,)
        ),
        "mean must hold 1 numbers": lambda: train.DeviceData(
            data.images, data.labels, data.classes, (0, 0), (1,)
        ),
        "index must be a slice": lambda: data[3],
        r"train_set: labels must lie in 0 to 9, got 1 to 10": lambda: fit(
            model, train.DeviceData(data.images, data.labels + 1, data.classes, (0,), (1,))
        ),
        r"test_set: labels must lie in 0 to 1, got 0 to 9": lambda: fit(
            model, train.DeviceData(data.images, data.labels % 2, ("a", "b"), (0,), (1,)), test
        ),
        "std must be above 0": lambda: train.DeviceData(data.images, data.labels, data.classes, (0,), (0,)),
        r"size must be an integer or a pair of integers, got \(3,\)": lambda: data.resize((3,)),
        "model must be an nn.Module, got str": lambda: train.evaluate("resnet20", test),
        "pixels must be an integer of at least 0": lambda: train.Shift(-1),
        "p must be a number from 0 to 1, got 3": lambda: train.Erase(p=3),
        "p must be a number from 0 to 1, got -0.1": lambda: train.Flip(-0.1),
        "scale must be a number from 0 to inf, got nan": lambda: train.Noise(math.nan),
        r"area must rise from above 0 to 1 at most, got \(0.9, 0.1\)": lambda: train.Erase(area=(0.9, 0.1)),
        r"ratio must be two numbers, the smallest and the largest, got 2": lambda: train.Erase(ratio=2),
        r"model must take images of \(1, 14, 14\), as train_set has them \(mat1 and mat2": lambda: fit(
            nn.Sequential(nn.Flatten(), nn.Linear(100, 10)), data
        ),
        "model must give scores, or a tuple that begins with them, got <class 'dict'>": lambda: fit(
            Scored(), data
        ),
        r"after_epoch must be a function .*, got 3": lambda: fit(model, data, after_epoch=3),
        "data: labels must lie in 0 to 2, got 0 to 9": lambda: train.evaluate(
            nn.Sequential(nn.Flatten(), nn.Linear(196, 3)), data
        ),
        "dataset must hold at least one image, got none in 'mine'": lambda: train.from_dataset(
            files.Dataset(np.zeros((0, 4, 4), np.uint8), np.zeros(0, int), ("a", "b"), "mine", "train", "")
        ),
        "batch_size must be an integer": lambda: train.evaluate(model, test, 0),
        "folder must hold a checkpoint.pt": lambda: train.load_weights(model, "nowhere"),
    }.items():
        with pytest.raises(ValueError, match=message):
            call()


def test_a_last_batch_of_one_is_refused_before_it_is_met(sets):
    dense = nn.Sequential(nn.Flatten(), nn.Linear(196, 8), nn.BatchNorm1d(8), nn.Linear(8, 10))
    with pytest.raises(
        ValueError, match=r"batch_size must leave no batch of one picture.*got 64 for 65 pict"
    ):
        fit(dense, sets[0][:65], None, SETTINGS)
    fit(small_model(), sets[0][:65], None, SETTINGS)  # one picture has many numbers a channel here


def test_evaluation_leaves_every_layer_in_its_mode(sets):
    model = small_model()
    model[1].eval()
    train.evaluate(model, sets[1])
    assert model.training
    assert not model[1].training
    assert train.evaluate(nn.Flatten(), sets[1])[1] < 0.2  # pixels as scores, nothing to train


def test_a_gpu_too_many(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ValueError, match="device: name must be one of 2 GPUs, got 'cuda:2'"):
        train.pick_device("cuda:2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert train.pick_device("cuda") == torch.device("cuda", 1)


def test_a_device_that_is_not_there():
    if not torch.cuda.is_available():
        with pytest.raises(
            ValueError, match=r"name must be a device that this machine has \(cpu.*\), got 'cuda'"
        ):
            train.pick_device("cuda")
        assert train.pick_device().type == "cpu"


def test_the_bar_goes_to_stdout(sets, capsys):
    train.fit(small_model(), sets[0], None, SETTINGS)
    captured = capsys.readouterr()
    assert "epoch 2/2" in captured.out
    assert captured.err == ""
    fit(small_model(), sets[0], None, SETTINGS)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_tensorboard_is_asked_for_when_missing(sets, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ValueError, match="tensorboard: expected the package tensorboard"):
        fit(small_model(), sets[0], None, SETTINGS, folder=tmp_path, tensorboard=True)


def test_tensorboard_gets_the_curves(sets, tmp_path, monkeypatch):
    written = []

    class SummaryWriter:
        def __init__(self, folder):
            assert folder == str(tmp_path / "tensorboard")

        def add_scalar(self, name, value, step):
            written.append((name, value, step))

        def flush(self):
            written.append("flush")

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", SimpleNamespace(SummaryWriter=SummaryWriter))
    history = fit(small_model(), *sets, SETTINGS, folder=tmp_path, tensorboard=True)
    assert ("test_accuracy", history.test_accuracy[1], 2) in written
    assert ("train_loss", history.train_loss[0], 1) in written
    assert written.count("flush") == 2


# --- the command -------------------------------------------------------------------------------------


def run(capsys, *words):
    status = command.main(list(words))
    captured = capsys.readouterr()
    assert status == 0
    return captured.out


def test_the_command_trains_keeps_and_goes_on(capsys, tmp_path):
    words = ["--model", "two_layer", "--option", "channels=(4,8)", "--sample", "--limit", "200", "--epochs", "2",
             "--batch-size", "50", "--augment", "flip", "--seeds", "0", "1", "--folder", str(tmp_path),
             "--no-progress", "--device", "cpu", "--ema", "0.9"]  # fmt: skip
    first = run(capsys, *words)
    assert (
        "Chosen: precision float32, channels last yes, compile no, fused no; cpu (1 thread); 1 process"
        in first
    )
    assert "Model: two_layer, 4,866 parameters, seed 1" in first
    assert "standard deviation of the test accuracy" in first
    assert "averaged model" in first
    assert {path.name for path in tmp_path.iterdir()} == {"seed-0", "seed-1"}
    assert run(capsys, *words) == first  # nothing left to do, the same numbers
    metrics = json.loads((tmp_path / "seed-1" / "metrics.json").read_text())
    assert len(metrics["test_accuracy"]) == 2
    assert metrics["settings"]["seed"] == 1


def test_ctrl_c_leaves_a_checkpoint_and_says_how_to_go_on(capsys, tmp_path, monkeypatch):
    words = (
        "--model two_layer --option channels=(4,8) --sample --limit 200 --epochs 3 --no-progress --device cpu"
    )
    words = [*words.split(), "--folder"]
    whole = run(capsys, *words, str(tmp_path / "whole"))
    call = command.Lines.__call__

    def interrupted(self, epoch, *arguments):
        call(self, epoch, *arguments)
        if epoch == 1:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(command.Lines, "__call__", interrupted)
    with pytest.raises(SystemExit) as error:
        command.main([*words, str(tmp_path / "run")])
    assert error.value.code == 130
    assert "interrupted. The same command goes on from the last epoch." in capsys.readouterr().err
    assert len(checkpoint.read(tmp_path / "run")["history"]["train_loss"]) == 1
    monkeypatch.setattr(command.Lines, "__call__", call)
    again = run(capsys, *words, str(tmp_path / "run"))

    def numbers(text):
        return re.findall(r"epoch \d: .*;(?= )", text)

    assert numbers(again) == numbers(whole)
    assert len(numbers(whole)) == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "model must be given"),
        ("--model renset20", "did you mean resnet20"),
        ("--model two_layer --data cifar", "data must be one of .* did you mean 'cifar-10'"),
        ("--model two_layer --sample --option depth=3", "option: two_layer does not take it"),
        ("--model two_layer --sample --option depth", "option must look like width=0.5, got 'depth'"),
        ("--model alexnet --no-small --sample", "size: alexnet cannot take pictures of 1×28×28"),
        ("--model two_layer --sample --lr 0", "lr must be above 0"),
        ("--model two_layer --sample --threads 0", "threads must be an integer of at least 1, got 0"),
        ("--model two_layer --sample --device gpu", "device: name must be"),
        ("--model two_layer --sample --augment turn", "augment must be one of"),
        ("--model two_layer --sample --sync-norm --device cpu", "sync_norm must be off on cpu"),
    ],
)
def test_the_command_explains_itself(capsys, words, message):
    with pytest.raises(SystemExit) as error:
        command.main(words.split())
    assert error.value.code == 2
    captured = capsys.readouterr()
    assert re.search(message, captured.err), captured.err
    assert "Traceback" not in captured.err


def test_lines_come_epoch_by_epoch(capsys, monkeypatch):
    seen = []

    def fit_and_look(model, *sets, after_epoch, **options):
        def look(epoch, model, history):
            after_epoch(epoch, model, history)
            seen.append(capsys.readouterr().out.splitlines()[-1])

        return train.fit(model, *sets, after_epoch=look, **options)

    monkeypatch.setattr(command, "fit", fit_and_look)
    words = "--model two_layer --sample --limit 60 --epochs 2 --no-progress --device cpu"
    run(capsys, *words.split())
    assert [line.split(":")[0] for line in seen] == ["epoch 1", "epoch 2"]


@pytest.mark.parametrize("error", [PermissionError("no"), torch.cuda.OutOfMemoryError("out of memory")])
def test_a_full_disk_or_memory_is_no_traceback(capsys, monkeypatch, error):
    def fail(*arguments):
        raise error

    monkeypatch.setattr(command, "run", fail)
    with pytest.raises(SystemExit) as ended:
        command.main(["--model", "two_layer"])
    assert ended.value.code == 1
    assert str(error) in capsys.readouterr().err


def test_help_teaches(capsys):
    with pytest.raises(SystemExit) as error:
        command.main(["--help"])
    assert error.value.code == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) < 120
    for part in (
        "torchrun --nproc_per_node 2",
        "--max-restarts",
        "batch normalization",
        "examples",
        "--sync-norm",
    ):
        assert part in text
    listed = run(capsys, "--list").split()
    assert "resnet20" in listed
    assert "two_layer" in listed


def test_help_examples_parse():
    """What stands in the help is a command that exists."""
    text = command.EXAMPLES.split("several processes")[0].replace("\\\n", " ")
    commands = [line.split("utils.train ")[1] for line in text.splitlines() if "-m utils.train " in line]
    assert len(commands) == 6
    for words in commands:
        arguments = command.make_parser().parse_args(words.split())
        command.settings_from(arguments, 0)
        assert arguments.model in MODELS


def test_two_layer_is_the_tutorials_network():
    model = build("two_layer")
    weights = [p.numel() for p in model.parameters()]
    assert weights == [16 * 25, 16, 16, 16, 32 * 16 * 25, 32, 32, 32, 32 * 49 * 10, 10]
    assert model(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    layers = {type(layer).__name__: layer for layer in model.features[:4]}
    in_their_order = torch.nn.Sequential(
        *(layers[name] for name in ("Conv2d", "BatchNorm2d", "ReLU", "MaxPool2d"))
    )
    x, upstream = torch.randn(4, 1, 28, 28), torch.randn(4, 16, 14, 14)
    gradients = []
    for part in (model.features[:4], in_their_order):  # ReLU before or after the pooling
        model.zero_grad()
        (part(x) * upstream).sum().backward()
        gradients.append([p.grad.clone() for p in part.parameters()])
    torch.testing.assert_close(*gradients)
    assert build("two_layer", num_classes=3, in_channels=3, channels=(4, 6), size=32)(
        torch.zeros(2, 3, 32, 32)
    ).shape == (2, 3)
    for message, options in {
        "channels must be two numbers": {"channels": 16},
        "size must be a multiple of 4": {"size": 30},
        "small must be True": {"small": False},
        "num_classes must be a whole number": {"num_classes": 0},
    }.items():
        with pytest.raises(ValueError, match=message):
            build("two_layer", **options)
