"""The training loop: it learns, repeats itself bit for bit, resumes, and says where numbers break."""

import numpy as np
import pytest

from utils import data
from utils.layers import (
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    LeNet5,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
)
from utils.loop import (
    History,
    NotFiniteError,
    confusion_matrix,
    evaluate,
    first_not_finite,
    fit,
    l1_penalty,
    predict,
    to_input,
    train_step,
)
from utils.optim import SGD, Adam, one_cycle
from utils.threads import blas_threads


@pytest.fixture(scope="module")
def sample():
    return tuple(
        data.load("fashion-mnist", split, sample=True, quiet=True)[:512] for split in ("train", "test")
    )


def small_network(seed=0):
    """A network with everything that has a state: weights, running averages, a random generator."""
    rng = np.random.default_rng(seed)
    return Sequential(
        Conv2d(1, 4, 5, stride=2, rng=rng),
        BatchNorm2d(4),
        ReLU(),
        MaxPool2d(2),
        Flatten(),
        Dropout(0.2, np.random.default_rng([seed, 1])),
        Linear(144, 10, rng=rng),
    )


def run(sample, checkpoint=None, augment=None, epochs=3, seed=5, network_seed=0, **keywords):
    model = small_network(network_seed)
    optimizer = Adam(model.parameters())
    history = fit(
        model,
        *sample,
        epochs=epochs,
        batch_size=100,
        optimizer=optimizer,
        schedule=one_cycle(0.01),
        augment=augment,
        seed=seed,
        checkpoint=checkpoint,
        progress=False,
        **keywords,
    )
    return model, optimizer, history


def assert_same(first, second):
    """Two results of `run` that agree in every bit, but for the seconds."""
    for a, b in zip(first[:2], second[:2], strict=True):
        a, b = a.state_dict(), b.state_dict()
        assert a.keys() == b.keys()
        for name in a:
            np.testing.assert_array_equal(a[name], b[name], err_msg=name)
            assert a[name].dtype == b[name].dtype
    for name in ("step_loss", "step_lr", "train_loss", "train_accuracy", "test_loss", "test_accuracy"):
        assert getattr(first[2], name) == getattr(second[2], name)


# --- learning ----------------------------------------------------------------------------------------


def test_lenet_learns_the_sample(sample):
    model = LeNet5(rng=np.random.default_rng(0))
    history = fit(
        model,
        *sample,
        epochs=8,
        batch_size=32,
        optimizer=Adam(model.parameters()),
        schedule=one_cycle(4e-3),
        progress=False,
    )
    assert len(history) == 8
    assert len(history.step_loss) == len(history.step_lr) == 8 * 16
    assert history.train_accuracy[-1] > 0.8
    assert history.test_accuracy[-1] > 0.65
    assert history.step_loss[0] == pytest.approx(np.log(10), abs=0.15)
    loss, accuracy = evaluate(model, sample[1])
    assert (loss, accuracy) == (history.test_loss[-1], history.test_accuracy[-1])
    matrix = confusion_matrix(sample[1].labels, predict(model, sample[1]))
    assert matrix.sum() == 512
    assert np.trace(matrix) == round(512 * accuracy)
    assert str(history).count("\n") == 8


def test_one_step_goes_downhill_and_counts_what_was_right():
    rng = np.random.default_rng(0)
    model = Sequential(Linear(6, 3, rng=rng))
    x, labels = rng.normal(size=(20, 6)).astype(np.float32), rng.integers(3, size=20)
    right = int((model(x).argmax(1) == labels).sum())
    losses = []
    for step in range(20):
        loss, correct = train_step(model, SGD(model.parameters(), lr=0.1), x, labels)
        assert step or correct == right
        losses.append(loss)
    assert losses == sorted(losses, reverse=True)


def test_gradients_of_one_step_do_not_leak_into_the_next():
    rng = np.random.default_rng(0)
    model = Sequential(Linear(6, 3, rng=rng))
    x, labels = rng.normal(size=(20, 6)).astype(np.float32), rng.integers(3, size=20)
    optimizer = SGD(model.parameters(), lr=0.0)
    train_step(model, optimizer, x, labels)
    first = model[0].weight.grad.copy()
    train_step(model, optimizer, x, labels)
    np.testing.assert_array_equal(model[0].weight.grad, first)


def test_uneven_batches_and_label_smoothing(sample):
    _, _, history = run((sample[0][:130], sample[1][:7]), epochs=1, label_smoothing=0.1)
    assert len(history.step_loss) == 2  # 100 and 30
    mean = (100 * history.step_loss[0] + 30 * history.step_loss[1]) / 130
    assert history.train_loss[0] == pytest.approx(mean)


# --- the same again ----------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(sample):
    first, second, other = run(sample), run(sample), run(sample, seed=6)
    assert_same(first, second)
    assert first[2].step_loss != other[2].step_loss


class Crash(Exception):
    pass


@pytest.mark.parametrize("steps", [6, 8, 12])
def test_an_interrupted_run_continues_bit_for_bit(sample, tmp_path, steps):
    def shift(x, rng):
        return np.roll(x, rng.integers(-2, 3), axis=3)

    calls = []

    def crash(x, rng):
        calls.append(1)
        if len(calls) > steps:
            raise Crash
        return shift(x, rng)

    path = tmp_path / "run.npz"
    whole = run(sample, augment=shift)
    with pytest.raises(Crash):
        run(sample, path, crash)
    assert path.exists()
    assert list(tmp_path.iterdir()) == [path]  # no half-written file is left
    resumed = run(sample, path, shift, network_seed=9)  # other initial weights: the file's count
    assert_same(whole, resumed)
    again = run(sample, path, shift)  # finished: nothing is trained any more
    assert_same(whole, again)
    assert again[2].seconds == resumed[2].seconds


def test_a_checkpoint_of_another_run_is_refused(sample, tmp_path):
    run(sample, tmp_path / "a.npz", epochs=1)
    with pytest.raises(ValueError, match=r"was written with .*'epochs': 1.*, got .*'epochs': 2"):
        run(sample, tmp_path / "a.npz", epochs=2)


# --- numbers that are not finite ---------------------------------------------------------------------


def diagnose(break_it, x=None):
    model = small_network()
    break_it(model)
    x = np.random.default_rng(0).normal(size=(8, 1, 28, 28)).astype(np.float32) if x is None else x
    with np.errstate(all="ignore"):
        return first_not_finite(model, x, np.arange(8))


def test_the_first_thing_that_is_not_finite_is_named():
    def spoil(layer, name, value):
        def change(model):
            getattr(model[layer], name).value.flat[1] = value

        return change

    def spoil_backward(model):
        model[2].backward = lambda g, old=model[2].backward: old(g) * np.float32(np.inf)

    assert diagnose(lambda m: None) is None
    assert diagnose(spoil(6, "weight", np.nan)) == "the weight of 6 (Linear)"
    assert diagnose(spoil(1, "bias", np.inf)) == "the bias of 1 (BatchNorm2d)"
    assert diagnose(spoil(0, "weight", 3e38)) == "the output of 0 (Conv2d)"
    assert diagnose(spoil_backward) == "the gradient at the input of 2 (ReLU)"
    bad = np.full((8, 1, 28, 28), np.nan, np.float32)
    assert diagnose(lambda m: None, bad) == "the input"


def test_looking_for_it_leaves_the_model_as_it_was():
    model = small_network()
    first_not_finite(model, np.zeros((4, 1, 28, 28), np.float32), np.arange(4))
    assert not any("forward" in vars(m) or "backward" in vars(m) for _, m in model.named_modules())


def test_training_stops_and_says_where(sample):
    model = LeNet5(rng=np.random.default_rng(0))
    with pytest.raises(
        NotFiniteError, match=r"step \d+ of epoch 1: the .* of .* \(.*\) is not finite.*rate was 1e\+"
    ):
        fit(
            model,
            sample[0],
            epochs=1,
            batch_size=64,
            optimizer=SGD(model.parameters(), lr=1e12),
            progress=False,
        )


# --- data and measures -------------------------------------------------------------------------------


def test_inputs_are_standardized_and_channels_come_second():
    gray = np.random.default_rng(0).integers(0, 256, size=(5, 4, 3), dtype=np.uint8)
    x = to_input(gray, 0.5, 0.25)
    assert x.dtype == np.float32
    np.testing.assert_allclose(x[:, 0], (gray / 255 - 0.5) / 0.25, atol=1e-6)
    color = np.random.default_rng(0).integers(0, 256, size=(5, 4, 3, 3), dtype=np.uint8)
    np.testing.assert_allclose(to_input(color)[:, 2], (color[..., 2] / 255 - 0.286) / 0.353, atol=1e-5)
    ready = np.ones((2, 7), np.float64)
    assert to_input(ready).dtype == np.float32


def test_the_constants_are_those_of_fashion_mnist(sample):
    x = to_input(sample[0].images)
    assert abs(x.mean()) < 0.03
    assert x.std() == pytest.approx(1, abs=0.02)


def test_confusion_matrix_by_hand():
    matrix = confusion_matrix([0, 0, 1, 2, 2, 2], [0, 1, 1, 0, 2, 2], 4)
    assert matrix.tolist() == [[1, 1, 0, 0], [0, 1, 0, 0], [1, 0, 2, 0], [0, 0, 0, 0]]
    scores = np.eye(3)[[2, 0]]
    assert confusion_matrix(np.array([2, 1]), scores).tolist() == [[0, 0, 0], [1, 0, 0], [0, 0, 1]]


def test_predict_keeps_the_mode_and_the_order(sample):
    model = small_network()
    model.train()
    scores = predict(model, sample[1], batch_size=100)
    assert model.training
    np.testing.assert_allclose(scores, predict(model, sample[1].images, batch_size=512), rtol=1e-4, atol=1e-5)


def test_the_bar_shows_loss_accuracy_and_rate(sample, capsys):
    model = small_network()
    fit(model, sample[0], epochs=1, optimizer=Adam(model.parameters()))
    bar = capsys.readouterr().out
    assert "epoch 1/1" in bar
    assert "loss" in bar
    assert "accuracy" in bar
    assert "samples/s" in bar


def test_threads_are_set_back():
    with blas_threads(None) as before:
        if before is None:
            pytest.skip("NumPy without OpenBLAS")
    with blas_threads(1), blas_threads(None) as inside:
        assert inside == 1
    with blas_threads(None) as after:
        assert after == before


def test_errors_name_the_argument(sample):
    model = small_network()
    optimizer = Adam(model.parameters())
    with pytest.raises(ValueError, match="train must hold as many labels as images, and some, got 3 and 4"):
        fit(model, (np.ones((4, 1, 28, 28)), np.zeros(3, int)), epochs=1, optimizer=optimizer)
    with pytest.raises(ValueError, match="epochs must be an integer of at least 1, got 0"):
        fit(model, sample[0], epochs=0, optimizer=optimizer)
    with pytest.raises(ValueError, match=r"images must have the shape \(N, H, W\) or \(N, H, W, C\)"):
        to_input(np.ones((2, 3), np.uint8))
    with pytest.raises(ValueError, match="classes must be at least 3, as class 2 occurs, got 2"):
        confusion_matrix([0, 2], [0, 1], 2)
    with pytest.raises(ValueError, match=r"predictions must be \(2,\), one a label, got \(3,\)"):
        confusion_matrix([0, 1], [0, 1, 1])
    assert len(History()) == 0


# --- what chapter 10 hooks in ------------------------------------------------------------------------


def test_mix_gives_soft_targets_and_the_right_ones_are_counted(sample):
    def swap(x, labels, rng):
        return x, np.eye(10, dtype=np.float32)[labels]  # the same labels as probabilities

    def soft(x, labels, rng):
        return x, 0.6 * np.eye(10)[labels] + 0.4 * np.eye(10)[labels[::-1]]

    plain = run(sample, epochs=1)
    hard = run(sample, epochs=1, mix=swap)
    np.testing.assert_allclose(hard[2].step_loss, plain[2].step_loss, rtol=1e-4)
    assert hard[2].train_accuracy == pytest.approx(plain[2].train_accuracy, abs=0.01)
    mixed = run(sample, epochs=1, mix=soft)
    assert mixed[2].step_loss[-1] > plain[2].step_loss[-1]


def test_the_regularizer_adds_its_gradient_and_its_value():
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(20, 6)).astype(np.float32), rng.integers(3, size=20)
    grads, losses = [], []
    for regularizer in (None, l1_penalty(0.3)):
        model = Sequential(Linear(6, 3, rng=np.random.default_rng(1)))
        losses.append(train_step(model, SGD(model.parameters(), 0.0), x, labels, 0.0, regularizer)[0])
        grads.append({name: grad.copy() for name, grad in model.gradients().items()})
    weight = model[0].weight.value
    assert losses[1] - losses[0] == pytest.approx(0.3 * abs(weight).sum(), rel=1e-5)
    difference = grads[1]["0.weight"] - grads[0]["0.weight"]
    np.testing.assert_allclose(difference, 0.3 * np.sign(weight), atol=1e-6)
    np.testing.assert_array_equal(grads[1]["0.bias"], grads[0]["0.bias"])
    assert grads[1]["0.weight"].dtype == np.float32


def test_after_epoch_looks_and_stops_and_a_stopped_run_stays_stopped(sample, tmp_path):
    seen = []

    def look(epoch, model, history):
        seen.append((epoch, len(history.test_loss), model.training))
        return epoch == 1

    path = tmp_path / "run.npz"
    _, _, history = run(sample, path, epochs=5, after_epoch=look)
    assert [entry[:2] for entry in seen] == [(0, 1), (1, 2)]
    assert len(history) == 2
    assert history.stopped
    again = run(sample, path, epochs=5, after_epoch=look)[2]
    assert len(again) == 2
    assert len(seen) == 2
    assert not run(sample, epochs=1)[2].stopped
