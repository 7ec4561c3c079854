"""When numbers are no longer finite: where it began, and what to try."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

__all__ = ["NotFiniteError", "first_not_finite"]


class NotFiniteError(FloatingPointError):
    """Training met a NaN or an infinity; the text says where first, and what to try."""


def first_not_finite(model: nn.Module, x: Tensor, loss: Callable[[object], Tensor]) -> str | None:
    """One forward and backward pass under watch: what is the first thing that holds a NaN or an infinity?

    In the order of the computation: the input, then layer by layer parameters and output, the loss, then from
    the last layer to the first the gradients. None where all is finite. loss(outputs) is a number; the
    gradients of the model are replaced.
    """
    found: list[str] = []

    def look(what: str, values: object) -> None:
        tensors = values if isinstance(values, (tuple, list)) else (values,)
        for value in tensors:
            if not found and isinstance(value, Tensor) and not value.isfinite().all():
                found.append(what)

    handles = [
        handle
        for name, layer in model.named_modules()
        if not list(layer.children())
        for handle in watch(f"{name or 'model'} ({type(layer).__name__})", layer, look)
    ]
    look("the input", x)
    try:
        model.zero_grad()
        value = loss(model(x))
        look("the loss", value)
        value.backward()
    finally:
        for handle in handles:
            handle.remove()
    for name, parameter in reversed(list(model.named_parameters())):
        look(f"the gradient at {name}", parameter.grad)
    return found[0] if found else None


def watch(label: str, layer: nn.Module, look: Callable[[str, object], None]) -> list:
    """Hooks that look at parameters, output and gradients of one layer; returns their handles."""

    def before(layer, inputs):
        for part, parameter in layer.named_parameters():
            look(f"the {part} of {label}", parameter)

    def after(layer, inputs, output):
        look(f"the output of {label}", output)
        if isinstance(output, Tensor) and output.requires_grad:
            output.register_hook(lambda grad: look(f"the gradient at the output of {label}", grad))

    return [layer.register_forward_pre_hook(before), layer.register_forward_hook(after)]


def advice(where: str, epoch: int, step: int, lr: float) -> str:
    """The sentence for the reader; epoch and step from 0."""
    return (
        f"training stopped in step {step + 1} of epoch {epoch + 1}: {where} is not finite. The learning "
        f"rate was {lr:.3g}; try a smaller one, a slower warm-up, or clip=1.0. The model is as it was before "
        "that step"
    )
