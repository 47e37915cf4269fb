"""Readers of AESLC, DailyDialog++ (replies), DialogSum and SciTLDR, with references to write."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from nlp_gym.data.readers.generation.references import (
    filled,
    generation_sample,
    reference_texts,
    source_text,
)
from nlp_gym.data.readers.shared.base import Parsed, Reader, Sniff
from nlp_gym.data.readers.shared.json_tools import (
    checked_list,
    checked_string,
    field,
    json_samples,
    with_id,
)
from nlp_gym.data.readers.shared.options import Options
from nlp_gym.types import Sample

_SUMMARY = re.compile(r"summary(\d{0,2})")
_HEAD = 20  # number of lines that are examined: the first one may be broken

References = Callable[[dict[str, Any]], list[str]]


def parse_aeslc(lines: list[str], name: str, options: Options) -> Parsed:
    """Read AESLC (Zhang and Tetreault 2019): the body of a mail and its subject line.

    The paper scores dev and test against the original subject and against the lines of three
    annotators. Here all of them are references of one row: the `subject`, then the `annotations`
    that are not blank. In train the subject is the only reference.
    """

    def references(row: dict[str, Any]) -> list[str]:
        items = enumerate(checked_list(row.get("annotations", []), "annotations"))
        written = [checked_string(item, f"annotations[{i}]", blank=True) for i, item in items]
        subject = checked_string(field(row, "subject"), "subject")
        return [subject, *(text for text in written if text and not text.isspace())]

    return _parse_objects(lines, name, options, "body", references)


def parse_replies(lines: list[str], name: str, options: Options) -> Parsed:
    """Read DailyDialog++ (Sai et al. 2020) as replies to write.

    The source is the turns of `context`, joined by spaces; all `positive_responses` are references
    of one row, also in train. Wrong replies are ignored.
    """

    def references(row: dict[str, Any]) -> list[str]:
        return filled(field(row, "positive_responses"), "positive_responses")

    return _parse_objects(lines, name, options, "context", references)


def parse_dialogsum(lines: list[str], name: str, options: Options) -> Parsed:
    """Read DialogSum (Chen et al. 2021): `dialogue`, and `summary` or `summary1` to `summary3`."""

    def references(row: dict[str, Any]) -> list[str]:
        matches = [match for match in map(_SUMMARY.fullmatch, row) if match]
        keys = [match[0] for match in sorted(matches, key=lambda match: int(match[1] or 0))]
        if not keys:
            field(row, "summary", "summary1")  # raises, and names the keys
        return [checked_string(row[key], key) for key in keys]

    return _parse_objects(lines, name, options, "dialogue", references, "fname")


def parse_scitldr(lines: list[str], name: str, options: Options) -> Parsed:
    """Read SciTLDR (Cachola et al. 2020): `source` sentences and `target` references."""

    def references(row: dict[str, Any]) -> list[str]:
        return reference_texts(field(row, "target"), "target")

    return _parse_objects(lines, name, options, "source", references, "paper_id")


def _parse_objects(
    lines: list[str],
    name: str,
    options: Options,
    source: str,
    references: References,
    identity: str | None = None,
) -> Parsed:
    """Read one object per line.

    Args:
        lines: The file.
        name: Its name.
        options: How it is read.
        source: Key of the source.
        references: Finds the references of an object; raises `RowError`.
        identity: Key of the corpus's own id, if that is not ``id``.
    """

    def build(row: dict[str, Any], number: int) -> Sample:
        gold = references(row) if options.gold else None
        sample = generation_sample(
            source_text(field(row, source), source), gold, f"{name}:{number}"
        )
        return with_id(sample, row.get(identity)) if identity else sample

    return json_samples(lines, Parsed(), build)


def _sniffer(*patterns: str) -> Sniff:
    """Makes a `Sniff`: whether one of the first lines is an object that has all `patterns`."""

    def sniff(head: list[str]) -> bool:
        objects = [line for line in head[:_HEAD] if line.lstrip().startswith("{")]
        return any(all(re.search(pattern, line) for pattern in patterns) for line in objects)

    return sniff


FORMATS: tuple[Reader, ...] = (
    Reader(
        "aeslc",
        (".jsonl",),
        parse_aeslc,
        "AESLC: body, subject, annotations",
        _sniffer('"body" *:'),
    ),
    Reader(
        "replies",
        (".json", ".jsonl"),
        parse_replies,
        "DailyDialog++: context, positive_responses",
        _sniffer('"context" *:', '"positive_responses" *:'),
    ),
    Reader(
        "dialogsum",
        (".jsonl",),
        parse_dialogsum,
        "DialogSum: dialogue, summary or summary1, ...",
        _sniffer('"dialogue" *:'),
    ),
    Reader(
        "scitldr",
        (".jsonl",),
        parse_scitldr,
        "SciTLDR: source, target, both lists",
        _sniffer('"source" *: *\\[', '"target" *: *\\['),
    ),
)
