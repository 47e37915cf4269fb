"""Samples as rows of their family's JSON Lines, without their answers or with the right ones.

What is kept of a prediction has to be read in later years, by people and other programs: it is kept
as what `nlp_gym.data` reads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym.types import Corpus, Sample
from nlp_gym_agents.prediction.inputs import Input, from_mappings

Row = dict[str, Any]
_TEXT = {"summary": "document", "generation": "source"}
"""Families whose key of a raw text is not ``text``."""
NO_RELATION = "NONE"
_WORDS = ("classification", "multilabel", "tagging", "parsing")
"""Families whose rows may have words in place of a text, where these are not cut from one."""


def input_row(given: str | Mapping[str, Any] | Input | Sample, family: str) -> Row:
    """What is to be decided on as a row.

    Args:
        given: A text, a row, words or a sample.
        family: Task family.

    Raises:
        InvalidArgumentError: A sample that cannot be written so.
    """
    if isinstance(given, Mapping):
        return dict(given)
    if isinstance(given, Sample):
        return _row_of_sample(given, family)
    if family == "parsing" and isinstance(given, Input):  # whose rows have no text
        return {"words": [word for word, _, _ in given.words]}
    return {_TEXT.get(family, "text"): given if isinstance(given, str) else given.text}


def row_of(given: Any, item: Input | Sample, family: str) -> Row:
    """What was given, and read as `item`, as a row: as it is where the family's rows have it so."""
    as_it_is = isinstance(given, Mapping) or (isinstance(given, str) and family != "parsing")
    return input_row(given if as_it_is else item, family)


def sentence_rows(item: Input) -> list[Row]:
    """The sentences of a text whose words are labelled, each of which is an episode."""
    return [{"words": [word for word, _, _ in sentence]} for sentence in item.sentences]


def samples_of(rows: Sequence[Row], family: str, *, gold: bool) -> list[Sample]:
    """Rows as samples.

    Args:
        rows: Rows of the family.
        family: Task family.
        gold: Whether the answers are read, too.

    Raises:
        InvalidArgumentError: A row cannot be read.
    """
    return [_sample_of(row, family, gold) for row in rows]


def _sample_of(row: Row, family: str, gold: bool) -> Sample:
    words = row.get("words") if family in _WORDS else None
    if words is None:
        (found,) = from_mappings([row], family, gold=gold)
    elif not (isinstance(words, list) and words and all(isinstance(w, str) and w for w in words)):
        raise InvalidArgumentError(f"words={shown(words)} must be a list of words.")
    elif family in ("tagging", "parsing") and gold:
        (found,) = from_mappings([row], family, gold=True)
    elif gold:
        rest = {key: value for key, value in row.items() if key != "words"}
        (found,) = from_mappings([{"text": " ".join(words), **rest}], family, gold=True)
    else:
        found = Sample(tuple(words))
    if isinstance(found, Input):
        found = Sample(tuple(word for word, _, _ in found.words))
    return found if words is None else replace(found, words=tuple(words), extra={})


def _row_of_sample(sample: Sample, family: str) -> Row:
    make = _ROWS.get(family)
    try:
        if make is None:
            raise KeyError(family)
        row = make(sample)
        again = _sample_of(row, family, gold=False)
    except (LookupError, TypeError, InvalidArgumentError) as error:
        raise InvalidArgumentError(
            f"text={shown(sample.words[:8])}: this sample of family {family!r} cannot be written "
            f"as a row ({error}). Give the mapping that it was made of."
        ) from error
    if again.words != sample.words:
        raise InvalidArgumentError(
            f"text={shown(sample.words[:8])}: written as a row, this sample of family {family!r} "
            "would be read as other words. Give the mapping that it was made of."
        )
    return row


def annotated_row(sample: Sample, family: str) -> Row:
    """A sample with gold as a row with its answer.

    Raises:
        InvalidArgumentError: It has no gold, or cannot be written so.
    """
    if not sample.annotated:
        raise InvalidArgumentError(f"text={shown(sample.words[:8])}: this sample has no answer.")
    row, gold = _row_of_sample(sample, family), sample.gold
    labels = list(sample.labels or ())
    if family in ("tagging", "multilabel"):
        return {**row, "labels": labels}
    if family == "classification":
        return {**row, "label": labels[0]}
    if family == "parsing":
        return {**row, "heads": list(gold), "relations": labels}
    if family == "relation":
        pairs = zip(sample.extra["pairs"], labels, strict=True)
        found = [{"head": [*p[:2]], "tail": [*p[2:]], "label": label} for p, label in pairs]
        whole = "entities" in row  # pairs that are not named have none
        return {**row, "relations": [x for x in found if not whole or x["label"] != NO_RELATION]}
    if family == "spanqa":
        text, spans = sample.extra["text"], sample.extra["spans"]
        answers = [(spans[first][0], spans[last][1]) for _, first, last in gold]
        return {**row, "answers": [{"text": text[a:b], "answer_start": a} for a, b in answers]}
    if family == "policy":
        turns = zip(row["turns"], gold, strict=True)
        return {"turns": [{**turn, "acts": list(acts)} for turn, acts in turns]}
    keys = {"choice": "answer", "dialogue": "answer", "summary": "summary", "generation": "target"}
    value = list(gold) if isinstance(gold, tuple) else gold
    if family == "kg":
        return {**row, "tail": value[0] if isinstance(value, list) else value}
    return {**row, keys[family]: value}


def new_labels(sample: Sample, family: str, known: Sequence[str]) -> list[str]:
    """The labels of a sample's gold that are none of those `known`.

    Args:
        sample: It has gold.
        family: Task family.
        known: The inventory; empty where answers are no labels.
    """
    given = sample.labels or ()
    if family == "policy":
        given = tuple(act for turn in sample.gold for act in turn)
    if family == "parsing":  # an agent of universal relations reads those with a subtype
        given = tuple(x if x in known else x.partition(":")[0] for x in given)
    return [label for label in given if known and label not in known]


def key_of(samples: Sequence[Sample]) -> str:
    """Equal for equal texts or samples, whatever is said of them."""
    return Corpus("", "test", [sample.unannotated() for sample in samples], ()).text_hash


def _words_row(sample: Sample) -> Row:
    return {"words": list(sample.words)}


def _relation_row(sample: Sample) -> Row:
    pairs = [(tuple(p[:2]), tuple(p[2:])) for p in sample.extra["pairs"]]
    kinds = sample.extra.get("types") or [("", "")] * len(pairs)
    found: dict[Any, str] = {}
    for mentions, named in zip(pairs, kinds, strict=True):
        found |= dict(zip(mentions, named, strict=True))
    row = _words_row(sample)
    if len(pairs) == len(found) * (len(found) - 1):
        named_spans = [
            [*span, kind] if kind else list(span) for span, kind in sorted(found.items())
        ]
        return {**row, "entities": named_spans}
    return {**row, "relations": [{"head": list(a), "tail": list(b)} for a, b in pairs]}


def _policy_row(sample: Sample) -> Row:
    texts, said = sample.extra["turn_texts"], sample.extra.get("said") or ()
    turns: list[Row] = [{"user": text} for text in texts]
    for turn, words in zip(turns, said, strict=False):
        if words:
            turn["system"] = " ".join(words)
    return {"turns": turns}


_ROWS: Mapping[str, Callable[[Sample], Row]] = {
    "tagging": _words_row,
    "classification": _words_row,
    "multilabel": _words_row,
    "parsing": _words_row,
    "relation": _relation_row,
    "spanqa": lambda s: {"question": s.extra["question_text"], "context": s.extra["text"]},
    "choice": lambda s: {"question": s.extra["text"], "choices": list(s.extra["choice_texts"])},
    "dialogue": lambda s: {
        "context": list(s.extra["context_texts"]),
        "candidates": list(s.extra["candidate_texts"]),
    },
    "policy": _policy_row,
    "summary": lambda s: {"document": list(s.extra["sentence_texts"])},
    "kg": lambda s: {"head": s.extra["head"], "relation": s.extra["relation"]},
    "generation": lambda s: {"source": s.extra.get("text") or " ".join(s.words)},
}
