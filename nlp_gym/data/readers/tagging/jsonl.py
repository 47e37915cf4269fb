"""Reader of JSON Lines: words with labels, or raw text with entities at character offsets."""

from __future__ import annotations

from typing import Any

from nlp_gym.data.readers.shared.base import Options, Parsed, TaggedText, add_samples
from nlp_gym.data.readers.shared.decoding import Problem
from nlp_gym.data.readers.shared.json_tools import (
    RowError,
    checked_list,
    checked_object,
    checked_string,
    checked_strings,
    json_rows,
)
from nlp_gym.data.readers.shared.raw_text import cut_text

WORD_KEYS = ("words", "tokens")
LABEL_KEYS = ("labels", "tags", "ner_tags", "upos", "pos_tags")


def parse(lines: list[str], name: str, options: Options) -> Parsed:
    """Read one JSON object per line, or a list of them.

    An object is either ``{"words": [...], "labels": [...]}`` (other keys of the words: ``tokens``;
    of the labels: ``tags``, ``ner_tags``, ``upos``, ``pos_tags`` and what `options.column` names),
    or ``{"text": "...", "entities": [{"start": 0, "end": 5, "label": "PER"}]}`` with offsets in
    characters, `end` exclusive. The text is then cut by `split_words`; an entity that does not
    begin and end with a word is a bad row. A key ``id`` is kept in the sample's `extra`.
    """
    parsed, texts = Parsed(), []
    for number, row in json_rows(lines, parsed):
        try:
            texts.append(_row(row, number, options))
        except RowError as error:
            parsed.problems.append(Problem(number, str(error)))
    return add_samples(texts, name, options, parsed)


def _row(value: Any, number: int, options: Options) -> TaggedText:
    row = checked_object(value, "the row")
    words_key = next((key for key in WORD_KEYS if key in row), None)
    if words_key is not None:
        found = _words(row, words_key, number, options)
    elif "text" in row:
        found = _text(row, number, options)
    else:
        keys = ", ".join(map(repr, list(row)[:8])) or "none"
        raise RowError(f"there is neither 'words' nor 'text' (keys: {keys})")
    if "id" in row:
        found.extra["id"] = row["id"]
    return found


def _words(row: dict[str, Any], key: str, number: int, options: Options) -> TaggedText:
    words = checked_strings(row[key], key)
    if not words:
        raise RowError(f"{key!r} is empty")
    labels: list[str] = []
    if options.gold:
        names = options.label_names(LABEL_KEYS)
        label_key = next((name for name in names if name in row), None)
        if label_key is None:
            raise RowError(f"there are no labels ({' or '.join(map(repr, names))})")
        labels = checked_strings(row[label_key], label_key)
        if len(labels) != len(words):
            raise RowError(f"{len(words)} {key} but {len(labels)} {label_key}")
    return TaggedText(words, labels, [number] * len(words))


def _text(row: dict[str, Any], number: int, options: Options) -> TaggedText:
    text = checked_string(row["text"], "text")
    found = cut_text(text, number)
    if found is None:
        raise RowError("'text' holds no word")
    if options.gold:
        if "entities" not in row:
            raise RowError("there are no 'entities' (give [] where the text has none)")
        found.labels = _tags(row["entities"], text, found.extra["spans"])
    return found


def _tags(entities: Any, text: str, spans: Any) -> list[str]:
    """Turn entities at character offsets into IOB2 tags of the words at `spans`."""
    starts = {start: index for index, (start, _) in enumerate(spans)}
    ends = {end: index for index, (_, end) in enumerate(spans)}
    tags = ["O"] * len(spans)
    for entity in checked_list(entities, "entities"):
        start, end, label = _entity(entity)
        if not 0 <= start < end <= len(text):
            raise RowError(f"entity {start}..{end} lies outside the text of {len(text)} characters")
        if start not in starts or end not in ends:
            raise RowError(
                f"entity {start}..{end} ({text[start:end]!r}) does not begin and end with a word"
            )
        first, last = starts[start], ends[end]
        if any(tag != "O" for tag in tags[first : last + 1]):
            raise RowError(f"entity {start}..{end} ({text[start:end]!r}) overlaps another one")
        tags[first : last + 1] = [f"B-{label}"] + [f"I-{label}"] * (last - first)
    return tags


def _entity(entity: Any) -> tuple[int, int, str]:
    if isinstance(entity, dict):
        entity = [entity.get("start"), entity.get("end"), entity.get("label")]
    if not isinstance(entity, list) or len(entity) != 3:
        raise RowError("an entity needs 'start', 'end' and 'label'")
    start, end, label = entity
    # bool is a subclass of int
    if type(start) is not int or type(end) is not int:
        raise RowError(f"'start' and 'end' of an entity are whole numbers, not {start!r}, {end!r}")
    return start, end, checked_string(label, "label")
