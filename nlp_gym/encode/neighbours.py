"""The words that an encoder has near a word: nearest in its input embeddings, by their cosine."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from nlp_gym.checks import check_int, check_number
from nlp_gym.encode.base import Encoder
from nlp_gym.errors import InvalidArgumentError, shown

_REMEMBERED = 100_000


@runtime_checkable
class HasWordEmbeddings(Protocol):
    """An encoder with a vocabulary that has a vector of its own for each of many words."""

    def word_embeddings(self) -> tuple[list[str], npt.NDArray[np.float32]]:
        """V words that are one sub-word each, and (V, E) their input embeddings."""
        ...


class Neighbours:
    """Finds the neighbours of words; words that the vocabulary lacks have none.

    Args:
        encoder: Whose vocabulary and input embeddings.
        least: Lowest cosine of a neighbour. TextFooler (Jin et al. 2020) has 0.5 in its code, for
            vectors of another kind.
        most: Most neighbours of a word, nearest first; 50 in TextFooler.

    Raises:
        InvalidArgumentError: The encoder has no embeddings of words, or a number out of range.
        EncoderError: Its weights cannot be loaded.
    """

    def __init__(self, encoder: Encoder, *, least: float = 0.5, most: int = 50) -> None:
        if not isinstance(encoder, HasWordEmbeddings):
            raise InvalidArgumentError(
                f"changes='neighbours' looks for the words that encoder={shown(encoder.name)} has "
                "near, and it has no embeddings of words. A transformer has, such as 'minilm'; the "
                "other kinds of changes need none."
            )
        self.least = check_number("least", least, 0.0, 1.0)
        self.most = check_int("most", most, 1, 10_000)
        self._words, vectors = encoder.word_embeddings()
        self._place = {word: k for k, word in enumerate(self._words)}
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        self._vectors = vectors / np.maximum(norms, 1e-12)
        self._found: dict[str, tuple[str, ...]] = {}

    def of(self, word: str) -> tuple[str, ...]:
        """The neighbours of a word, nearest first, as the vocabulary writes them.

        Args:
            word: In any case: where the vocabulary has it in small letters alone, that one counts.
        """
        known = self._found.get(word)
        if known is None:
            place = self._place.get(word, self._place.get(word.lower()))
            known = () if place is None else self._nearest(place)
            if len(self._found) < _REMEMBERED:
                self._found[word] = known
        return known

    def _nearest(self, place: int) -> tuple[str, ...]:
        cosines = self._vectors @ self._vectors[place]
        cosines[place] = -1.0
        near = np.flatnonzero(cosines >= self.least)
        order = near[np.argsort(-cosines[near], kind="stable")][: self.most]
        return tuple(self._words[k] for k in order.tolist())
