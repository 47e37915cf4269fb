"""Guesses the task family and the format of a file by its content, and says why, or asks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nlp_gym.checks import check_path
from nlp_gym.data.readers.guess.find import (
    Reading,
    check_one_text,
    doubts,
    find_reader,
    first_line,
    fits_ending,
    own_ending,
    readings,
    refusal,
)
from nlp_gym.data.readers.guess.keys import label_cells, label_values, several_labels
from nlp_gym.data.readers.guess.other_kinds import other_kind
from nlp_gym.data.readers.guess.shapes import Fit
from nlp_gym.data.readers.registry import FAMILIES, READERS, check_format
from nlp_gym.data.readers.report.sample_lines import sample_lines
from nlp_gym.data.readers.shared.decoding import Decoded, decode, file_bytes
from nlp_gym.data.readers.shared.head import Head
from nlp_gym.data.readers.shared.options import Options, make_options
from nlp_gym.errors import DataFormatError, NLPGymError, UnclearFormatError

_SHOWN = 2
"""Number of rows that are shown as they are read."""


@dataclass(frozen=True)
class Guess:
    """What a file seems to be.

    Attributes:
        family: Task family, a name in `FAMILIES`.
        format: Name of the reader, as in ``READERS[family]``.
        reason: Why, in words.
        rows: The first two rows as they are read.
        alternatives: (family, format) of other readings that are possible.
    """

    family: str
    format: str
    reason: str
    rows: tuple[str, ...] = ()
    alternatives: tuple[tuple[str, str], ...] = ()


def guess_file(
    path: str | Path, format: str | None = None, *, gold: bool = True, **options: Any
) -> Guess:
    """Guess the task family and the format of a file by its content.

    Keys, a header or marks of a format decide if they can, however broken the rows are; else the
    words and labels that each format would read. The ending of the name decides where the content
    does not.

    Args:
        path: The file.
        format: Name of its reader, if it is known.
        gold: Whether the annotation is to be read.
        **options: How it is written, as in `nlp_gym.data.read`: `text_column`, `encoding`, ...

    Raises:
        DataNotFoundError: There is no such file.
        UnclearFormatError: No reading is likely, or several are: the message shows them and says
            how to choose.
        UnknownNameError: No family has that format.
        InvalidArgumentError: An option is outside what is allowed.
    """
    path, how = check_path("path", path), make_options(gold=gold, **options)
    text = decode(file_bytes(path), how.encoding)
    if format is not None:
        check_format(format)
    if text.blank and text.problems:
        raise DataFormatError(path, text.problems[0].line, text.problems[0].message)
    head = Head(text.lines, path, how)
    found = [r for r in readings(head) if format in (None, r.reader.name)]
    try:
        chosen = _chosen(head, found, format)
    except UnclearFormatError as error:
        if not text.problems:
            raise
        raise DataFormatError(path, text.problems[0].line, text.problems[0].message) from error
    # With one label for each text, sets of labels are the same in another form.
    told = {chosen.family, "multilabel" if chosen.family == "classification" else ""}
    others = dict.fromkeys(
        (r.family, r.reader.name) for r in found if r.family not in told and r.fit > Fit.POSSIBLE
    )
    rows = tuple(_rows(chosen, head, head.options))
    return Guess(chosen.family, chosen.reader.name, chosen.reason, rows, tuple(others))


def guess_family(
    path: str | Path, format: str | None = None, *, gold: bool = True, **options: Any
) -> str:
    """Guess the task family of a file; see `guess_file`."""
    return guess_file(path, format, gold=gold, **options).family


def _chosen(head: Head, found: list[Reading], format: str | None) -> Reading:
    """The likeliest reading.

    Raises:
        UnclearFormatError: There is none, or there are several.
    """
    path, line = head.path, first_line(head.raw)
    if not found or not head or found[0].fit <= Fit.POSSIBLE:
        return _by_name(head, found, format)
    best = found[0]
    if best.fit == Fit.WEAK and not fits_ending(best.reader, head):
        raise UnclearFormatError(path, line, refusal(head))
    if best.fit < Fit.CERTAIN and not own_ending(best.reader, head) and other_kind(head):
        raise UnclearFormatError(path, line, refusal(head))
    if best.fit < Fit.CERTAIN and doubts(head):
        raise UnclearFormatError(path, line, refusal(head))
    least = Fit.POSSIBLE if best.fit == Fit.WEAK else best.fit
    rivals = [
        r
        for r in found
        if r.fit >= least and own_ending(r.reader, head) is own_ending(best.reader, head)
    ]
    rivals = list({reading.family: reading for reading in reversed(rivals)}.values())[::-1]
    if len(rivals) > 1:  # a reading that finds nothing is none
        filled = [r for r in rivals if _rows(r, head, head.options)]
        rivals = filled or rivals
        best = rivals[0]
    # A treebank has parts of speech and trees, and each is read right: the other one is told of.
    if len(rivals) > 1 and {r.reader.name for r in rivals} != {"conllu"}:
        raise UnclearFormatError(path, line, _question(head, rivals))
    check_one_text(best.reader, best.family, head)
    if best.family == "classification" and (mark := _mark(head)):
        both = [best, *(r for r in found if r.family == "multilabel")]
        raise UnclearFormatError(path, line, _question(head, both, mark))
    return best


def _mark(head: Head) -> str:
    """What may join several labels in the cells of a table; ``""`` if each is one label."""
    if head.options.label_separator is not None:
        return ""
    if head.table is not None:
        cells = label_cells(head.table, head.options)
    else:
        cells = label_values(head.objects, head.options)
    several, mark = several_labels(cells, None, key="")
    return mark if several == "maybe" else ""


def _by_name(head: Head, found: list[Reading], format: str | None) -> Reading:
    """The reading that the ending, or the name of a format, says."""
    if format is not None:
        families = [family for family in FAMILIES if format in READERS[family]]
        if len(families) == 1:
            reader = READERS[families[0]][format]
            return Reading(families[0], reader, Fit.POSSIBLE, f"only this family has {format!r}")
        known = " or ".join(families)
        message = f"the content does not tell the family: give --family ({known}), or --env"
        raise UnclearFormatError(head.path, first_line(head.raw), message)
    if doubts(head):
        raise UnclearFormatError(head.path, first_line(head.raw), refusal(head))
    ending = [
        family
        for family in FAMILIES
        if any(own_ending(reader, head) for reader in READERS[family].values())
    ]
    if len(ending) == 1:
        reader = find_reader(head.path, head.raw, family=ending[0], options=head.options)
        reason = f"its name ends in {head.ending}; the content does not tell"
        return Reading(ending[0], reader, Fit.POSSIBLE, reason)
    if head and not head.options.gold and not head.is_json:
        text = READERS["tagging"]["text"]
        return Reading("tagging", text, Fit.POSSIBLE, "one text per line, without labels")
    message = refusal(head) if head else "the file is empty: there is nothing to guess from"
    raise UnclearFormatError(head.path, first_line(head.raw), message)


def _question(head: Head, rivals: list[Reading], mark: str = "") -> str:
    """What to ask where a file can be read in several ways.

    Args:
        head: Its first lines.
        rivals: The ways.
        mark: What may join several labels.
    """
    shown = []
    for number, reading in enumerate(rivals, 1):
        separator = (
            f" --label-separator {mark!r}" if mark and reading.family == "multilabel" else ""
        )
        options = replace(head.options, label_separator=mark) if separator else head.options
        rows = " | ".join(_rows(reading, head, options)) or "nothing"
        shown.append(
            f"({number}) --family {reading.family} --format {reading.reader.name}{separator}, "
            f"because {reading.reason}: {rows}"
        )
    return (
        f"it can be read in {len(rivals)} ways. {'; '.join(shown)}. Say which: --family and "
        "--format (family= and format= in Python)."
    )


def _rows(reading: Reading, head: Head, options: Options) -> list[str]:
    """The first rows as a reader reads them."""
    for lines in (head.raw, head.lines if head.is_json else []):  # one value may need all lines
        try:
            parsed = reading.reader.parsed(head.path, Decoded(lines), options)
        except NLPGymError:
            return []
        if parsed.samples:
            shown = (sample_lines(sample, reading.family) for sample in parsed.samples[:_SHOWN])
            return [" ".join(lines) for lines in shown]
    return []
