"""Reader of JSON Lines: words with labels, or raw text with entities at character offsets."""

from __future__ import annotations

from typing import Any

from nlp_gym.data.readers.shared.base import Parsed, TaggedText
from nlp_gym.data.readers.shared.json_tools import (
    RowError,
    checked_object,
    checked_strings,
    json_rows,
)
from nlp_gym.data.readers.shared.options import Options
from nlp_gym.data.readers.tagging.marked_texts import (
    MarkedTexts,
    checked_marks,
    raw_text,
    read_marked,
)

WORD_KEYS = ("words", "tokens")
LABEL_KEYS = ("labels", "tags", "ner_tags", "upos", "pos_tags")


def parse(lines: list[str], name: str, options: Options) -> Parsed:
    """Read one JSON object per line, or a list of them.

    An object is either ``{"words": [...], "labels": [...]}`` (other keys of the words: ``tokens``;
    of the labels: ``tags``, ``ner_tags``, ``upos``, ``pos_tags``), or ``{"text": "...",
    "entities": [{"start": 0, "end": 5, "label": "PER"}]}`` with offsets in characters, `end`
    exclusive. `options.word_column`, `options.text_column` and `options.column` name other keys.

    The text is cut by `split_words`; an entity that does not begin and end with a word, but for
    blanks, is a bad row. An entity may have its own text (``"text"``), against which the offsets
    are checked; see `nlp_gym.data.readers.shared.offsets`. A key ``id`` is kept in the sample's
    `extra`.
    """

    def fill(texts: MarkedTexts) -> None:
        for number, value in json_rows(lines, texts.parsed):
            try:
                _add_row(checked_object(value, "the row"), number, options, texts)
            except RowError as error:
                texts.add_bad(number, str(error))

    return read_marked(fill, name, options)


def _add_row(row: dict[str, Any], number: int, options: Options, texts: MarkedTexts) -> None:
    words_key = next((key for key in options.word_names(WORD_KEYS) if key in row), None)
    text_key = next((key for key in options.text_names(("text",)) if key in row), None)
    if words_key is not None:
        found = words_of(row, words_key, number, options)
        texts.add(with_id(found, row))
        return
    if text_key is None:
        keys = ", ".join(map(repr, list(row)[:8])) or "none"
        raise RowError(
            f"there is neither 'words' nor 'text' (keys: {keys}); word_column= or text_column= "
            "names another key"
        )
    found = with_id(raw_text(row[text_key], text_key, number), row)
    if not options.gold:
        texts.add(found)
        return
    (key,) = options.label_names(("entities",))
    if key not in row:
        raise RowError(f"there are no {key!r} (give [] where the text has none)")
    texts.add_marked(found, checked_marks(row[key], key))


def with_id(found: TaggedText, row: dict[str, Any]) -> TaggedText:
    """The text with the user's own id."""
    if "id" in row:
        found.extra["id"] = row["id"]
    return found


def words_of(row: dict[str, Any], key: str, number: int, options: Options) -> TaggedText:
    """The words of a row with, where there is gold, their labels.

    Raises:
        RowError: They are not lists of strings, of one length.
    """
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
