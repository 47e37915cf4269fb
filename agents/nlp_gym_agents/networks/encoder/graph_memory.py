"""How much of what an encoder computed is kept for the way back; the rest is computed again.

An update learns from hundreds of texts, and what a transformer computes on each is needed when
gradients flow back. That can be more than there is memory: 512 sentences of scientific papers, each
with its whole text, take over 18 GB with a MiniLM of six layers.

Source of the idea: Chen et al. (2016), Training Deep Nets with Sublinear Memory Cost.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from typing import Any

import torch as th
from torch import nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.checkpoint import checkpoint, set_checkpoint_early_stop
from typing_extensions import override

from nlp_gym.memory import memory_limit

SHARE = 0.25
"""Of the memory of the machine or GPU, that may be kept for the way back."""


class GraphMemory:
    """Runs pieces of a pass: kept for the way back until memory is full, then computed again.

    Both give the same vectors and gradients. What is computed again takes a third more time.

    Args:
        network: What makes the passes; its weights, which are there in any case, do not count.

    Attributes:
        limit: Bytes after which nothing more is kept; None: a share (`SHARE`) of the memory that
            the device has. One piece may go beyond it.
        held: Bytes that are kept now.
        repeated: Pieces so far that are computed again.
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self.limit: int | None = None
        self.held = self.repeated = 0

    @override
    def __getstate__(self) -> dict[str, Any]:
        """A copy keeps nothing yet."""
        return {**self.__dict__, "held": 0}

    def run(self, encode: Callable[[], th.Tensor], device: th.device) -> th.Tensor:
        """What `encode` gives, with gradients where they are enabled.

        Args:
            encode: Makes the pass over a piece. What it does again on the way back must be the
                same; random numbers are.
            device: Where it runs.

        Raises:
            EncoderError: As `encode` does, also on the way back.
        """
        if not th.is_grad_enabled():
            return encode()
        if self.held >= (graph_limit(device) if self.limit is None else self.limit):
            self.repeated += 1
            # The random state is kept of the devices of arguments. An early stop is an exception,
            # which `WordVectors` would report as an `EncoderError`.
            with set_checkpoint_early_stop(False):
                again: th.Tensor = checkpoint(
                    lambda _: encode(), th.empty(0, device=device), use_reentrant=False
                )
            return again
        seen = _Seen(self._network)
        with saved_tensors_hooks(seen.count, lambda tensor: tensor):
            vectors = encode()
        kept: th.Tensor = _Kept.apply(vectors, _Share(self, seen.size))
        return kept


def graph_limit(device: th.device) -> int:
    """Bytes that may be kept on a device: `SHARE` of its memory, and that of all processes here."""
    if device.type == "cuda":
        return int(SHARE * th.cuda.mem_get_info(device)[1])
    return int(SHARE * memory_limit()) // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


class _Seen:
    """Adds up the bytes of the tensors that a graph keeps, each piece of memory once.

    Args:
        network: Its weights and buffers are left out.

    Attributes:
        size: Bytes so far.
    """

    def __init__(self, network: nn.Module) -> None:
        weights = [*network.parameters(), *network.buffers()]
        self._known = {tensor.untyped_storage().data_ptr() for tensor in weights}
        self.size = 0

    def count(self, tensor: th.Tensor) -> th.Tensor:
        """Count a tensor that is kept; it is kept as it is."""
        memory = tensor.untyped_storage()
        if memory.data_ptr() not in self._known:
            self._known.add(memory.data_ptr())
            self.size += memory.nbytes()
        return tensor


class _Share:
    """`size` bytes of a piece, held until `release` is called or nothing refers to it."""

    def __init__(self, memory: GraphMemory, size: int) -> None:
        memory.held += size
        self.release = weakref.finalize(self, _give_back, memory, size)
        self.release.atexit = False


def _give_back(memory: GraphMemory, size: int) -> None:
    memory.held -= size


class _Kept(th.autograd.Function):
    """The identity on (K, D) vectors; its node in the graph has the piece's `_Share`.

    The share is given back where gradients come by, and where the graph is dropped without.
    """

    @staticmethod
    @override
    def forward(ctx: Any, vectors: th.Tensor, share: _Share) -> th.Tensor:
        ctx.share = share
        return vectors.view_as(vectors)

    @staticmethod
    @override
    def backward(ctx: Any, *gradients: th.Tensor) -> tuple[th.Tensor, None]:
        ctx.share.release()
        return gradients[0], None
