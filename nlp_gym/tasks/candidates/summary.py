"""Extractive summaries: pick sentences of a document, then stop."""

from __future__ import annotations

import warnings
from collections.abc import Container, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from nlp_gym.checks import check_int, check_name
from nlp_gym.errors import DataError, shown
from nlp_gym.metrics.base import Score, on_grid
from nlp_gym.metrics.text.rouge import TOKENIZERS, make_tokenizer
from nlp_gym.tasks.candidates.picking import PickState, PickTask
from nlp_gym.tasks.candidates.summary_gold import (
    GreedySummaries,
    sentence_overlap,
    summary_score,
    summary_text,
)
from nlp_gym.tasks.core.tables import Extra, Tables
from nlp_gym.tasks.core.task import Output, Played
from nlp_gym.types import Float64Array, Int64Array, Observation, Sample, Units

if TYPE_CHECKING:
    from nlp_gym.render import Frame, Piece


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
            raise DataError(
                f"{where}: gold={shown(gold)}, allowed: reference summaries as strings."
            )
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
    """Tables of `document_units`: one slot per document, its unit before its C sentences'."""
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


def document_pieces(sample: Sample, picked: Container[int]) -> list[Piece]:
    """A document for people, one sentence per line."""
    from nlp_gym.render import Piece

    return [
        Piece(text, "chosen", "picked", line=True) if k in picked else Piece(text, line=True)
        for k, text in enumerate(sample.extra["sentence_texts"])
    ]


@dataclass
class SummaryState(PickState):
    """State of B summaries.

    Attributes:
        tokens: (B, V+1) int32 token counts of the sentences picked; see `SentenceRouge1`.
    """

    tokens: npt.NDArray[np.int32]


class Summary(PickTask):
    """Extractive summary as a decision process.

    ## Description
    The agent picks sentences of a document, which in the document's order are the summary, and
    says STOP. The reward is ROUGE itself, as in Narayan et al. (2018).

    ## Data
    Documents with reference summaries: SciTLDR (Cachola et al. 2020; abstracts), JSONL
    `{"document": text or sentences, "summary": text or references}` or CSV `document,summary`. Only
    the first C = `max_sentences` sentences can be picked (a warning counts longer documents).

    ## Observation Space
    `Dict`, with D = width of the encoder, P = `max_picks`, L = `max_tokens`:

    | obs_type | key | shape | dtype | values |
    |---|---|---|---|---|
    | all | `action_mask` | (C+1,) | int8 | 1 where the action is legal now |
    | all | `chosen` | (C,) | | sentence was picked, 0 or 1 |
    | all | `first`, `last`, `early` | (C,) | | place of a sentence: first, last, in first third |
    | features | `count` | (max(P, 2)+1,) | float32 | sentences picked, one-hot |
    | features | `context` | (D,) | float32 | the document, mean of its words |
    | features | `candidates` | (C, D) | float32 | the sentences, as they stand in the document |
    | tokens | `input_ids`, `attention_mask` | (1, L) | int32, int8 | sub-words of the same |
    | tokens | `candidate_ids`, `candidate_mask` | (C, L) | int32, int8 | sub-words of the same |
    | tokens, index | `count` | (1,) | int32 | sentences picked |
    | index | `row`, `position` | (1,) | int32 | document; 0 |

    Binary keys: float32 in `features`, else int8. Zero beyond the last sentence.

    ## Action Space
    `Discrete(C+1)`: the sentence to pick, or C, STOP.

    ## Action Mask
    Sentences that are there and not picked yet; STOP after one pick.

    ## Rewards
    - `metric` (default of the ids): change of the summary's ROUGE-1 F1 (best reference).
    - `sparse`: the ROUGE-1 F1, at the end.
    - `correctness`: 1 for a sentence of the greedy summary, or STOP when it is complete; else 0.

    ## Starting State
    A document, nothing picked.

    ## Episode End
    After STOP or `max_picks` picks, or when no sentence is left.

    ## Metric
    ROUGE-1 F1 (`rouge_1`; package rouge-score, stemming), mean over documents; of several
    references the best by ROUGE-1 counts. The report has ROUGE-1, 2 and L, and beside them those of
    the first sentence, the first three and the greedy summary (always the sentence that raises
    ROUGE-1 most, while one does), which is the oracle and not quite the optimum.

    ## Information
    `info["score"]` at the end: the ROUGE-1 F1. For the rest see `Task`.

    ## Arguments
    Those of `Task`; `max_sentences` (40), C; `max_picks` (3), the most sentences of a summary;
    `tokenizer` (`"rouge"`): `"unicode"` is ROUGE over words of any script, without stemming.

    ## Registered Ids
    `Summary-SciTLDR-v0`, `Summary-v0`

    ## Version History
    * v0: initial version.
    """

    family = "summary"
    metric_name = "rouge_1"
    exact_oracle = False
    stop = True

    def __init__(
        self, *, max_sentences: int = 40, max_picks: int = 3, tokenizer: str = "rouge", **kw: Any
    ) -> None:
        c = check_int("max_sentences", max_sentences, 1, 512)
        p = check_int("max_picks", max_picks, 1, c)
        check_name("tokenizer", tokenizer, TOKENIZERS)
        self.tokenizer = tokenizer
        super().__init__(**kw)
        sizes = check_documents(self.corpus.samples, c)
        self.set_candidates(np.minimum(sizes, c), c, p)
        self._flags = place_flags(sizes, c)
        flags = {key: Extra(c, 1) for key in ("chosen", *PLACES)}
        self.extras = {**flags, "count": Extra(1, max(p, 2))}
        if self.has_gold:
            cut = make_tokenizer(tokenizer)
            self._overlap = sentence_overlap(self.corpus.samples, self._sizes, cut)
            self._greedy = GreedySummaries(self._overlap.greedy(self._sizes, p), c)

    @cached_property
    @override
    def units(self) -> Units:
        """Documents and their sentences; each document is encoded once, as a whole."""
        return document_units(self.corpus.samples, self._sizes)

    @cached_property
    @override
    def tables(self) -> Tables:
        return document_tables(self._sizes, self.n_candidates)

    @override
    def initial(self, rows: Int64Array) -> SummaryState:
        shape = (len(rows), self._overlap.width if self.has_gold else 1)
        return SummaryState(**vars(super().initial(rows)), tokens=np.zeros(shape, np.int32))

    @override
    def oracle(self, state: SummaryState) -> Int64Array:
        """(B,) the next sentence of the greedy summary, else STOP."""
        self.require_gold("oracle")
        return self._greedy.action(state.row, state.chosen)

    @override
    def play(self, state: SummaryState, actions: Int64Array) -> Played:
        picks = actions != self.n_candidates
        right = None
        if self.has_gold:
            right = self._greedy.right(state.row, state.chosen, actions).astype(np.float64)
            at = np.flatnonzero(picks)
            sentence = self._overlap.starts.take(state.row[at]) + actions[at]
            state.tokens[at] += self._overlap.counts(sentence)
        return right, 0.0, self.pick(state, actions, picks) | ~picks

    @override
    def potential(self, state: SummaryState) -> Float64Array:
        return on_grid(self._overlap.f1(state.row, state.tokens))

    @override
    def extra(self, state: SummaryState) -> Observation:
        """Sentences picked, places of sentences, and how many are picked."""
        places = zip(PLACES, self._flags.take(state.row, axis=1), strict=True)
        count = state.count.astype(np.int32)[:, None]
        return {"chosen": state.chosen.astype(np.int32), "count": count, **dict(places)}

    @override
    def outputs(self, state: SummaryState) -> list[Output]:
        """The indices of the sentences picked in each episode, in the order of the document."""
        return [tuple(sorted(picked)) for picked in self.picks(state)]

    @override
    def corpus_score(
        self, rows: Sequence[int], outputs: Sequence[Output], *, bootstrap: int, report: bool
    ) -> Score:
        beside = {
            "first sentence": [(0,)] * len(rows),
            "first three": [range(min(3, self._sizes[row])) for row in rows],
            "greedy": self._greedy.picks[list(rows)].tolist(),
        }
        samples, cut = [self.sample(row) for row in rows], make_tokenizer(self.tokenizer)
        return summary_score(
            samples, outputs, cut, beside=beside, bootstrap=bootstrap, report=report
        )

    @override
    def record(self, row: int, output: Output) -> dict[str, Any]:
        """The sentences picked and where they are."""
        text = summary_text(self.sample(row), output).replace("\n", " ")
        return {"summary": text, "sentences": list(output)}

    @override
    def texts(self, row: int) -> list[str]:
        """The sentences that can be picked."""
        return list(self.sample(row).extra["sentence_texts"][: self._sizes[row]])

    @override
    def frame(self, state: SummaryState, i: int) -> Frame:
        from nlp_gym.render import Frame

        row, picked = int(state.row[i]), self.picks(state)[i]
        pieces = document_pieces(self.sample(row), picked)
        return Frame(self.title(row), f"picked {len(picked)}/{self._limits[row]}", pieces)
