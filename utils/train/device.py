"""Where to compute, and how: the choices behind "auto", each for a reason that was measured.

What was measured, and where: `benchmarks/training.py` and its record.
"""

from __future__ import annotations

import os
import shutil
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn

__all__ = ["autocast", "choices", "describe", "fork_rng", "pick_device", "synchronize"]


def pick_device(name: str | torch.device | None = None) -> torch.device:
    """The device to compute on: a GPU of NVIDIA or AMD ("cuda") if there is one, else the processor ("cpu").

    name    "cpu", "cuda", "cuda:1", "mps" (the GPU of a Mac: only on demand) takes that one

    Of several GPUs each process that torchrun started takes its own. Raises ValueError for a device that this
    machine has not.
    """
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError):
        raise ValueError(f'device: name must be "cpu", "cuda", "cuda:1" or "mps", got {name!r}') from None
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not present.get(device.type, False):
        there = ", ".join(kind for kind, is_there in present.items() if is_there)
        raise ValueError(f"device: name must be a device that this machine has ({there}), got {str(name)!r}")
    if device.type != "cuda":
        return device
    if device.index is None:
        own = os.environ.get("LOCAL_RANK")  # what torchrun says
        device = torch.device("cuda", torch.cuda.current_device() if own is None else int(own))
    if device.index >= torch.cuda.device_count():
        raise ValueError(f"device: name must be one of {torch.cuda.device_count()} GPUs, got {str(device)!r}")
    return device


def describe(device: torch.device) -> str:
    """The device in words."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    threads = torch.get_num_threads()
    return f"{device} ({threads} thread{'s' if threads > 1 else ''})" if device.type == "cpu" else str(device)


def choices(settings, model: nn.Module, device: torch.device) -> dict[str, str | bool]:
    """What the settings that say "auto" come to for this model on this device.

    precision      bf16 on GPUs that multiply it in hardware; float32 elsewhere: processors without such
                   units are two to ten times slower in bf16
    channels_last  for networks with convolutions: channels side by side in memory is the order that the fast
                   convolutions of processors and of tensor cores want
    compile        on GPUs with Triton: small layers run as one kernel; on processors the compiler takes
                   longer than it saves here
    fused          the optimizer's update as one kernel, on GPUs; on processors the update is about a
                   hundredth of a step
    """
    cuda = device.type == "cuda"
    precision, layout, compiled = settings.precision, settings.channels_last, settings.compile
    if precision == "auto":
        hardware = cuda and torch.cuda.is_bf16_supported(including_emulation=False)
        precision = "bf16" if hardware else "float32"
    if layout == "auto":
        layout = device.type != "mps" and any(isinstance(layer, nn.Conv2d) for layer in model.modules())
    if compiled == "auto":
        compiled = cuda and _has_triton()
    return {"precision": precision, "channels_last": layout, "compile": compiled, "fused": cuda}


def _has_triton() -> bool:
    try:
        import triton  # noqa: F401
    except ImportError:
        return False
    return shutil.which(os.environ.get("CC", "cc")) is not None or shutil.which("gcc") is not None


def autocast(device: torch.device, precision: str) -> AbstractContextManager:
    """In the block matrix products and convolutions run in `precision`; sums and losses stay in float32."""
    if precision == "bf16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()


def fork_rng(device: torch.device) -> AbstractContextManager:
    """In the block, PyTorch's own random numbers may be used; outside they go on as if nothing had been."""
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])


def synchronize(device: torch.device) -> None:
    """Wait until the device has done all that it was given: before the clock is read."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def arithmetic(device: torch.device, deterministic: bool):
    """In the block: the same bits in every run (`deterministic`), or the fastest algorithms.

    Outside, all is as before.
    """
    cudnn = torch.backends.cudnn
    before = cudnn.benchmark, torch.get_deterministic_debug_mode()  # 0 off, 1 warn, 2 on
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it with its first product
    cudnn.benchmark = device.type == "cuda" and not deterministic
    torch.set_deterministic_debug_mode(2 if deterministic else before[1])
    try:
        yield
    finally:
        cudnn.benchmark = before[0]
        torch.set_deterministic_debug_mode(before[1])


def to_layout(x: Tensor, channels_last: bool) -> Tensor:
    """x (N, C, H, W), its channels side by side in memory if `channels_last`."""
    return x.contiguous(memory_format=torch.channels_last) if channels_last else x
