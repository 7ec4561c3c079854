"""Optimizers and schedules: the numbers of torch.optim, step by step."""

import numpy as np
import pytest
import torch

from utils.layers import Parameter
from utils.optim import SGD, Adam, AdamW, constant, cosine, one_cycle, step_decay

CASES = {
    "sgd": (SGD, torch.optim.SGD, {"lr": 0.1}),
    "momentum": (SGD, torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}),
    "decay": (SGD, torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}),
    "nesterov": (SGD, torch.optim.SGD, {"lr": 0.1, "momentum": 0.8, "nesterov": True, "weight_decay": 0.02}),
    "adam": (Adam, torch.optim.Adam, {"lr": 0.01}),
    "adam with decay": (
        Adam,
        torch.optim.Adam,
        {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-4, "weight_decay": 0.1},
    ),
    "adamw": (AdamW, torch.optim.AdamW, {"lr": 0.01, "weight_decay": 0.1}),
    "adamw by default": (AdamW, torch.optim.AdamW, {}),
}
SHAPES = (3, 4), (5,)


def parameters(dtype=np.float64):
    rng = np.random.default_rng(0)
    values = [rng.normal(size=shape).astype(dtype) for shape in SHAPES]
    return [Parameter(v) for v in values], [torch.tensor(v, requires_grad=True) for v in values]


@pytest.mark.parametrize("name", CASES)
def test_updates_equal_pytorch_step_by_step(name):
    ours_class, theirs_class, keywords = CASES[name]
    ours, theirs = parameters()
    optimizer, reference = ours_class(ours, **keywords), theirs_class(theirs, **keywords)
    rng = np.random.default_rng(1)
    for step in range(12):
        for mine, tensor in zip(ours, theirs, strict=True):
            mine.grad = rng.normal(size=mine.value.shape)
            tensor.grad = torch.tensor(mine.grad)
        lr = keywords.get("lr", 1e-3) * (1 + step % 3)
        optimizer.lr = reference.param_groups[0]["lr"] = lr
        optimizer.step()
        reference.step()
        for mine, tensor in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(mine.value, tensor.detach().numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_saved_and_loaded_it_goes_on_with_the_same_bits(name):
    ours_class, _, keywords = CASES[name]
    gradients = np.random.default_rng(1).normal(size=(6, 20)).astype(np.float32)

    def steps(optimizer, numbers):
        for grad in numbers:
            for p in optimizer.parameters:
                p.grad = grad[: p.value.size].reshape(p.value.shape)
            optimizer.step()

    whole = ours_class(parameters(np.float32)[0], **keywords)
    steps(whole, gradients)
    first = ours_class(parameters(np.float32)[0], **keywords)
    steps(first, gradients[:3])
    second = ours_class([Parameter(p.value.copy()) for p in first.parameters], **keywords)
    second.load_state_dict(first.state_dict())
    steps(second, gradients[3:])
    assert second.steps == 6
    for a, b in zip(whole.parameters, second.parameters, strict=True):
        np.testing.assert_array_equal(a.value, b.value)
        assert a.value.dtype == np.float32


def test_a_parameter_without_gradient_is_left_alone():
    (first, second), _ = parameters()
    before = second.value.copy()
    first.grad = np.ones((3, 4))
    optimizer = Adam([first, second])
    optimizer.step()
    np.testing.assert_array_equal(second.value, before)
    optimizer.zero_grad()
    assert first.grad is None


# --- schedules ---------------------------------------------------------------------------------------


def torch_rates(make, steps):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    scheduler = make(optimizer)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


LR = torch.optim.lr_scheduler
SCHEDULES = {
    "step": (step_decay(0.5, 7, 0.3), lambda o: LR.StepLR(o, 7, 0.3)),
    "cosine": (cosine(0.5, 0.01), lambda o: LR.CosineAnnealingLR(o, 40, 0.01)),
    "one cycle": (one_cycle(0.5, 0.3, shape="cosine"), lambda o: LR.OneCycleLR(o, 0.5, total_steps=40)),
    "one cycle, linear": (
        one_cycle(0.5),
        lambda o: LR.OneCycleLR(o, 0.5, total_steps=40, pct_start=0.25, anneal_strategy="linear"),
    ),
    "one cycle, other ends": (
        one_cycle(0.5, 0.4, first=0.05, last=0.001),
        lambda o: LR.OneCycleLR(
            o,
            0.5,
            total_steps=40,
            pct_start=0.4,
            anneal_strategy="linear",
            div_factor=10,
            final_div_factor=50,
        ),
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_equal_pytorch(name):
    schedule, make = SCHEDULES[name]
    rates = [schedule(step, 40) for step in range(39)]
    np.testing.assert_allclose(rates, torch_rates(make, 39), rtol=1e-9, atol=1e-12)


def test_constant_and_the_ends_of_one_cycle():
    assert {constant(0.3)(step, 10) for step in range(10)} == {0.3}
    rates = [one_cycle(1.0)(step, 100) for step in range(100)]
    assert max(rates) == rates[24] == 1
    assert rates[0] == 1 / 25
    assert rates[-1] == pytest.approx(1 / 25e4)
    for total in (1, 2, 3):  # short runs do not divide by zero
        assert all(0 <= one_cycle(1.0)(step, total) <= 1 for step in range(total))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: SGD([]), "parameters must hold at least one parameter"),
        (lambda p: SGD(p, lr=-1), "lr must be at least 0"),
        (lambda p: SGD(p, momentum=1), "momentum must be at least 0 and less than 1, got 1"),
        (lambda p: SGD(p, nesterov=True), "momentum must be above 0 with nesterov"),
        (lambda p: Adam(p, betas=(0.9, 1.0)), r"betas\[1\] must be at least 0 and less than 1, got 1.0"),
        (lambda p: AdamW(p, weight_decay=-0.1), "weight_decay must be at least 0"),
        (lambda p: one_cycle(1, shape="square"), 'shape must be "linear" or "cosine"'),
        (
            lambda p: SGD(p).load_state_dict({"0.momentum": np.ones(2), "steps": 1, "lr": 1}),
            "state must fit the parameters",
        ),
    ],
)
def test_errors_name_the_argument(call, message):
    with pytest.raises(ValueError, match=message):
        call(parameters()[0])
