"""Several processes, one training: who takes which part of a batch, and how numbers come together.

The processes are started by PyTorch's `torchrun`; alone, all of this does nothing.
"""

from __future__ import annotations

import os
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

__all__ = [
    "broadcast_buffers",
    "first_alone",
    "gathered",
    "part_of",
    "processes",
    "rank",
    "shared",
    "total",
    "world",
    "wrap",
]


def together() -> bool:
    """Whether this process trains together with others."""
    return dist.is_available() and dist.is_initialized()


def rank() -> int:
    """The number of this process, from 0; process 0 writes the files."""
    return dist.get_rank() if together() else 0


def world() -> int:
    """How many processes train together."""
    return dist.get_world_size() if together() else 1


def fresh_store() -> tuple[dist.Store, int, int]:
    """The store in which processes find each other, the number of this one, and how many there are.

    torchrun keeps one store over all restarts, and with it the addresses of processes that are dead. On one
    machine the count of restarts tells old entries from new ones; several machines may count differently, and
    need TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 before `torchrun`, which makes a new store each time.
    """
    from torch.distributed.rendezvous import rendezvous  # here: not every build of PyTorch has it

    store, number, count = next(rendezvous("env://"))
    alone = os.environ.get("GROUP_WORLD_SIZE", "1") == "1"
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") if alone else "0"
    return dist.PrefixStore(f"attempt {attempt}", store), number, count


@contextmanager
def processes(device: torch.device):
    """In the block, the processes that torchrun started know each other: by nccl on GPUs, by gloo else."""
    started = "RANK" in os.environ and "WORLD_SIZE" in os.environ and not together()
    if started:
        if device.type == "cuda":
            torch.cuda.set_device(device)
        backend = "nccl" if device.type == "cuda" else "gloo"
        store, number, count = fresh_store()
        dist.init_process_group(backend, store=store, rank=number, world_size=count)
    try:
        yield
    finally:
        if started:
            dist.destroy_process_group()


@contextmanager
def first_alone():
    """In the block process 0 goes first, the others when it is through: it may have to download."""
    if rank() > 0:
        dist.barrier()
    yield
    if rank() == 0 and world() > 1:
        dist.barrier()


def part_of(count: int) -> tuple[slice, float]:
    """Which of the `count` samples of a batch are for this process, and the weight of its mean loss.

    With these weights the mean over the processes, which DistributedDataParallel makes of their gradients, is
    the gradient of the mean loss over the whole batch, also where the parts are not equally large. Where
    there are fewer samples than processes, one without any computes the first sample, at weight 0.
    """
    start, stop = (count * (rank() + k) // world() for k in (0, 1))
    return (slice(start, stop) if stop > start else slice(0, 1)), (stop - start) * world() / count


def wrap(model: nn.Module, device: torch.device) -> nn.Module:
    """The model with gradients that are averaged over the processes; alone, the model itself."""
    if world() == 1:
        return model
    return DistributedDataParallel(model, device_ids=[device] if device.type == "cuda" else None)


def total(numbers: Tensor) -> Tensor:
    """The sum over all processes, in place."""
    if world() > 1:
        dist.all_reduce(numbers)
    return numbers


def shared(value):
    """What process 0 has, in every process."""
    if world() == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def broadcast_buffers(model: nn.Module) -> None:
    """The running statistics of process 0, in every process: each one saw other samples."""
    if world() > 1:
        for buffer in model.buffers():
            dist.broadcast(buffer, src=0)


def gathered(value) -> list:
    """What each process has, in every process."""
    if world() == 1:
        return [value]
    box = [None] * world()
    dist.all_gather_object(box, value)
    return box
