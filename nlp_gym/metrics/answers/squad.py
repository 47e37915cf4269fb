"""Answers as text: SQuAD's exact match and F1, by words or, without spaces, by characters."""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nlp_gym.metrics.base import BOOTSTRAP_SEED, Score, bootstrap_interval
from nlp_gym.types import Float64Array

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)

# Scripts that do not mark words by spaces: Thai, Lao, Myanmar, Khmer, kana, Han.
_UNSPACED = (
    "\u0e00-\u0e7f\u0e80-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U000323af"
)
_CHARACTER = re.compile(f"[{_UNSPACED}]")
_MIXED = re.compile(rf"[{_UNSPACED}]|[^\s{_UNSPACED}]+")


def normalise(text: str) -> str:
    """SQuAD's normal form: lower case, no ASCII punctuation, no English article, single spaces.

    As in the official script (Rajpurkar et al. 2016, evaluate-v1.1 and v2.0).
    """
    plain = text.lower().translate(_NO_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", plain).split())


class _AnyPunctuation(dict[int, int | None]):
    """A table for `str.translate` without what Unicode or ASCII calls punctuation."""

    def __missing__(self, code: int) -> int | None:
        char = chr(code)
        drop = char in string.punctuation or unicodedata.category(char)[0] == "P"
        self[code] = None if drop else code
        return self[code]


_NO_MARKS = _AnyPunctuation()


def _words(text: str) -> list[str]:
    return normalise(text).split()


def _characters(text: str) -> list[str]:
    """Mixed segmentation: lower case, no punctuation; a character of such a script is a word.

    As MLQA does for Chinese (Lewis et al. 2020) after CMRC 2018 (Cui et al. 2019), and MKQA
    (Longpre et al. 2021) for Japanese, Thai and Khmer too. Other words are cut at white space.
    """
    return _MIXED.findall(text.lower().translate(_NO_MARKS))


FORMS: dict[str, Callable[[str], list[str]]] = {"words": _words, "characters": _characters}
"""What the words of the metric are."""


def is_unspaced(text: str) -> bool:
    """Whether a character of a script without spaces is in a text."""
    return _CHARACTER.search(text) is not None


def fitting_form(texts: Iterable[str]) -> str:
    """The name in `FORMS` that suits texts: `characters` if most of their words would be such."""
    characters = others = 0
    for text in texts:
        found = 0 if text.isascii() else len(_CHARACTER.findall(text))
        characters += found
        others += (len(_MIXED.findall(text)) if found else len(text.split())) - found
    return "characters" if characters > others else "words"


def exact_match(predicted: str, golds: Sequence[str], f1: str = "words") -> bool:
    """Whether the normal form of an answer is that of one of the golds."""
    form = FORMS[f1]
    return any(form(predicted) == form(gold) for gold in golds)


def answer_f1(predicted: str, golds: Sequence[str], f1: str = "words") -> float:
    """Best F1 of the words in normal form, as multisets, over the golds.

    Where one side has no word left it is 1 if neither has one, else 0 (evaluate-v2.0; v1.1 gives
    0 even for an answer such as "The" that is right).
    """
    form = FORMS[f1]
    return max(_f1(form(predicted), form(gold)) for gold in golds)


def _f1(predicted: Sequence[str], gold: Sequence[str]) -> float:
    if not predicted or not gold:
        return float(not predicted and not gold)
    same = sum((Counter(predicted) & Counter(gold)).values())
    return 2 * same / (len(predicted) + len(gold))


def squad_score(
    golds: Sequence[Sequence[str]],
    predicted: Sequence[str],
    *,
    f1: str = "words",
    bootstrap: int = 1000,
    report: bool = True,
) -> Score:
    """Mean F1 (the value) and exact match over questions, each the best over its golds.

    Args:
        golds: Right answers of each question, at least one.
        predicted: One answer a question.
        f1: The metric's words, a name in `FORMS`; SQuAD's are `words`.
        bootstrap: Resamples of the interval over questions; 0: no interval.
        report: Make the text for people.
    """
    counts: npt.NDArray[Any] = np.array(
        [
            (answer_f1(p, g, f1), exact_match(p, g, f1), 1)
            for p, g in zip(predicted, golds, strict=True)
        ],
        np.float64,
    ).reshape(-1, 3)
    value, exact, _ = (counts.sum(0) / max(len(counts), 1)).tolist()
    form = "normalisation:squad" if f1 == "words" else f"normalisation:mlqa|tokens:{f1}"
    signature, interval = f"metric:squad_f1|{form}|golds:max|average:question", None
    if bootstrap and len(counts):
        interval = bootstrap_interval(counts, _mean_f1, draws=bootstrap)
        signature += f"|bs:{bootstrap}|rs:{BOOTSTRAP_SEED}"
    values = {"squad_f1": value, "exact_match": exact}
    lines = [f"{name:>12} {number:.4f}" for name, number in values.items()]
    text = "\n".join([*lines, f"{'questions':>12} {len(counts)}", ""]) if report else ""
    return Score("squad_f1", value, interval, len(counts), signature, values, text)


def _mean_f1(sums: Float64Array) -> Float64Array:
    return np.asarray(sums[:, 0] / np.maximum(sums[:, 2], 1), np.float64)
