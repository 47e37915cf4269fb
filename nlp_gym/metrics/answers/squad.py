"""SQuAD's exact match and F1 of answer texts, by words or by characters.

Characters are the tokens for scripts that do not separate words by spaces.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from nlp_gym.metrics.base import Score, mean_of_first

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_ASCII_PUNCTUATION = str.maketrans("", "", string.punctuation)

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
    plain = text.lower().translate(_NO_ASCII_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", plain).split())


class _DropPunctuation(dict[int, int | None]):
    """A table for `str.translate` that drops what Unicode or ASCII calls punctuation."""

    def __missing__(self, code: int) -> int | None:
        char = chr(code)
        drop = char in string.punctuation or unicodedata.category(char)[0] == "P"
        self[code] = None if drop else code
        return self[code]


_NO_UNICODE_PUNCTUATION = _DropPunctuation()


def _words(text: str) -> list[str]:
    return normalise(text).split()


def _characters(text: str) -> list[str]:
    """Mixed segmentation: lower case, no punctuation; a character of an unspaced script is a token.

    MLQA does so for Chinese (Lewis et al. 2020) after CMRC 2018 (Cui et al. 2019), and MKQA
    (Longpre et al. 2021) for Japanese, Thai and Khmer too. Other text is cut at white space.
    """
    return _MIXED.findall(text.lower().translate(_NO_UNICODE_PUNCTUATION))


ANSWER_TOKENIZERS: dict[str, Callable[[str], list[str]]] = {
    "words": _words,
    "characters": _characters,
}
"""How an answer is cut into the tokens that F1 counts."""


def has_unspaced_script(text: str) -> bool:
    """Whether a text has a character of a script that does not separate words by spaces."""
    return _CHARACTER.search(text) is not None


def choose_tokens(texts: Iterable[str]) -> str:
    """Name in `ANSWER_TOKENIZERS` for texts: `characters` if most tokens would be characters."""
    characters = others = 0
    for text in texts:
        found = 0 if text.isascii() else len(_CHARACTER.findall(text))
        characters += found
        others += (len(_MIXED.findall(text)) if found else len(text.split())) - found
    return "characters" if characters > others else "words"


def exact_match(predicted: str, golds: Sequence[str], tokens: str = "words") -> bool:
    """Whether an answer has the same tokens in the same order as one of the golds."""
    tokenize = ANSWER_TOKENIZERS[tokens]
    said = tokenize(predicted)
    return any(said == tokenize(gold) for gold in golds)


def answer_f1(predicted: str, golds: Sequence[str], tokens: str = "words") -> float:
    """Best F1 over the golds of the answer's tokens as multisets.

    Where one side has no token it is 1 if neither has one, else 0 (evaluate-v2.0; v1.1 gives 0 even
    for an answer such as "The" that is right).
    """
    tokenize = ANSWER_TOKENIZERS[tokens]
    said = tokenize(predicted)
    counted = Counter(said)
    return max(_multiset_f1(counted, len(said), tokenize(gold)) for gold in golds)


def _multiset_f1(predicted: Counter[str], size: int, gold: Sequence[str]) -> float:
    if not size or not gold:
        return float(not size and not gold)
    same = sum(min(n, predicted[token]) for token, n in Counter(gold).items())
    return 2 * same / (size + len(gold))


def squad_score(
    golds: Sequence[Sequence[str]],
    predicted: Sequence[str],
    *,
    tokens: str = "words",
    bootstrap: int = 1000,
    report: bool = True,
) -> Score:
    """Mean F1 (the value) and exact match over questions, each the best over its golds.

    Args:
        golds: Right answers of each question, at least one.
        predicted: One answer per question.
        tokens: A name in `ANSWER_TOKENIZERS`; SQuAD's is `words`.
        bootstrap: Number of resamples of questions for the interval; 0: no interval.
        report: Whether to give the text.
    """
    counts = np.array(
        [
            (answer_f1(p, g, tokens), exact_match(p, g, tokens), 1)
            for p, g in zip(predicted, golds, strict=True)
        ],
        np.float64,
    ).reshape(-1, 3)
    value, exact, _ = (counts.sum(0) / max(len(counts), 1)).tolist()
    form = "normalisation:squad" if tokens == "words" else f"normalisation:mlqa|tokens:{tokens}"
    values = {"squad_f1": value, "exact_match": exact}
    lines = [f"{name:>12} {number:.4f}" for name, number in values.items()]
    return Score.from_counts(
        "squad_f1",
        counts,
        mean_of_first,
        signature=f"metric:squad_f1|{form}|golds:max|average:question",
        bootstrap=bootstrap,
        report=values,
        text="\n".join([*lines, f"{'questions':>12} {len(counts)}", ""]) if report else "",
    )
