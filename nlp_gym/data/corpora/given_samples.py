"""Checks of samples that a user made in Python: readers make no others than these allow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from nlp_gym.checks import as_array, encodable
from nlp_gym.errors import shown
from nlp_gym.types import Sample

Fits = Callable[[Any], bool]
_LISTS = (list, tuple)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and encodable(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _is_name(value: object) -> bool:
    return _is_text(value) and value != ""


def _list_of(fits: Fits) -> Fits:
    return lambda value: isinstance(value, _LISTS) and all(map(fits, value))


def _numbers_by(width: int) -> Fits:
    def check(value: object) -> bool:
        rows = as_array(value)  # one for each word of a long text: quicker than a look at each
        whole = rows.dtype.kind in "iu" and rows.shape[1:] == (width,)
        return isinstance(value, _LISTS) and (whole or not value)

    return check


def _mapping_to(fits: Fits) -> Fits:
    def check(value: object) -> bool:
        return isinstance(value, Mapping) and all(
            _is_text(key) and fits(item) for key, item in value.items()
        )

    return check


_WORDS = _list_of(_is_name)
_TEXTS = _list_of(_is_text)
_NUMBERS = _list_of(_is_number)
_TEXT = (_is_text, "a string")
_SEVERAL_TEXTS = (_TEXTS, "a list of strings")
_SEVERAL_WORDS = (_list_of(_WORDS), "a list of texts, each a list of words")
_SPANS = (_numbers_by(2), "a list of (first, end)")

_EXTRA: Mapping[str, Mapping[str, tuple[Fits, str]]] = {
    "tagging": {"text": _TEXT, "spans": _SPANS},
    "classification": {"text": _TEXT},
    "multilabel": {"text": _TEXT},
    "generation": {"text": _TEXT},
    "parsing": {"text": _TEXT, "spans": _SPANS},
    "relation": {
        "text": _TEXT,
        "pairs": (
            _numbers_by(4),
            "a list of (head start, end, tail start, end)",
        ),
        "types": (_list_of(_TEXTS), "a list of (head type, tail type)"),
    },
    "spanqa": {
        "text": _TEXT,
        "spans": _SPANS,
        "question": (_WORDS, "a list of words"),
        "question_text": _TEXT,
        "qid": _TEXT,
    },
    "choice": {"text": _TEXT, "choices": _SEVERAL_WORDS, "choice_texts": _SEVERAL_TEXTS},
    "dialogue": {
        "context": _SEVERAL_WORDS,
        "context_texts": _SEVERAL_TEXTS,
        "candidates": _SEVERAL_WORDS,
        "candidate_texts": _SEVERAL_TEXTS,
        "sets": (_mapping_to(_NUMBERS), "a mapping from names to lists of candidates' numbers"),
    },
    "policy": {"turns": _SEVERAL_WORDS, "turn_texts": _SEVERAL_TEXTS, "said": _SEVERAL_WORDS},
    "summary": {"sentences": _SEVERAL_WORDS, "sentence_texts": _SEVERAL_TEXTS},
    "kg": {
        "head": (_is_name, "the name of an entity"),
        "relation": (_is_name, "the name of a relation"),
        "names": (_mapping_to(_is_text), "a mapping from keys to names"),
    },
}
"""What each key of `Sample.extra` holds, by family."""
_GOLD: Mapping[str, tuple[Fits, str]] = {
    "policy": (_list_of(_WORDS), "a list of acts for each turn"),
    "parsing": (_NUMBERS, "a list of heads, one for each word: its number from 1, or 0"),
    "kg": (_WORDS, "a list of answers"),
}
_PERTURBED = {"order_words": (_WORDS, "a list of words")}
_NEEDED = {"kg": ("head", "relation")}


def sample_fault(sample: Sample, family: str) -> str | None:
    """What is wrong with a sample, whatever a task makes of it; None: nothing.

    Most tasks check the gold themselves, and say more of it.

    Args:
        sample: The sample.
        family: Task family, which decides what `extra` and `gold` hold.
    """
    fault = _text_fault("words", sample.words)
    if fault is None and sample.labels is not None:
        fault = _text_fault("labels", sample.labels)
    if fault is None and not isinstance(sample.id, str):
        fault = f"id={shown(sample.id)} must be a string"
    if fault is None and not isinstance(sample.extra, Mapping):
        fault = f"extra={shown(sample.extra)} must be a mapping"
    return fault or _fault_of_family(sample, family)


def _text_fault(name: str, texts: object) -> str | None:
    if not isinstance(texts, _LISTS) or (name == "words" and not texts):
        return f"{name}={shown(texts)} must be a tuple of strings that are not empty"
    try:
        "".join(texts).encode()
    except TypeError:
        return f"{name}={shown(texts)} holds what is no string"
    except UnicodeEncodeError:
        return f"{name}={shown(texts)} holds half of a surrogate pair, which is no text"
    return None if all(texts) else f"{name}={shown(texts)} holds an empty string"


def _fault_of_family(sample: Sample, family: str) -> str | None:
    for key in _NEEDED.get(family, ()):
        if key not in sample.extra:
            return f"extra has no {key!r}, {_EXTRA[family][key][1]}"
    for key, (fits, wanted) in {**_EXTRA.get(family, {}), **_PERTURBED}.items():
        if key in sample.extra and not fits(sample.extra[key]):
            return f"extra[{key!r}]={shown(sample.extra[key])} must be {wanted}"
    if sample.gold is not None and family in _GOLD:
        fits, wanted = _GOLD[family]
        if not fits(sample.gold):
            return f"gold={shown(sample.gold)} must be {wanted}"
    return None
