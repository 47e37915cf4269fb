"""Processes that train one model together, and what they tell each other.

They are started by ``torchrun``, which sets the environment variables that `joined` reads. Numbers,
arrays and decisions go over gloo, on the processor; gradients over nccl where the model is on GPUs.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

import torch as th
import torch.distributed as dist

from nlp_gym.errors import InvalidArgumentError, shown

_PATIENCE = timedelta(days=2)  # the others wait while rank 0 scores dev


@dataclass(frozen=True)
class Ranks:
    """One of the processes.

    Attributes:
        rank: Its number; 0 leads: it alone writes, scores and decides when to stop.
        size: Number of processes.
        told_by: Group for objects; None: there is one process.
    """

    rank: int = 0
    size: int = 1
    told_by: Any = None

    @property
    def leads(self) -> bool:
        """Whether this is rank 0."""
        return self.rank == 0

    def bounds(self, n: int, rank: int | None = None) -> tuple[int, int]:
        """First and one after the last of `n` things that a rank (None: this one) has."""
        rank = self.rank if rank is None else rank
        return n * rank // self.size, n * (rank + 1) // self.size

    def told(self, value: Any = None) -> Any:
        """The value that rank 0 gives; the others wait for it."""
        if self.size == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0, group=self.told_by)
        return box[0]

    def gathered(self, value: Any) -> list[Any]:
        """The values of all ranks, in their order, on each of them."""
        if self.size == 1:
            return [value]
        found: list[Any] = [None] * self.size
        dist.all_gather_object(found, value, group=self.told_by)
        return found

    def average(self, parameters: Iterable[th.nn.Parameter], weight: float) -> None:
        """Replace the gradients by their weighted sum over all ranks, the same bits on each.

        Parameters without a gradient on every rank keep none, so that optimizers pass over them.

        Args:
            parameters: The same ones, in the same order, on each rank.
            weight: This rank's; all weights sum to 1.
        """
        if self.size == 1:
            return
        chosen = [p for p in parameters if p.requires_grad]
        device = chosen[0].device
        has = th.tensor([float(p.grad is not None) for p in chosen], device=device)
        parts = [has]
        for p in chosen:
            grad = th.zeros_like(p) if p.grad is None else p.grad
            parts.append(grad.detach().reshape(-1).float() * weight)
        flat = th.cat(parts)
        dist.all_reduce(flat)
        has, flat = flat[: len(chosen)], flat[len(chosen) :]
        for p, values, anywhere in zip(
            chosen, flat.split([p.numel() for p in chosen]), has.tolist(), strict=True
        ):
            p.grad = values.view_as(p).to(p.dtype) if anywhere else None


ALONE = Ranks()
"""A process that trains by itself."""


def launched() -> tuple[int, int]:
    """Rank and number of processes that ``torchrun`` started; (0, 1) without it."""
    if not dist.is_torchelastic_launched():
        return 0, 1
    return int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])


def joined(device: str) -> Ranks:
    """This process among those that ``torchrun`` started; alone where it did not start it.

    The processes stay together until they end: torch cannot put a group together twice.

    Args:
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``. Each process takes the GPU of its local rank.

    Raises:
        InvalidArgumentError: The device is one certain GPU, or there are too few.
    """
    rank, size = launched()
    if size == 1:
        return ALONE
    cuda = device.startswith("cuda") or (device == "auto" and th.cuda.is_available())
    if cuda:
        local = int(os.environ["LOCAL_RANK"])
        if ":" in device or local >= th.cuda.device_count():
            raise InvalidArgumentError(
                f"device={shown(device)}: each process of torchrun takes a GPU of its own, and "
                f"here are {th.cuda.device_count()}. Give --device cuda, and --nproc-per-node as "
                "many as there are GPUs."
            )
        th.cuda.set_device(local)
    return Ranks(rank, size, _group(cuda))


@cache
def _group(cuda: bool) -> Any:
    """The group for objects; the first call brings the processes together."""
    if not dist.is_initialized():
        dist.init_process_group("nccl" if cuda else "gloo", timeout=_PATIENCE)
        atexit.register(dist.destroy_process_group)
    return dist.new_group(backend="gloo", timeout=_PATIENCE) if cuda else dist.group.WORLD
