"""Reference summaries: the overlap with them, the greedy summaries of the oracle, the score."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nlp_gym.errors import DataError, shown
from nlp_gym.metrics.base import Score
from nlp_gym.metrics.text.rouge import Tokenizer, rouge
from nlp_gym.metrics.text.sentence_rouge import SentenceRouge1
from nlp_gym.types import BoolArray, Int64Array, Sample


def sentence_overlap(
    samples: Sequence[Sample], sizes: Int64Array, tokenizer: Tokenizer
) -> SentenceRouge1:
    """ROUGE-1 of selections among the first `sizes` (N,) sentences of annotated documents.

    Raises:
        DataError: The tokenizer sees nothing in most of the references.
    """
    references = [sample.gold for sample in samples]
    blind = sum(not any(map(tokenizer.tokenize, texts)) for texts in references)
    if 2 * blind > len(references):
        raise DataError(
            f"{blind} of {len(references)} summaries have no token for tokenizer="
            f'{shown(tokenizer.name)}, which knows a-z and 0-9 alone: give tokenizer="unicode" '
            "(--env-kwargs tokenizer:unicode)."
        )
    pairs = zip(samples, sizes.tolist(), strict=True)
    sentences = [sample.extra["sentence_texts"][:n] for sample, n in pairs]
    return SentenceRouge1(sentences, references, tokenizer)


@dataclass(frozen=True)
class GreedySummaries:
    """The summaries that the oracle picks sentence by sentence.

    Attributes:
        picks: (N, P) sentences of each document in the order of choice, then -1.
        stop: The action STOP.
    """

    picks: npt.NDArray[np.int16]
    stop: int

    def action(self, row: Int64Array, chosen: BoolArray) -> Int64Array:
        """(B,) the first sentence of the summary that is not `chosen` (B, C); else STOP."""
        picks = self.picks.take(row, axis=0).astype(np.int64)
        missing = (picks >= 0) & ~np.take_along_axis(chosen, np.maximum(picks, 0), axis=1)
        first = picks[np.arange(len(row)), missing.argmax(axis=1)]
        return np.where(missing.any(axis=1), first, self.stop)

    def right(self, row: Int64Array, chosen: BoolArray, actions: Int64Array) -> BoolArray:
        """(B,) a sentence of the summary, or STOP when nothing of it is missing."""
        listed: BoolArray = (self.picks.take(row, axis=0) == actions[:, None]).any(axis=1)
        complete: BoolArray = (actions == self.stop) & (self.action(row, chosen) == self.stop)
        return listed | complete


def summary_score(
    samples: Sequence[Sample],
    outputs: Sequence[Sequence[int]],
    tokenizer: Tokenizer,
    *,
    beside: Mapping[str, Sequence[Iterable[int]]],
    bootstrap: int,
    report: bool,
) -> Score:
    """ROUGE of the sentences in `outputs`, with that of other selections `beside`; see `rouge`."""
    texts, *others = (
        [summary_text(sample, picks) for sample, picks in zip(samples, selections, strict=True)]
        for selections in (outputs, *beside.values())
    )
    named = dict(zip(beside, others, strict=True))
    references = [sample.gold for sample in samples]
    return rouge(references, texts, tokenizer, beside=named, bootstrap=bootstrap, report=report)


def summary_text(sample: Sample, sentences: Iterable[int]) -> str:
    """Sentences of a document in its order, one per line."""
    return "\n".join(sample.extra["sentence_texts"][k] for k in sorted(sentences) if k >= 0)
