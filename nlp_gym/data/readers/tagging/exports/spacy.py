"""Reader of spaCy's training data in JSON: texts with entities, or tokens with BILUO tags."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nlp_gym.data.readers.shared.base import Parsed, TaggedText
from nlp_gym.data.readers.shared.json_tools import (
    RowError,
    checked_int,
    checked_list,
    checked_object,
    checked_string,
    field,
    type_name,
)
from nlp_gym.data.readers.shared.options import Options
from nlp_gym.data.readers.tagging.exports.rows import (
    first_values,
    is_objects,
    is_spans,
    read_rows,
    text_of_tokens,
)
from nlp_gym.data.readers.tagging.jsonl import with_id
from nlp_gym.data.readers.tagging.marked_texts import MarkedTexts, checked_marks, raw_text

_MISSING = "-"
"""NER tag of a word whose annotation is missing or does not fit the tokens."""


def is_spacy(lines: list[str]) -> bool:
    """Whether lines look like training data of spaCy."""
    return any(map(_is_row, first_values(lines)))


def _is_row(value: Any) -> bool:
    if isinstance(value, list):
        if len(value) != 2 or not isinstance(value[0], str):
            return False
        return "entities" in value[1] if isinstance(value[1], dict) else is_spans(value[1])
    if not isinstance(value, dict):
        return False
    if "annotations" in value and "classes" in value:
        return isinstance(value["annotations"], list)
    return is_objects(value.get("paragraphs"), "sentences") or (
        "text" in value and isinstance(value.get("ents"), list)
    )


def parse(lines: list[str], name: str, options: Options) -> Parsed:
    """Read ``["text", {"entities": [[0, 3, "PER"]]}]``, one per line or a list of them.

    Three other forms are known: ``{"classes": [...], "annotations": [...]}`` with such rows;
    ``{"text", "ents", "tokens"}``, which `Doc.to_json` gives; and the documents of spaCy 2,
    ``{"paragraphs": [{"sentences": [{"tokens": [{"orth", "ner"}]}]}]}``, in which
    `options.column` names another key than ``ner`` (``"tag"``).
    """

    def add(value: Any, line: int, texts: MarkedTexts) -> None:
        if isinstance(value, dict) and "annotations" in value:
            for number, row in enumerate(checked_list(value["annotations"], "annotations")):
                if row is None:  # nobody annotated it
                    continue
                try:
                    _add_pair(row, line, options, texts)
                except RowError as error:
                    texts.add_bad(line, f"annotations[{number}]: {error}")
        elif isinstance(value, dict) and "paragraphs" in value:
            for number, tokens in enumerate(list(_sentences(value))):
                try:
                    texts.add(with_id(_tagged(tokens, line, options), value))
                except RowError as error:
                    texts.add_bad(line, f"sentence {number} of the document: {error}")
        elif isinstance(value, dict):
            _add_document(value, line, options, texts)
        else:
            _add_pair(value, line, options, texts)

    return read_rows(lines, name, options, add)


def _add_pair(value: Any, line: int, options: Options, texts: MarkedTexts) -> None:
    if not isinstance(value, list) or len(value) != 2:
        raise RowError(
            f'the row is {type_name(value)}, where [text, {{"entities": [...]}}] is needed'
        )
    found = raw_text(value[0], "the text", line)
    if not options.gold:
        texts.add(found)
        return
    entities = value[1]
    if isinstance(entities, dict):
        entities = field(entities, "entities")
    texts.add_marked(found, checked_marks(entities, "entities"))


def _add_document(row: dict[str, Any], line: int, options: Options, texts: MarkedTexts) -> None:
    """A document as `Doc.to_json` writes it."""
    text = checked_string(field(row, "text"), "text")
    if row.get("tokens"):
        spans = []
        for number, token in enumerate(checked_list(row["tokens"], "tokens")):
            item = checked_object(token, f"tokens[{number}]")
            start, end = (checked_int(item.get(key), key) for key in ("start", "end"))
            spans.append((start, end))
        found = text_of_tokens(text, spans, line)
    else:
        found = raw_text(text, "text", line)
    if options.gold:
        texts.add_marked(with_id(found, row), checked_marks(field(row, "ents"), "ents"))
    else:
        texts.add(with_id(found, row))


def _sentences(document: dict[str, Any]) -> Iterator[list[Any]]:
    """The tokens of each sentence of a document of spaCy 2."""
    for paragraph in checked_list(document["paragraphs"], "paragraphs"):
        sentences = field(checked_object(paragraph, "a paragraph"), "sentences")
        for sentence in checked_list(sentences, "sentences"):
            tokens = field(checked_object(sentence, "a sentence"), "tokens")
            yield checked_list(tokens, "tokens", least=1)


def _tagged(tokens: list[Any], line: int, options: Options) -> TaggedText:
    (key,) = options.label_names(("ner",))
    words, labels = list[str](), list[str]()
    for token in tokens:
        item = checked_object(token, "a token")
        word = checked_string(field(item, "orth"), "orth", blank=True)
        if not word or word.isspace():
            continue
        words.append(word)
        if options.gold:
            labels.append(checked_string(field(item, key), key))
            if key == "ner" and labels[-1] == _MISSING:
                raise RowError(f"the tag of {word!r} is '-': its annotation is missing")
    if not words:
        raise RowError("a sentence holds no word")
    return TaggedText(words, labels, [line] * len(words))
