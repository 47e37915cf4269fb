"""`Reader`, a file format: its options, its results, and the samples of tagged texts."""

from __future__ import annotations

import bisect
import re
import shlex
import warnings
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from sys import intern
from typing import cast

from nlp_gym.data.readers.shared.decoding import (
    Decoded,
    Problem,
    decode,
    file_bytes,
    text_name,
)
from nlp_gym.data.readers.shared.label_spelling import look_alikes
from nlp_gym.data.readers.shared.options import COLUMN_OPTIONS, Options
from nlp_gym.data.tags.iob2 import to_iob2
from nlp_gym.data.tags.spellings import respelled, said
from nlp_gym.errors import DataFormatError, InvalidArgumentError, shown
from nlp_gym.types import NO_EXTRA, Sample

LONG_TEXT = 1000
"""`check` notes texts of more words, in which a separator may be missing; they are read anyway."""


@dataclass(slots=True)
class TaggedText:
    """A text while it is read.

    Attributes:
        words: Its words.
        labels: One label per word; none without gold.
        lines: Line number of each word.
        extra: The rest of the input, as in `Sample`.
        bad: Whether one of its rows is bad: then no sample is made of it.
        shared: Whether equal words are one string object already.
    """

    words: list[str]
    labels: list[str]
    lines: list[int]
    extra: dict[str, object] = field(default_factory=dict)
    bad: bool = False
    shared: bool = False


def line_numbers(numbers: list[int]) -> list[int]:
    """The same numbers in little memory: a range where they follow one another, else an array.

    Both are read as a list is.
    """
    if numbers and numbers[-1] - numbers[0] == len(numbers) - 1:
        return cast("list[int]", range(numbers[0], numbers[-1] + 1))
    return cast("list[int]", array("q", numbers))


@dataclass
class Parsed:
    """Result of parsing a file.

    Attributes:
        samples: The samples of all good rows.
        problems: Rows that cannot be read: `read` raises the first one.
        warnings: Rows that are read, but perhaps not as meant: `read` warns of them.
        notes: Remarks that only `check` shows.
        scheme: Tag scheme of the file.
        n_bad: Number of samples that bad rows belong to; None: each bad row is a sample's only one.
    """

    samples: list[Sample] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)
    scheme: str = "none"
    n_bad: int | None = None


@dataclass(frozen=True, slots=True)
class FileSamples:
    """What was read of a file.

    Attributes:
        samples: Its samples, at least one.
        n_skipped: Number of samples that were left out because of bad rows.
    """

    samples: tuple[Sample, ...]
    n_skipped: int = 0


Parse = Callable[[list[str], str, Options], Parsed]
Sniff = Callable[[list[str]], bool]
Companions = Callable[[str, Options], tuple[str, ...]]


@dataclass(frozen=True)
class Reader:
    """One file format.

    Attributes:
        name: Its name, the value of ``format=``.
        extensions: Usual file name endings, which decide where the content does not.
        parse: Parses a file: (lines, file name, options) -> `Parsed`. Never raises for bad content.
        description: One line for listings.
        sniff: Whether a file has marks that only this format has, from its first lines that are not
            blank (`nlp_gym.data.readers.shared.head.Head`), in JSON also from one value per line.
            None: keys, a header or the shape of the lines tell; see `nlp_gym.data.readers.guess`.
        companions: Names of the files beside a file that the parser reads too, from the file's name
            and the options; each may be missing.
        takes: Which of the options `COLUMN_OPTIONS` the format has a use for.
    """

    name: str
    extensions: tuple[str, ...]
    parse: Parse
    description: str
    sniff: Sniff | None = None
    companions: Companions | None = None
    takes: frozenset[str] = frozenset()

    def samples(
        self, path: Path, text: Decoded, options: Options, family: str = "tagging"
    ) -> FileSamples:
        """Read the content of a file; repaired tags and skipped rows give one `UserWarning` each.

        Args:
            path: The file, for messages.
            text: Its content.
            options: How it is read.
            family: Task family of the reader, for messages.

        Raises:
            DataFormatError: The first bad row, with its line.
            InvalidArgumentError: An option that the format has no use for.
        """
        parsed = self.parsed(path, text, options)
        problems, skipped = parsed.problems, 0
        if problems and options.skips and parsed.samples:
            skipped = n_skipped(parsed)
            first = problems[0]
            warnings.warn(
                f"{path}: {skipped} sample(s) with bad rows are left out (bad_rows='skip'), "
                f"{len(parsed.samples)} are read. The first bad row is line {first.line}: "
                f"{first.message}",
                UserWarning,
                stacklevel=4,
            )
        elif problems:
            first, more = problems[0], len(problems) - 1
            command = f"nlp-gym data check {shlex.quote(str(path))} --family {family}"
            command += "" if options.gold else " --no-gold"
            hint = f" ({more} more such rows; list them with: {command})" if more else ""
            raise DataFormatError(path, first.line, first.message + hint)
        if parsed.warnings:
            first, more = parsed.warnings[0], len(parsed.warnings) - 1
            where = f"{path}:{first.line}" if first.line else f"{path}"
            others = f" ({more} more such rows)" if more else ""
            warnings.warn(f"{where}: {first.message}{others}", UserWarning, stacklevel=4)
        return FileSamples(tuple(parsed.samples), skipped)

    def parsed(self, path: Path, text: Decoded, options: Options) -> Parsed:
        """Parse the content of a file; the problems of its encoding are included."""
        self._check_takes(options)
        name = text_name(path)
        if self.companions is not None:
            names = self.companions(name, options)
            options = replace(options, companions=_read_companions(path, names, options.encoding))
        parsed = self.parse(text.lines, name, options)
        _add_problems(parsed, text.problems, name)
        parsed.warnings += look_alikes(parsed.samples, tags=parsed.scheme != "none")
        parsed.warnings = sorted(text.warnings + parsed.warnings, key=lambda p: p.line or 0)
        parsed.notes = text.notes + parsed.notes
        if not parsed.samples and not parsed.problems:
            empty = "is empty" if text.lines == [""] else "holds no text"
            parsed.problems = [Problem(None, f"the file {empty}: nothing to read as {self.name}")]
        return parsed

    def _check_takes(self, options: Options) -> None:
        for name in COLUMN_OPTIONS:
            if getattr(options, name) is not None and name not in self.takes:
                others = ", ".join(sorted(self.takes)) or "none"
                raise InvalidArgumentError(
                    f"{name}={shown(getattr(options, name))}: the format {self.name!r} has no use "
                    f"for it. Of these options it takes: {others}. Leave it out, or give the "
                    "format."
                )


def _add_problems(parsed: Parsed, found: list[Problem], name: str) -> None:
    """Add the problems that decoding found to those of parsing.

    A bad byte explains other problems of its line. The sample that the line belongs to, which was
    parsed with a replacement in the place of the byte, is bad too.
    """
    refused = {problem.line for problem in parsed.problems}
    parsed.n_bad = n_skipped(parsed)
    hidden = {problem.line for problem in found}
    others = [problem for problem in parsed.problems if problem.line not in hidden]
    parsed.problems = sorted(found + others, key=lambda problem: problem.line or 0)
    lines = [problem.line for problem in found if problem.line not in refused]
    if not lines or not parsed.samples:
        return
    starts = [sample_line(sample, name) for sample in parsed.samples]
    known = sorted({start for start in starts if start is not None})
    if None in lines or None in starts:
        parsed.samples = []  # nobody knows which sample the line belongs to: none is read
        return
    bad = {known[max(bisect.bisect_right(known, line or 0) - 1, 0)] for line in lines}
    kept = [s for s, at in zip(parsed.samples, starts, strict=True) if at not in bad]
    parsed.n_bad += len(parsed.samples) - len(kept)
    parsed.samples = kept


def sample_line(sample: Sample, name: str) -> int | None:
    """Line on which a sample of the file `name` begins; None where its id does not say so."""
    found = re.fullmatch(rf"{re.escape(name)}:([0-9]+)", sample.id)
    return None if found is None else int(found[1])


def n_skipped(parsed: Parsed) -> int:
    """Number of samples that the bad rows belong to."""
    if parsed.n_bad is not None:
        return parsed.n_bad
    return len({problem.line for problem in parsed.problems})


def _read_companions(
    path: Path, names: tuple[str, ...], encoding: str | None
) -> dict[str, list[str]]:
    found = {}
    for name in names:
        other = path.parent / name
        if not other.is_file():
            continue
        text = decode(file_bytes(other), encoding)
        if text.problems:
            raise DataFormatError(other, text.problems[0].line, text.problems[0].message)
        found[name] = text.lines
    return found


def add_samples(texts: list[TaggedText], name: str, options: Options, parsed: Parsed) -> Parsed:
    """Make samples of tagged texts: tags become IOB2, long texts are noted.

    Args:
        texts: The texts; with gold every word has a label.
        name: File name, for the samples' ids.
        options: How the file is read.
        parsed: Holds the problems so far; gets the samples of the good texts, and is returned.
    """
    bad = sum(text.bad and not text.words for text in texts)
    texts = [text for text in texts if text.words]
    labels: list[list[str]] | list[None] = [None] * len(texts)
    left_out = {number for number, text in enumerate(texts) if text.bad}
    if options.gold:
        if options.scheme != "none":
            _respell(texts, parsed)
        converted = to_iob2([text.labels for text in texts], options.scheme)
        labels, parsed.scheme = converted.tags, converted.scheme
        # Of a text that lacks a row nobody knows what follows what.
        faults, doubts = converted.unknown, [x for x in converted.wrong if x[0] not in left_out]
        if options.scheme != "auto":
            faults, doubts = faults + doubts, []
        left_out |= {text for text, _, _ in faults}
        for found, into in ((faults, parsed.problems), (doubts, parsed.warnings)):
            into += [Problem(texts[text].lines[at], message) for text, at, message in found]
    parsed.n_bad = bad + len(left_out)
    for index, (text, tags) in enumerate(zip(texts, labels, strict=True)):
        if index in left_out:
            continue
        note_long_text(len(text.words), text.lines[0], parsed)
        gold = None if tags is None else tuple(tags)
        # One string object per distinct word; those of raw texts are interned where they are cut.
        shared = text.shared or "spans" in text.extra
        words = tuple(text.words if shared else map(intern, text.words))
        where = f"{name}:{text.lines[0]}"
        parsed.samples.append(Sample(words, gold, where, text.extra or NO_EXTRA))
        text.words, text.labels, text.lines = [], [], []  # memory for the next sample
        labels[index] = None  # type: ignore[call-overload]
    return parsed


def _respell(texts: list[TaggedText], parsed: Parsed) -> None:
    """Bring tags of another spelling (``B_PER``) into the usual one, with one warning."""
    tags = respelled(set().union(*(text.labels for text in texts)))
    if not tags:
        return
    first = next(
        line
        for text in texts
        for line, label in zip(text.lines, text.labels, strict=True)
        if label in tags
    )
    parsed.warnings.append(Problem(first, said(tags)))
    for text in texts:
        text.labels = [tags.get(label, label) for label in text.labels]


def note_long_text(n_words: int, line: int, parsed: Parsed) -> None:
    """Add a note for a text of more than `LONG_TEXT` words that begins on `line`."""
    if n_words > LONG_TEXT:
        message = f"a text of {n_words} words begins here; is a separator missing?"
        parsed.notes.append(Problem(line, message))
