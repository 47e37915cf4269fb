"""Answers of people, in any of their forms, as rows of the task family with their answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym_agents.prediction.feedback.rows import Row, sentence_rows
from nlp_gym_agents.prediction.inputs import Input
from nlp_gym_agents.prediction.results import (
    Answer,
    Choice,
    DialogueActs,
    GraphAnswers,
    LabelledText,
    LabelSet,
    PickedSentences,
    RankedReplies,
    Relations,
    Result,
    TaggedText,
    WrittenText,
)


def plain(correct: Any) -> Any:
    """A typed result as the plain value that says the same, such as a label or a list of labels."""
    if isinstance(correct, TaggedText):
        return [token.label for token in correct.tokens]
    if isinstance(correct, LabelledText):
        return correct.label
    if isinstance(correct, LabelSet):
        return [label.name for label in correct.labels]
    if isinstance(correct, Answer):
        return {"answer": correct.answer, "start": correct.start}
    if isinstance(correct, Choice):
        return correct.index
    if isinstance(correct, RankedReplies):
        return correct.ranking[0].index if correct.ranking else None
    if isinstance(correct, DialogueActs):
        return [[act.name for act in turn.acts] for turn in correct.turns]
    if isinstance(correct, PickedSentences):
        return correct.summary
    if isinstance(correct, GraphAnswers):
        return correct.answers[0].entity if correct.answers else None
    if isinstance(correct, WrittenText):
        return correct.output
    return dict(correct.record) if isinstance(correct, Result) else correct


def _mentions(found: Relations, *, characters: bool) -> list[Row]:
    """The relations of a result, at offsets in characters or in words."""
    pairs = [({"head": x.head, "tail": x.tail}, x.label) for x in found.relations]
    return [
        {
            **{
                key: [one.start, one.end] if characters else [one.first, one.stop]
                for key, one in mentions.items()
            },
            "label": label,
        }
        for mentions, label in pairs
    ]


def answered_row(row: Row, correct: Any, family: str) -> Row:
    """A row with its answer, of families that do not label words.

    Args:
        row: What was decided on, see `input_row`.
        correct: The answer: a typed result, its fields, the bare value, or a row of the family.
        family: Task family.

    Raises:
        InvalidArgumentError: It is no answer of the family.
    """
    value = plain(correct)
    if isinstance(correct, Relations):
        value = _mentions(correct, characters="text" in row)
    make = _ANSWERS.get(family)
    if make is None:
        raise InvalidArgumentError(
            f"correct={shown(correct)}: what agents of the family {family!r} decide has no right "
            "answer that could be kept."
        )
    found = make(row, value)
    if found is None:
        raise InvalidArgumentError(f"correct={shown(correct)} must be {_WANTED[family]}.")
    return {**row, **found}


def _picked(names: Sequence[str], key: str, kinds: tuple[type, ...]) -> Callable[[Row, Any], Any]:
    """The value, or that of the first of some names in a mapping, under the family's own key."""

    def make(row: Row, value: Any) -> Row | None:
        if isinstance(value, Mapping):
            value = next((value[name] for name in names if name in value), None)
        good = isinstance(value, kinds) and not isinstance(value, bool) and value != ""
        return {key: list(value) if isinstance(value, tuple) else value} if good else None

    return make


def _labels(row: Row, value: Any) -> Row | None:
    names: Any = value.get("labels") if isinstance(value, Mapping) else value
    good = isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)
    return {"labels": list(names)} if good else None


def _span(row: Row, value: Any) -> Row | None:
    if isinstance(value, Mapping) and "answers" in value:
        return {"answers": value["answers"]}
    start = value.get("start", value.get("answer_start")) if isinstance(value, Mapping) else None
    text = value.get("answer", value.get("text")) if isinstance(value, Mapping) else value
    passage = row.get("context")
    if not (isinstance(text, str) and text and isinstance(passage, str)):
        return None
    at = passage.find(text) if start is None else start
    if at < 0 or passage[at : at + len(text)] != text:
        raise InvalidArgumentError(
            f"correct={shown(text)} does not stand in the passage"
            f"{'' if start is None else f' at character {shown(start)}'}: give words of it."
        )
    return {"answers": [{"text": text, "answer_start": at}]}


def _reply(row: Row, value: Any) -> Row | None:
    if isinstance(value, Mapping):
        value = value.get("answer", value.get("ranking", value.get("reply")))
        value = value[0] if isinstance(value, list) and value else value
    good = isinstance(value, int | str) and not isinstance(value, bool)
    return {"answer": value} if good and "candidates" in row else None


def _acts(row: Row, value: Any) -> Row | None:
    turns = row.get("turns")
    if isinstance(value, Mapping):
        value = [turn.get("acts") for turn in value.get("turns", ()) if isinstance(turn, Mapping)]
    if not isinstance(turns, list) or not isinstance(value, list) or len(value) != len(turns):
        return None
    pairs = zip(turns, value, strict=True)
    return {"turns": [{**turn, "acts": acts} for turn, acts in pairs]}


def _related(row: Row, value: Any) -> Row | None:
    if not isinstance(value, Mapping):
        value = {"relations": value}
    if not isinstance(value.get("relations"), list):
        return None
    found = [_relation(one) for one in value["relations"]]
    words, text = value.get("words"), row.get("text")
    if isinstance(words, list) and isinstance(text, str) and "words" not in row:
        found = [_in_characters(one, words, text) for one in found]  # records count words
    return {"relations": found}


def _in_characters(one: Any, words: list[Any], text: str) -> Any:
    """A relation whose offsets count `words`, with offsets in the text that they are of."""
    places, at = list[tuple[int, int]](), 0
    for word in words:
        start = text.find(str(word), at)
        if start < 0:
            raise InvalidArgumentError(f"correct: the word {shown(word)} is not in the text.")
        places.append((start, at := start + len(str(word))))
    try:
        spans = {key: [places[one[key][0]][0], places[one[key][1] - 1][1]] for key in _ENDS}
    except (LookupError, TypeError) as error:
        raise InvalidArgumentError(
            f"correct: the relation {shown(one)} must have 'head' and 'tail', each the number of "
            "its first word and that after its last."
        ) from error
    return {**one, **spans}


_ENDS = ("head", "tail")


def _tree(row: Row, value: Any) -> Row | None:
    if not isinstance(value, Mapping) or value.get("words", row["words"]) != row["words"]:
        return None
    heads, relations = value.get("heads"), value.get("relations")
    for one in (heads, relations):
        if not isinstance(one, list | tuple) or len(one) != len(row["words"]):
            return None
    return {"heads": heads, "relations": relations}


def _relation(one: Any) -> Any:
    if not isinstance(one, Mapping):
        return one
    return {key: one[key] for key in ("head", "tail", "label") if key in one}


_ANSWERS: Mapping[str, Callable[[Row, Any], Row | None]] = {
    "classification": _picked(("label",), "label", (str,)),
    "multilabel": _labels,
    "relation": _related,
    "spanqa": _span,
    "choice": _picked(("answer", "index", "answerKey"), "answer", (int, str)),
    "dialogue": _reply,
    "policy": _acts,
    "summary": _picked(("summary", "references"), "summary", (str, list)),
    "kg": _picked(("tail", "entity"), "tail", (str,)),
    "parsing": _tree,
    "generation": _picked(("target", "output", "references"), "target", (str, list)),
}
_WANTED: Mapping[str, str] = {
    "classification": "a label, such as 'positive'",
    "multilabel": "a list of labels; [] where none is right",
    "relation": "a list of relations with head, tail and label (offsets as in the row)",
    "spanqa": "words of the passage, or {'answer': ..., 'start': ...}",
    "choice": "the index of a choice, from 0, or its text",
    "dialogue": "the index of the best reply, from 0, or its text (the row has 'candidates')",
    "policy": "a list with the acts of each turn",
    "summary": "a summary, or a list of them",
    "kg": "the name of the entity that completes the fact",
    "parsing": "{'heads': [...], 'relations': [...]} with one of each for every word of the text",
    "generation": "the text that should have been written",
}


def tagged_rows(item: Input, correct: Any, *, bio: bool) -> list[Row]:
    """The sentences of a text with the right label of each word.

    Args:
        item: The text.
        correct: A label for each word, entities with ``start``, ``end`` and ``label`` in
            characters, a typed result, its fields, or a row of words and labels.
        bio: Whether labels are BIO tags, so that entities say all.

    Raises:
        InvalidArgumentError: It is none of these, or does not fit the text.
    """
    value: Any = plain(correct)
    words = [word for word, _, _ in item.words]
    if isinstance(value, Mapping):
        own: Any = value.get("words", words)
        if not isinstance(own, list | tuple) or list(own) != words:
            raise InvalidArgumentError(
                f"correct: its words {shown(own)} are not those of the text, {shown(words)}."
            )
        value = next(
            (value[k] for k in ("labels", "tags", "entities", "tokens") if k in value), None
        )
    if isinstance(value, tuple):
        value = list(value)
    if not isinstance(value, list):
        raise InvalidArgumentError(f"correct={shown(correct)} must be {_TAGS}.")
    if value and all(isinstance(one, str) for one in value):
        labels = value
    elif all(hasattr(one, "to_dict") or isinstance(one, Mapping) for one in value):
        marks = [one if isinstance(one, Mapping) else one.to_dict() for one in value]
        labels = _tags_of_entities(item, marks, bio=bio)
    else:
        raise InvalidArgumentError(f"correct={shown(correct)} must be {_TAGS}.")
    if len(labels) != len(words):
        raise InvalidArgumentError(
            f"correct: {len(labels)} labels for {len(words)} words ({shown(words)}): give one each."
        )
    found, start = list[Row](), 0
    for row in sentence_rows(item):
        stop = start + len(row["words"])
        found.append({**row, "labels": labels[start:stop]})
        start = stop
    return found


_TAGS = "a label for each word, or a list of entities with 'start', 'end' and 'label'"


def _tags_of_entities(item: Input, marks: Sequence[Mapping[str, Any]], *, bio: bool) -> list[str]:
    """BIO tags of the words of a text; of other labels, marks have to cover every word."""
    firsts = {start: n for n, (_, start, _) in enumerate(item.words)}
    stops = {end: n + 1 for n, (_, _, end) in enumerate(item.words)}
    labels: list[str | None] = [None] * len(item.words)
    for mark in marks:
        start, end, label = (mark.get(key) for key in ("start", "end", "label"))
        first, stop = firsts.get(start), stops.get(end)  # type: ignore[arg-type]
        if (
            first is None
            or stop is None
            or not isinstance(label, str)
            or not label
            or stop <= first
        ):
            raise InvalidArgumentError(
                f"correct: the entity {shown(dict(mark))} does not begin and end with words of the "
                f"text; words begin at {shown(list(firsts))} and end at {shown(list(stops))}."
            )
        if any(labels[n] is not None for n in range(first, stop)):
            raise InvalidArgumentError(
                f"correct: the entity {shown(dict(mark))} lies over another one: each word has one "
                "label."
            )
        plain_tag = not bio or label == "O" or label[:2] in ("B-", "I-")
        for n in range(first, stop):
            labels[n] = label if plain_tag else f"{'B' if n == first else 'I'}-{label}"
    if not bio and None in labels:
        raise InvalidArgumentError("correct: every word has a label here: give one for each.")
    return ["O" if label is None else label for label in labels]
