"""Reader of JSON Lines of relations, with arguments at character or word offsets."""

from __future__ import annotations

from typing import Any

from nlp_gym.data.readers.relation.pairs import (
    Pair,
    Span,
    cut_words,
    ordered_pairs,
    pair_sample,
    report_if_empty,
)
from nlp_gym.data.readers.shared import json_tools as tools
from nlp_gym.data.readers.shared.base import Options, Parsed
from nlp_gym.data.readers.shared.json_tools import RowError
from nlp_gym.types import Sample


def parse(lines: list[str], name: str, options: Options) -> Parsed:
    """Read one JSON object per line; blank lines are skipped.

    ``{"text": "...", "relations": [{"head": [0, 5], "tail": [9, 14], "label": "Work_For"}]}`` with
    offsets in characters, or ``"words": [...]`` (or ``tokens``) in place of ``text``, with offsets
    in words; ends are exclusive. `options.column` names another key than ``label``.

    With ``"entities": [[0, 5, "PER"], ...]`` (or objects with ``start``, ``end``, ``label``; types
    may be left out) every ordered pair of entities is to be labelled, and those without a relation
    are ``NONE``. Without it only the pairs of ``relations`` are, from left to right; their label
    may be ``NONE``. Without gold, labels are not needed. A text without pairs is left out. A word
    in which an argument begins or ends is cut there. A key ``id`` is kept in the sample's `extra`.
    """
    parsed = Parsed()

    def build(row: dict[str, Any], line: int) -> Sample | None:
        return _sample(row, line, name, options, parsed)

    return report_if_empty(tools.json_samples(lines, parsed, build))


def _sample(
    row: dict[str, Any], line: int, name: str, options: Options, parsed: Parsed
) -> Sample | None:
    entities = _entities(row["entities"]) if "entities" in row else None
    relations = _relations(row, options, with_entities=entities is not None)
    arguments = {span for pair in relations for span in pair}
    if entities is not None and (alien := arguments - set(entities)):
        raise RowError(f"the argument {_shown(min(alien))} of a relation is none of the entities")
    words, word_spans = _words(row, arguments | set(entities or {}))
    if len(set(word_spans.values())) < len(word_spans):
        raise RowError("two arguments or entities cover the same words")
    pairs = sorted(relations) if entities is None else ordered_pairs(entities)
    types = None
    if entities and all(entities.values()):
        types = {word_spans[span]: kind for span, kind in entities.items()}
    labels = {(word_spans[head], word_spans[tail]): x for (head, tail), x in relations.items()}
    return pair_sample(
        words,
        [(word_spans[head], word_spans[tail]) for head, tail in pairs],
        labels if options.gold else None,
        name=name,
        line=line,
        parsed=parsed,
        types=types,
    )


def _words(row: dict[str, Any], spans: set[Span]) -> tuple[list[str], dict[Span, Span]]:
    """The text's words, and which of them each span covers."""
    value = tools.field(row, "words", "tokens", "text")
    if "words" in row or "tokens" in row:
        words = tools.checked_strings(value, "words", least=1)
        _check_inside(spans, len(words), "words")
        return words, {span: span for span in spans}
    text = tools.checked_string(value, "text")
    _check_inside(spans, len(text), "characters")
    words, word_spans = cut_words(text, spans)
    if not words:
        raise RowError("'text' holds no word")
    if empty := spans - set(word_spans):
        raise RowError(f"there is no word at {_shown(min(empty))}")
    return words, word_spans


def _check_inside(spans: set[Span], size: int, unit: str) -> None:
    for span in sorted(spans):
        if not 0 <= span[0] < span[1] <= size:
            raise RowError(f"{_shown(span)} lies outside the text of {size} {unit}, or is empty")


def _entities(value: Any) -> dict[Span, str]:
    """Spans of the entities with their types (``""``: not given)."""
    found: dict[Span, str] = {}
    for item in tools.checked_list(value, "entities"):
        kind = item.get("label", item.get("type")) if isinstance(item, dict) else None
        if isinstance(item, list) and len(item) == 3:
            *item, kind = item
        span = _span(item, "an entity")
        if span in found:
            raise RowError(f"the entity {_shown(span)} is there twice")
        found[span] = "" if kind is None else tools.checked_string(kind, "an entity's label")
    return found


def _relations(row: dict[str, Any], options: Options, *, with_entities: bool) -> dict[Pair, str]:
    """The pairs under `relations` with their labels (``""`` without gold)."""
    if with_entities and not options.gold:
        return {}  # the entities say what to label
    if "relations" not in row:
        raise RowError("there are no 'relations' (give [] where the text has none)")
    (key,) = options.label_names(("label",))
    found: dict[Pair, str] = {}
    for item in tools.checked_list(row["relations"], "relations"):
        relation = tools.checked_object(item, "a relation")
        pair = (_span(relation.get("head"), "'head'"), _span(relation.get("tail"), "'tail'"))
        if pair[0] == pair[1]:
            raise RowError(f"head and tail of a relation are both {_shown(pair[0])}")
        if pair in found:
            raise RowError(f"the pair {_shown(pair[0])}, {_shown(pair[1])} is there twice")
        label = tools.checked_string(tools.field(relation, key), key) if options.gold else ""
        found[pair] = label
    return found


def _span(value: Any, what: str) -> Span:
    if isinstance(value, dict):
        value = [value.get("start"), value.get("end")]
    # bool is a subclass of int
    if not isinstance(value, list) or len(value) != 2 or any(type(x) is not int for x in value):
        raise RowError(f"{what} of the form [start, end], in whole numbers, is needed")
    return value[0], value[1]


def _shown(span: Span) -> str:
    shown = (str(x) if abs(x) < 10**12 else "(huge)" for x in span)
    return "..".join(shown)
