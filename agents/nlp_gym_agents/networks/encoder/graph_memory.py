"""How much of what an encoder computed is kept for the way back; the rest is computed again.

An update learns from hundreds of texts, and what a transformer computes on each is needed when
gradients flow back. That can be more than there is memory: 512 sentences of scientific papers, each
with its whole text, take over 18 GB with a MiniLM of six layers.

Source of the idea: Chen et al. (2016), Training Deep Nets with Sublinear Memory Cost.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch as th
from torch.utils.checkpoint import checkpoint, set_checkpoint_early_stop
from typing_extensions import override

from nlp_gym.encode.transformer.pooling import WordVectors, layer_stack
from nlp_gym.memory import memory_limit

SHARE = 0.25
"""Of the memory of the machine or GPU, that may be kept for the way back."""


class GraphMemory:
    """Runs pieces of a pass: those that fit are kept for the way back, the others computed again.

    Both give the same vectors and gradients. What is computed again takes a third more time.

    Args:
        words: The network whose passes are kept.
        checkpointing: Whether its layers keep no more than what goes into them.

    Attributes:
        limit: Bytes that may be kept; None: a share (`SHARE`) of the memory there is.
        held: Bytes that are kept now, as estimated.
        repeated: Pieces so far that are computed again.
    """

    def __init__(self, words: WordVectors, *, checkpointing: bool) -> None:
        config: Any = words.model.config
        layers = getattr(layer_stack(words.model), "layer", None)
        self._layers = config.num_hidden_layers if layers is None else max(len(layers), 1)
        self._width = words.hidden
        self._heads = config.num_attention_heads
        self._checkpointing = checkpointing
        self.limit: int | None = None
        self.held = self.repeated = 0

    @override
    def __getstate__(self) -> dict[str, Any]:
        """A copy keeps nothing yet."""
        return {**self.__dict__, "held": 0}

    def run(
        self, encode: Callable[[], th.Tensor], shape: tuple[int, ...], device: th.device
    ) -> th.Tensor:
        """What `encode` gives, with gradients where they are enabled.

        Args:
            encode: Makes the pass over a piece; what it does again on the way back is the same.
            shape: (B, L) of the piece, B windows of L sub-words.
            device: Where it runs.
        """
        if not th.is_grad_enabled():
            return encode()
        # Fused attention keeps no weights; on a CPU it is the slower one on the way back.
        size = self.size(*shape, fused=device.type != "cpu")
        if self.limit is None:
            self.limit = int(SHARE * device_memory(device))
        if self.held + size <= self.limit:
            kept: th.Tensor = _Kept.apply(encode(), _Share(self, size))
            return kept
        self.repeated += 1
        # The network turns what its layers raise into errors of its own, an early stop too.
        with set_checkpoint_early_stop(False):
            again: th.Tensor = checkpoint(encode, use_reentrant=False)
            return again

    def size(self, windows: int, length: int, *, fused: bool) -> int:
        """Bytes that are kept of a piece of (windows, length) sub-words, about.

        Of each layer 34 numbers per unit of width and 5 per head and pair of positions, in two
        bytes each (Korthikanti et al. 2022, Reducing Activation Recomputation in Large Transformer
        Models, equation 1), twice that in float32. Checkpointing keeps one per unit.
        """
        each = 34 * self._width + (0 if fused else 5 * self._heads * length)
        if self._checkpointing:
            each = self._width
        return 4 * self._layers * windows * length * each


def device_memory(device: th.device) -> int:
    """Bytes of memory that a device has."""
    if device.type == "cuda":
        return int(th.cuda.mem_get_info(device)[1])
    return memory_limit()


class _Share:
    """Bytes of a piece, counted until the gradients are there or the graph is dropped."""

    def __init__(self, memory: GraphMemory, size: int) -> None:
        memory.held += size
        self.release = weakref.finalize(self, _give_back, memory, size)
        self.release.atexit = False


def _give_back(memory: GraphMemory, size: int) -> None:
    memory.held -= size


class _Kept(th.autograd.Function):
    """The identity, whose node in the graph has the piece's `_Share` as long as it lives."""

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
