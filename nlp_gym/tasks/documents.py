"""What summaries stand on: checks of documents, their units, their drawing."""

from __future__ import annotations

import warnings
from collections.abc import Container, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nlp_gym.errors import DataError
from nlp_gym.metrics.base import Score
from nlp_gym.metrics.overlap import SentenceOverlap, make_tokenizer
from nlp_gym.tasks.base import Output
from nlp_gym.tasks.picking import PickState, PickTask
from nlp_gym.tasks.summary_gold import Expert, summary_score, summary_text
from nlp_gym.tasks.tables import Tables, Units
from nlp_gym.types import Int64Array, Sample

if TYPE_CHECKING:
    from nlp_gym.envs.render import Frame, Piece

PLACES = ("first", "last", "early")


def check_documents(samples: Sequence[Sample], most: int) -> Int64Array:
    """(N,) sentences of each document; a `UserWarning` counts those with more than `most`.

    Raises:
        DataError: A sample is no document, or annotated with something else than references.
    """
    sizes = []
    for index, sample in enumerate(samples):
        where = f"sample {index} ({sample.id})"
        sentences = sample.extra.get("sentences", ())
        texts = sample.extra.get("sentence_texts", ())
        if not sentences or len(sentences) != len(texts):
            raise DataError(f"{where}: extra needs 'sentences' and as many 'sentence_texts'.")
        if tuple(word for sentence in sentences for word in sentence) != tuple(sample.words):
            raise DataError(f"{where}: the words of extra['sentences'] are not the sample's words.")
        gold = sample.gold
        listed = isinstance(gold, (tuple, list)) and all(isinstance(text, str) for text in gold)
        if sample.annotated and not (listed and gold):
            raise DataError(f"{where}: gold={gold!r}, allowed: reference summaries as strings.")
        sizes.append(len(sentences))
    longer = sum(size > most for size in sizes)
    if longer:
        warnings.warn(
            f"{longer} of {len(sizes)} documents have more than {most} sentences: only the first "
            f"{most} of them can be picked. max_sentences= allows more (the same for all splits).",
            UserWarning,
            stacklevel=3,
        )
    return np.array(sizes, np.int64)


def document_units(samples: Sequence[Sample], sizes: Int64Array) -> Units:
    """A unit for each document, followed by those of its first `sizes` (N,) sentences."""
    spans = []
    for index, (sample, size) in enumerate(zip(samples, sizes.tolist(), strict=True)):
        spans.append((index, 0, len(sample.words)))
        at = 0
        for sentence in sample.extra["sentences"][:size]:
            spans.append((index, at, at + len(sentence)))
            at += len(sentence)
    return Units([sample.words for sample in samples], np.array(spans, np.int64), rescaled=True)


def document_tables(sizes: Int64Array, width: int) -> Tables:
    """Tables of `document_units`: one slot a document, its unit before its C sentences'."""
    n, place = np.arange(len(sizes)), np.arange(width)
    first = n + np.cumsum(sizes) - sizes
    sentences = np.where(place < sizes[:, None], first[:, None] + 1 + place, -1)
    return Tables.build(
        int(len(sizes) + sizes.sum()),
        offsets=n,
        context=np.zeros((len(n), 0), np.int64),
        row_units=first[:, None],
        candidates=sentences[:, :, None],
    )


def place_flags(sizes: Int64Array, width: int) -> npt.NDArray[np.int32]:
    """(3, N, C) marks of sentences, in the order of `PLACES`: early is the first third."""
    place, size = np.arange(width), sizes[:, None]
    first = np.broadcast_to(place == 0, (len(sizes), width))
    marks = np.stack([first, place == size - 1, 3 * place < size])
    return (marks & (place < size)).astype(np.int32)


def picked_pieces(sample: Sample, picked: Container[int]) -> list[Piece]:
    """A document for people, a sentence a line."""
    from nlp_gym.envs.render import Piece

    return [
        Piece(text, "chosen", "picked", line=True) if k in picked else Piece(text, line=True)
        for k, text in enumerate(sample.extra["sentence_texts"])
    ]


@dataclass
class SummaryState(PickState):
    """And token counts (B, V+1) of the sentences picked; see `SentenceOverlap`."""

    tokens: npt.NDArray[np.int32]


class DocumentTask(PickTask):
    """Selections of sentences as summaries of documents; without the rules.

    Attributes:
        tokenizer: Name of that of the metric.
    """

    family = "summary"
    metric_name = "rouge_1"
    tokenizer: str
    _overlap: SentenceOverlap
    _expert: Expert

    @cached_property
    def units(self) -> Units:
        """Documents and their sentences; each document is encoded once, as a whole."""
        return document_units(self.corpus.samples, self._sizes)

    @cached_property
    def tables(self) -> Tables:
        """See `Task.tables`."""
        return document_tables(self._sizes, self.n_candidates)

    def initial(self, rows: Int64Array) -> SummaryState:
        """See `Task.initial`."""
        shape = (len(rows), self._overlap.counts.shape[1] if self.has_gold else 1)
        return SummaryState(**vars(super().initial(rows)), tokens=np.zeros(shape, np.int32))

    def outputs(self, state: SummaryState) -> list[Output]:
        """See `Task.outputs`: indices of the sentences, in the order of the document."""
        return [tuple(sorted(picked)) for picked in self.picks(state)]

    def corpus_score(
        self, rows: Sequence[int], outputs: Sequence[Output], *, bootstrap: int, report: bool
    ) -> Score:
        """See `Task.corpus_score`."""
        beside = {
            "first sentence": [(0,)] * len(rows),
            "first three": [range(min(3, self._sizes[row])) for row in rows],
            "greedy": self._expert.picks[list(rows)].tolist(),
        }
        samples, cut = [self._sample(row) for row in rows], make_tokenizer(self.tokenizer)
        return summary_score(
            samples, outputs, cut, beside=beside, bootstrap=bootstrap, report=report
        )

    def record(self, row: int, output: Output) -> dict[str, Any]:
        """The sentences picked and where they are."""
        text = summary_text(self._sample(row), output).replace("\n", " ")
        return {"summary": text, "sentences": list(output)}

    def frame(self, state: SummaryState, i: int) -> Frame:
        """See `Task.frame`."""
        from nlp_gym.envs.render import Frame

        row, picked = int(state.row[i]), self.picks(state)[i]
        pieces = picked_pieces(self._sample(row), picked)
        return Frame(self.title(row), f"picked {len(picked)}/{self._limits[row]}", pieces)
