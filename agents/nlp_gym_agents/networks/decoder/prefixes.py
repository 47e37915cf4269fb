"""Texts in progress, and which of them are beginnings of which others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nlp_gym.types import Int64Array

Keys = npt.NDArray[np.bytes_]


@dataclass(frozen=True)
class Texts:
    """n texts in progress.

    Attributes:
        row: (n,) sample that each is written for.
        prefix: (n, L) tokens, then 0.
        size: (n,) tokens written.
    """

    row: Int64Array
    prefix: npt.NDArray[np.int32]
    size: Int64Array

    def __len__(self) -> int:
        return len(self.row)

    def take(self, index: np.ndarray) -> Texts:
        """The texts at `index`."""
        return Texts(self.row[index], self.prefix[index], self.size[index])

    def keys(self) -> Keys:
        """(n,) bytes that sort as sample and tokens do, and are equal where these are.

        The size need not be in it: no token that is written is 0.
        """
        whole = np.column_stack([self.row, self.prefix]).astype(">u4")
        # A byte 1 at the end: numpy ignores zeros there, and zeros are what padding is made of.
        padded = np.ones((len(whole), whole.shape[1] * 4 + 1), np.uint8)
        padded[:, :-1] = whole.view(np.uint8).reshape(padded[:, :-1].shape)
        return np.ascontiguousarray(padded).view(f"S{padded.shape[1]}").ravel()

    def parents(self) -> Texts:
        """Each text without its last token; empty ones as they are."""
        last, some = np.maximum(self.size - 1, 0), np.flatnonzero(self.size)
        prefix = self.prefix.copy()
        prefix[some, last[some]] = 0
        return Texts(self.row, prefix, last)


def longest_texts(texts: Texts) -> tuple[Int64Array, Int64Array]:
    """The texts that no other one continues.

    Returns:
        (g,) their places, and (n,) for each text which of the g it is a beginning of.
    """
    order = np.argsort(texts.keys(), kind="stable")
    row, prefix, size = texts.row[order], texts.prefix[order], texts.size[order]
    # What continues a text comes directly after it in this order, if anything does.
    same = (prefix[1:] == prefix[:-1]) | (np.arange(prefix.shape[1]) >= size[:-1, None])
    continued = (row[1:] == row[:-1]) & same.all(axis=1)
    leads = np.append(~continued, True)
    group = np.cumsum(leads) - leads
    owner = np.empty(len(order), np.int64)
    owner[order] = group
    return order[leads], owner


def find_keys(wanted: Keys, among: Keys) -> Int64Array:
    """(n,) place of each key among others, -1 where it is not."""
    if not len(among):
        return np.full(len(wanted), -1)
    order = np.argsort(among, kind="stable")
    place = order[np.searchsorted(among, wanted, sorter=order).clip(max=len(among) - 1)]
    return np.where(among[place] == wanted, place, -1)
