"""Reader of Prodigy's export: texts with their tokens, spans, and the annotator's answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nlp_gym.data.readers.shared.base import Parsed, TaggedText
from nlp_gym.data.readers.shared.json_tools import (
    RowError,
    checked_int,
    checked_list,
    checked_object,
    checked_string,
)
from nlp_gym.data.readers.shared.offsets import Span
from nlp_gym.data.readers.shared.options import Options
from nlp_gym.data.readers.tagging.exports.rows import (
    first_objects,
    is_objects,
    read_rows,
    text_of_tokens,
)
from nlp_gym.data.readers.tagging.jsonl import with_id
from nlp_gym.data.readers.tagging.marked_texts import MarkedTexts, checked_marks, raw_text
from nlp_gym.errors import shown

_ANSWERS = ("accept", "reject", "ignore")
_BINARY = "ner"
"""View of one suggested entity at a time, of which the answer says whether it is right."""
_ONE_BY_ONE = (
    "text(s) were annotated one suggested entity at a time: their other words are read as outside "
    "of entities, although nobody said so"
)


def is_prodigy(lines: list[str]) -> bool:
    """Whether lines look like Prodigy's export of entities."""
    return any(
        "text" in row
        and (
            is_objects(row.get("spans"), "start", "end", "label")
            or is_objects(row.get("spans"), "token_start", "token_end", "label")
            or (is_objects(row.get("tokens"), "text", "start", "end") and "entities" not in row)
        )
        for row in first_objects(lines)
    )


def parse(lines: list[str], name: str, options: Options) -> Parsed:
    """Read one object per line: ``{"text", "tokens", "spans", "answer"}``.

    The words are the tokens, or are cut from the text where there are none. Only rows whose answer
    is ``accept`` are read (those without an answer too); a note counts the others.
    """

    def add(value: Any, line: int, texts: MarkedTexts) -> None:
        row = checked_object(value, "the row")
        answer = row.get("answer", "accept")
        if answer not in _ANSWERS:
            raise RowError(f"'answer' is {shown(answer)}, allowed: {', '.join(_ANSWERS)}")
        if answer != "accept" and options.gold:
            texts.count(f"text(s) whose answer is {answer!r} are left out", line)
            return
        found, tokens = _text(row, line)
        found = with_id(found, row)
        if not options.gold:
            texts.add(found)
            return
        if row.get("_view_id") == _BINARY:
            texts.count(_ONE_BY_ONE, line, warn=True)
        spans = checked_list(row.get("spans", []), "spans")
        texts.add_marked(found, checked_marks([_placed(x, tokens) for x in spans], "spans"))

    return read_rows(lines, name, options, add)


def _text(row: dict[str, Any], line: int) -> tuple[TaggedText, list[Span]]:
    """The text of a row cut into its own tokens, and where these are; none if it has none."""
    if not row.get("tokens"):
        return raw_text(row.get("text"), "text", line), []
    text = checked_string(row.get("text"), "text")
    tokens = list[Span]()
    for number, token in enumerate(checked_list(row["tokens"], "tokens")):
        item = checked_object(token, f"tokens[{number}]")
        edges = (checked_int(item.get(key), f"tokens[{number}].{key}") for key in ("start", "end"))
        start, end = edges
        if item.get("text", text[start:end]) != text[start:end]:
            raise RowError(
                f"the token {shown(item['text'])} is not at {start}..{end} of the text, which is "
                f"{shown(text[start:end])}"
            )
        tokens.append((start, end))
    return text_of_tokens(text, tokens, line), tokens


def _placed(span: Any, tokens: Sequence[Span]) -> Any:
    """A span with offsets, which those of its tokens have to agree with (the last is inclusive)."""
    if not isinstance(span, dict) or not tokens or "token_start" not in span:
        return span
    high = len(tokens) - 1
    first = checked_int(span["token_start"], "token_start", high=high)
    last = checked_int(span.get("token_end"), "token_end", low=first, high=high)
    start, end = tokens[first][0], tokens[last][1]
    given = (span.get("start", start), span.get("end", end))
    if given != (start, end):
        raise RowError(
            f"entity {given[0]}..{given[1]} and its tokens {first} to {last}, which are "
            f"{start}..{end}, do not agree"
        )
    return {**span, "start": start, "end": end}
