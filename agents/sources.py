"""Where contexts are gathered from: an encoded corpus as tensors, shared by all networks."""

from __future__ import annotations

import warnings
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch as th
from stable_baselines3.common.utils import get_device

from nlp_gym.errors import InvalidArgumentError
from nlp_gym.types import Encoded

MAX_ROWS = 2**24
"""Stable-Baselines3 casts observations to float32, which is exact below this."""


class WordTask(Protocol):
    """What `FeatureSource` needs of a task."""

    encoded: Encoded
    neighbours: npt.NDArray[np.int64]  # (positions, K) rows of `encoded.features` around each
    offsets: npt.NDArray[np.int64]  # (N,) position 0 of each text in `neighbours`


class FeatureSource:
    """The encoded corpus as tensors, to gather contexts from.

    On the CPU the features share memory with the task's (memory-mapped) array; on a GPU they are
    moved there once, if they fit into 80% of the free memory. Networks share a source, and it is
    no part of their weights.

    Args:
        task: Whose corpus is read.
        device: Where gathered contexts are wanted: `"auto"`, `"cpu"`, `"cuda"`.

    Attributes:
        features: (W+1, D) float16; row W is zeros.
        neighbours: (W, K) int64 rows of `features`.
        offsets: (N,) int64, or longer.
        width: K*D, the width of a context.

    Raises:
        InvalidArgumentError: The corpus has 2**24 texts or more.
    """

    def __init__(self, task: WordTask, device: th.device | str = "auto") -> None:
        self.device = get_device(device)
        if len(task.offsets) > MAX_ROWS:
            raise InvalidArgumentError(
                f"task: {len(task.offsets)} texts, but observations count rows in float32, which "
                f"is exact below {MAX_ROWS}: split the corpus."
            )
        features = _shared_tensor(task.encoded.features)
        home = self.device if _fits(features, self.device) else th.device("cpu")
        self.features = features.to(home)
        self.neighbours = _shared_tensor(task.neighbours).to(home)
        self.offsets = _shared_tensor(task.offsets).to(home)
        self.width = int(self.neighbours.shape[1] * self.features.shape[1])

    def gather_into(self, out: th.Tensor, row: th.Tensor, position: th.Tensor) -> None:
        """Write the contexts of B positions into `out` (B, K*D) float32.

        Args:
            out: Where to write; may be a slice of a wider tensor.
            row: (B, 1) index of the text.
            position: (B, 1) index of the word in it.
        """
        home = self.features.device
        row, position = row.to(home).long().view(-1), position.to(home).long().view(-1)
        words = self.offsets[row] + position  # (B,)
        rows = self.neighbours.index_select(0, words)  # (B, K)
        # Only the gathered rows are widened to float32, in the same pass that copies them.
        out.copy_(self.features.index_select(0, rows.view(-1)).view(len(words), self.width))

    def gather(self, row: th.Tensor, position: th.Tensor) -> th.Tensor:
        """The contexts of B positions, (B, K*D) float32 on the source's device."""
        out = th.empty((row.numel(), self.width), device=self.device)
        self.gather_into(out, row, position)
        return out


def _shared_tensor(array: npt.NDArray[Any]) -> th.Tensor:
    """A tensor over the array's own memory. Nothing here writes into it."""
    with warnings.catch_warnings():
        # A read-only memory map: torch cannot mark tensors read-only and says so.
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return th.from_numpy(np.asarray(array))


def _fits(features: th.Tensor, device: th.device) -> bool:
    if device.type != "cuda":
        return True
    free, _ = th.cuda.mem_get_info(device)
    return features.nbytes <= 0.8 * free
