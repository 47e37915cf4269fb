"""A text metric after every token that is written, for many texts at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nlp_gym.checks import check_name
from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym.metrics.base import f1
from nlp_gym.metrics.incremental.lcs import CommonSubsequence
from nlp_gym.metrics.incremental.tokenizer import IncrementalTokenizer
from nlp_gym.metrics.text.bleu import (
    BLEU_ORDER,
    ReferenceLengths,
    bleu_formula,
    check_bleu_options,
    check_references,
)
from nlp_gym.metrics.text.chrf import CHRF_ORDER, chrf_formula
from nlp_gym.metrics.text.gleu import GLEU_ORDER, gleu_formula
from nlp_gym.metrics.text.ngrams import DocumentTable, NgramMatcher, State, Trie, number_words
from nlp_gym.metrics.text.rouge import TOKENIZERS as ROUGE_TOKENIZERS
from nlp_gym.metrics.text.scoring_tokens import scoring_tokenizer
from nlp_gym.types import BoolArray, Float64Array, Int64Array

METRICS = ("bleu", "gleu", "chrf", "rouge1", "rouge2", "rougeL")
_ORDERS = {
    "bleu": BLEU_ORDER,
    "gleu": GLEU_ORDER,
    "chrf": CHRF_ORDER,
    "rouge1": 1,
    "rouge2": 2,
    "rougeL": 1,
}


class IncrementalMetric:
    """A metric of B hypotheses that are written token by token, each against its row's references.

    The text of a hypothesis is ``b"".join(pieces).decode("utf-8", "replace").strip()``. Its value
    after any token equals, to 1e-9, the value of that text by the library that defines the metric:

    - ``"bleu"``: sacreBLEU's sentence BLEU with effective order, / 100;
    - ``"gleu"``: NLTK's sentence GLEU of the words that sacreBLEU's tokenizer makes;
    - ``"chrf"``: sacreBLEU's sentence chrF, / 100;
    - ``"rouge1"``, ``"rouge2"``, ``"rougeL"``: F1 by rouge-score with stemming, the highest over
      the references.

    A state is a dict of arrays whose first axis is B, so that hypotheses can be copied and set like
    rows of any array. It belongs to the object that made it and cannot be used with another one.

    Args:
        references: One or more texts for each of N rows.
        pieces: The UTF-8 bytes that each of V tokens appends, ``b""`` for none. A piece may be a
            part of a character.
        metric: One of `METRICS`.
        tokenize: sacreBLEU's tokenizer, for BLEU and GLEU.
        smooth_method: Smoothing of BLEU, with sacreBLEU's default value.
        max_words: Most tokens of a hypothesis.
        rouge_tokenizer: ``"rouge"`` (letters a to z and digits, stemmed) or ``"unicode"`` (words
            of any script), for ROUGE.
        which: (rows,) which of `references` each row has, where many rows share some; None: row i
            has those of place i.

    Raises:
        UnknownNameError: No such metric, tokenizer or smoothing.
        InvalidArgumentError: A row without references, no pieces, or `max_words` below 1.
    """

    def __init__(
        self,
        references: Sequence[Sequence[str]],
        pieces: Sequence[bytes],
        *,
        metric: str = "bleu",
        tokenize: str = "13a",
        smooth_method: str = "exp",
        max_words: int,
        rouge_tokenizer: str = "rouge",
        which: Int64Array | None = None,
    ) -> None:
        check_name("metric", metric, tuple(METRICS))
        check_name("rouge_tokenizer", rouge_tokenizer, tuple(ROUGE_TOKENIZERS))
        self._smooth_value = check_bleu_options(tokenize, smooth_method)
        check_references(references)
        if max_words < 1 or not pieces:
            raise InvalidArgumentError(
                f"max_words={shown(max_words)} must be at least 1 and pieces (here {len(pieces)}) "
                "at least one."
            )
        self.metric, self._smooth, self._max_words = metric, smooth_method, max_words
        self._which = which
        self._n_pieces = len(pieces)
        if metric.startswith("rouge"):
            scoring = scoring_tokenizer("rouge", rouge_tokenizer)
        else:
            scoring = scoring_tokenizer("bleu", "char" if metric == "chrf" else tokenize)
        index, golds = number_words(references, scoring.tokenize)
        self._tokenizer = IncrementalTokenizer(pieces, scoring, index, max_words)
        most = max(scoring.max_words(piece.decode("utf-8", "replace")) for piece in pieces)
        self._matcher = self._make_matcher(golds, max_words * max(most, 1))

    def _make_matcher(
        self, golds: list[list[list[int]]], longest: int
    ) -> NgramMatcher | CommonSubsequence:
        """The object that keeps the matches of at most `longest` words with the references."""
        self._lengths = ReferenceLengths([[len(text) for text in texts] for texts in golds])
        order = _ORDERS[self.metric]
        if self.metric == "bleu":  # an n-gram counts as often as one of the references has it
            return NgramMatcher(Trie(golds, order), DocumentTable([1] * len(golds), 0), longest)
        # The other metrics score each reference by itself; document 0 is empty, for padding.
        documents = [[], *(text for texts in golds for text in texts)]
        self._sizes = np.array(list(map(len, documents)), np.int64)
        self._table = DocumentTable(list(map(len, golds)), 1)
        if self.metric == "rougeL":
            return CommonSubsequence(documents, self._table, longest)
        return NgramMatcher(Trie([[text] for text in documents], order), self._table, longest)

    def _rows(self, rows: Int64Array) -> Int64Array:
        """(B,) places in `references` of what `rows` (B,) are compared with."""
        rows = np.asarray(rows, np.int64)
        return rows if self._which is None else self._which.take(rows)

    def initial(self, rows: Int64Array) -> dict[str, npt.NDArray[Any]]:
        """State of empty hypotheses for the references of `rows` (B,)."""
        return {**self._tokenizer.initial(len(rows)), **self._matcher.initial(len(rows))}

    def append(
        self, state: State, rows: Int64Array, tokens: Int64Array, where: BoolArray | None = None
    ) -> None:
        """Append a token to each hypothesis, in place.

        Args:
            state: A state of `initial`.
            rows: (B,) rows of the references.
            tokens: (B,) tokens from 0 to V-1.
            where: (B,) whether a hypothesis gets its token; None: all do.

        Raises:
            InvalidArgumentError: A token is outside 0 to V-1, a hypothesis has `max_words` tokens
                already, or an array of the state is not contiguous.
        """
        at = np.arange(len(rows)) if where is None else np.flatnonzero(where)
        if not len(at):
            return
        rows, tokens = self._rows(rows)[at], np.asarray(tokens, np.int64)[at]
        self._check(state, at, tokens)
        edit = self._tokenizer.append(state, at, tokens)
        for i in range(int(edit.drop.max())):
            some = (edit.drop > i).nonzero()[0]
            self._matcher.pop(state, rows[some], at[some])
        for i in range(int(edit.count.max())):
            some = (edit.count > i).nonzero()[0]
            words = edit.pool[edit.start[some] + i]
            self._matcher.push(state, rows[some], at[some], words)

    def _check(self, state: State, at: Int64Array, tokens: Int64Array) -> None:
        if int(tokens.min()) < 0 or int(tokens.max()) >= self._n_pieces:
            raise InvalidArgumentError(
                f"tokens={tokens.tolist()} must be from 0 to {self._n_pieces - 1}."
            )
        if int(state["n_tokens"][at].max()) >= self._max_words:
            raise InvalidArgumentError(
                f"a hypothesis has max_words={self._max_words} tokens already: give a larger "
                "max_words to IncrementalMetric."
            )
        for name, array in state.items():
            if not array.flags.c_contiguous:
                raise InvalidArgumentError(
                    f"state[{shown(name)}] must be contiguous: use numpy.ascontiguousarray."
                )

    def value(self, state: State, rows: Int64Array) -> Float64Array:
        """(B,) the metric in [0, 1] of the hypotheses so far; 0 for one without words."""
        rows = self._rows(rows)
        length = state["length"]
        if self.metric == "bleu":
            closest = self._lengths.closest(rows, length)
            return bleu_formula(
                state["matches"],
                length,
                closest,
                smooth_method=self._smooth,
                smooth_value=self._smooth_value,
            )
        sizes = self._sizes.take(self._table.of(rows))
        if isinstance(self._matcher, CommonSubsequence):
            each = f1(self._matcher.length(state, rows), length[:, None], sizes)
        else:
            order = _ORDERS[self.metric]
            matches = state["matches"].reshape(len(length), -1, order)
            if self.metric == "chrf":
                each = chrf_formula(matches, length, sizes)
            elif self.metric == "gleu":
                each = gleu_formula(matches, length[:, None], sizes)
            else:
                written = np.maximum(length[:, None] - (order - 1), 0)
                each = f1(matches[:, :, -1], written, np.maximum(sizes - (order - 1), 0))
        best: Float64Array = each.max(axis=1)
        return best
