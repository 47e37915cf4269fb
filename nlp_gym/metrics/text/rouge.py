"""ROUGE of summaries, and ROUGE-1 of selections of sentences from token counts."""

from __future__ import annotations

import importlib.metadata
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, Protocol

import numpy as np
from typing_extensions import override

from nlp_gym.data.text.tokenize import split_words
from nlp_gym.metrics.base import Score, mean_of_first
from nlp_gym.types import Float64Array

TOKENIZERS = ("rouge", "unicode")
_TYPES = {"rouge1": "rouge_1", "rouge2": "rouge_2", "rougeL": "rouge_l"}
ROUGE_PARTS = {"precision": "precision", "recall": "recall", "fmeasure": "f1"}
"""Fields of rouge-score's `Score`, and their names in reports."""

_DEEP = "y" * 500
_FEW_MATCHES = 4
"""Pairs of equal tokens, per token, up to which they are gone through one by one."""
_OFTEN = 8
"""Tokens that occur so often have a mask of bits of their own, the others for as long as needed."""

References = Sequence[str]


class Tokenizer(Protocol):
    """Cuts a text into the tokens that ROUGE compares."""

    name: str

    def tokenize(self, text: str) -> list[str]:
        """Tokens of a text, line by line."""
        ...


class _CachedTokenizer(Tokenizer):
    """Caches the tokens of each line: stemming is the slow part of ROUGE."""

    def __init__(self, name: str, tokenize_line: Callable[[str], list[str]]) -> None:
        self.name = name
        self._tokenize_line: Callable[[str], list[str]] = lru_cache(maxsize=1 << 17)(tokenize_line)

    @override
    def tokenize(self, text: str) -> list[str]:
        return [token for line in text.split("\n") for token in self._tokenize_line(line)]


@cache
def make_tokenizer(name: str) -> Tokenizer:
    """Make the tokenizer of a name in `TOKENIZERS`.

    ``"rouge"`` is that of the package rouge-score with Porter stemming: lower case, and only the
    letters a to z and digits 0 to 9 make tokens. ``"unicode"`` takes the words of `split_words`
    that have a letter or digit of any script, in lower case.
    """
    if name == "rouge":
        from rouge_score import tokenize

        stemmer = _Stemmer()
        return _CachedTokenizer(name, lambda line: list(tokenize.tokenize(line, stemmer)))
    return _CachedTokenizer(name, _unicode_tokens)


class _Stemmer:
    """Porter's stemmer as rouge-score takes it, from NLTK.

    NLTK calls itself once per letter of a run of ``y`` and fails where Python allows no deeper
    calls. Words with such runs are left as they are.
    """

    def __init__(self) -> None:
        from nltk.stem.porter import PorterStemmer

        self._stem = PorterStemmer().stem

    def stem(self, word: str) -> str:
        """The stem of a word of lower-case letters."""
        return word if _DEEP in word else str(self._stem(word))


def _unicode_tokens(text: str) -> list[str]:
    found = (word for word, _, _ in split_words(text))
    return [word.lower() for word in found if any(map(str.isalnum, word))]


class RougeScorer:
    """The scorer of rouge-score, but for how it finds the longest common subsequence.

    Its table has an entry for each pair of tokens, and takes a minute for texts of 10,000 words.

    Args:
        kinds: ``"rouge1"``, ``"rouge2"`` and ``"rougeL"``, or some of them.
        tokenizer: A tokenizer of `make_tokenizer`.
    """

    def __init__(self, kinds: Sequence[str], tokenizer: Tokenizer) -> None:
        from rouge_score import rouge_scorer, scoring

        self._kinds, self._tokenizer, self._scoring = tuple(kinds), tokenizer, scoring
        ngrams = [kind for kind in kinds if kind != "rougeL"]
        self._library = rouge_scorer.RougeScorer(ngrams, tokenizer=tokenizer)

    def score(self, target: str, prediction: str) -> dict[str, Any]:
        """rouge-score's `Score` of each kind."""
        scores: dict[str, Any] = dict(self._library.score(target, prediction))
        if "rougeL" in self._kinds:
            sides = [self._tokenizer.tokenize(text) for text in (prediction, target)]
            length = common_length(*sides)
            precision, recall = (length / len(side) if side else 0.0 for side in sides)
            f1 = self._scoring.fmeasure(precision, recall)
            scores["rougeL"] = self._scoring.Score(precision, recall, f1)
        return scores

    def best(self, targets: Sequence[str], prediction: str) -> dict[str, Any]:
        """For each kind the score of the target with the highest F1, the first of equal ones."""
        found = [self.score(target, prediction) for target in targets]
        return {kind: max((s[kind] for s in found), key=_f1) for kind in self._kinds}


def _f1(score: Any) -> float:
    return float(score.fmeasure)


def common_length(left: Sequence[str], right: Sequence[str]) -> int:
    """Length of the longest common subsequence of two sequences of tokens."""
    first, end = 0, min(len(left), len(right))
    while first < end and left[first] == right[first]:
        first += 1
    last = 0
    while last < end - first and left[-1 - last] == right[-1 - last]:
        last += 1
    left, right = left[first : len(left) - last], right[first : len(right) - last]
    places: dict[str, list[int]] = {}
    for place, token in enumerate(left):
        places.setdefault(token, []).append(place)
    matches = sum(len(places.get(token, ())) for token in right)
    few = matches <= _FEW_MATCHES * (len(left) + len(right))
    count = _count_by_matches if few else _count_by_bits
    return first + last + count(places, right, len(left))


def _count_by_matches(places: Mapping[str, list[int]], right: Sequence[str], n: int) -> int:
    """Common length, in a time that grows with the pairs of equal tokens (Hunt, Szymanski 1977)."""
    ends: list[int] = []  # the least place at which a common subsequence of each length ends
    for token in right:
        for place in reversed(places.get(token, ())):
            at = bisect_left(ends, place)
            ends[at : at + 1] = [place]
    return len(ends)


def _count_by_bits(places: Mapping[str, list[int]], right: Sequence[str], n: int) -> int:
    """Common length by a string of n bits and an addition per token; see `incremental.lcs`."""
    masks = {token: _mask(found) for token, found in places.items() if len(found) >= _OFTEN}
    full = row = (1 << n) - 1
    for token in right:
        if token in places:
            matched = row & (masks.get(token) or _mask(places[token]))
            row = ((row + matched) | (row - matched)) & full
    return n - bin(row).count("1")


def _mask(places: Sequence[int]) -> int:
    mask = 0
    for place in places:
        mask |= 1 << place
    return mask


def rouge(
    references: Sequence[References],
    summaries: Sequence[str],
    tokenizer: Tokenizer,
    *,
    beside: Mapping[str, Sequence[str]] | None = None,
    bootstrap: int = 1000,
    report: bool = True,
) -> Score:
    """ROUGE (Lin 2004) by the package rouge-score; the value is the mean ROUGE-1 F1.

    Of several references the one with the highest ROUGE-1 F1 gives all three figures of a summary,
    as in the evaluation of SciTLDR (Cachola et al. 2020). ROUGE-L is that of whole summaries.

    Args:
        references: One or more references of each of N summaries.
        summaries: The summaries; a line break between sentences changes nothing.
        tokenizer: A tokenizer of `make_tokenizer`.
        beside: Other summaries by name, reported next to these.
        bootstrap: Number of resamples of documents for the interval; 0: no interval.
        report: Whether to give precision, recall and F1 of ROUGE-1, 2 and L; False: only ROUGE-1 is
            computed.
    """
    kinds = tuple(_TYPES) if report else ("rouge1",)
    figures = _figures(references, summaries, tokenizer, kinds)
    values = figures[0, -1]
    version = importlib.metadata.version("rouge-score")
    signature = "metric:rouge_1|average:document|references:best|"
    signature += f"tokens:{tokenizer.name}|rouge-score:{version}"
    tables: dict[str, Any] = {}
    if report:
        others = {
            name: _table(_figures(references, texts, tokenizer, kinds))
            for name, texts in (beside or {}).items()
        }
        tables = {**_table(figures), "beside": others}
    return Score.from_counts(
        "rouge_1",
        np.stack([values, np.ones(len(values))], axis=1),
        mean_of_first,
        signature=signature,
        bootstrap=bootstrap,
        value=float(values.mean()) if len(values) else 0.0,
        report=tables,
        text=_text(tables),
    )


def _figures(
    references: Sequence[References],
    summaries: Sequence[str],
    tokenizer: Tokenizer,
    kinds: Sequence[str],
) -> Float64Array:
    """(kinds, 3, N) precision, recall and F1 against the best reference."""
    scorer = RougeScorer(kinds, tokenizer)
    rows = []
    for golds, summary in zip(references, summaries, strict=True):
        found = [scorer.score(gold, summary) for gold in golds]
        best = max(found, key=lambda scores: scores["rouge1"].fmeasure)
        rows.append([[getattr(best[kind], part) for part in ROUGE_PARTS] for kind in kinds])
    figures = np.array(rows, np.float64).reshape(-1, len(kinds), len(ROUGE_PARTS))
    return np.ascontiguousarray(figures.transpose(1, 2, 0))


def _table(figures: Float64Array) -> dict[str, dict[str, float]]:
    means = figures.mean(axis=-1).tolist()
    return {
        name: dict(zip(ROUGE_PARTS.values(), parts, strict=True))
        for name, parts in zip(_TYPES.values(), means, strict=True)
    }


def _text(tables: Mapping[str, Any]) -> str:
    if not tables:
        return ""
    rows = {"summaries": tables, **tables["beside"]}
    width = max(map(len, rows)) + 2
    lines = [f"{'F1':>{width}}" + "".join(f"{name:>10}" for name in _TYPES.values())]
    for name, row in rows.items():
        cells = "".join(f"{row[kind]['f1']:>10.4f}" for kind in _TYPES.values())
        lines.append(f"{name:>{width}}{cells}")
    return "\n".join(lines) + "\n"
