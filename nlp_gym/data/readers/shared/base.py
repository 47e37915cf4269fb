"""`Reader`, a file format: its options, its results, and the samples of tagged texts."""

from __future__ import annotations

import shlex
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from nlp_gym.data.readers.shared.decoding import Problem, decode, file_bytes
from nlp_gym.data.tags.iob2 import to_iob2
from nlp_gym.errors import DataFormatError
from nlp_gym.types import Sample

LONG_TEXT = 1000
"""`check` notes texts of more words, in which a separator may be missing; they are read anyway."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a file is read; see `nlp_gym.data.readers.read`.

    Attributes:
        column: Column or key that holds the labels; None: the format's usual one.
        scheme: Tag scheme (tagging).
        gold: Whether to read the annotation.
        split: The split to read of a format that holds all splits in one file; None: everything (a
            user's file is then split by the hash of its texts).
        companions: Lines of the files beside this one that `Reader.companions` names and that
            exist.
        pair: Languages of source and target of a parallel corpus (``"en-de"``); None: the format's
            usual ones.
    """

    column: str | int | None = None
    scheme: str = "auto"
    gold: bool = True
    split: str | None = None
    companions: Mapping[str, list[str]] = field(default_factory=dict, compare=False)
    pair: str | None = None

    def label_names(self, usual: tuple[str, ...]) -> tuple[str, ...]:
        """Names of the label column or key, the best first: `column`, else the `usual` ones."""
        return usual if self.column is None else (str(self.column),)


@dataclass(slots=True)
class TaggedText:
    """A text while it is read.

    Attributes:
        words: Its words.
        labels: One label per word; none without gold.
        lines: Line number of each word.
        extra: The rest of the input, as in `Sample`.
    """

    words: list[str]
    labels: list[str]
    lines: list[int]
    extra: dict[str, object] = field(default_factory=dict)


@dataclass
class Parsed:
    """Result of parsing a file.

    Attributes:
        samples: The samples of all good rows.
        problems: Rows that cannot be read: `read` raises the first one.
        warnings: Rows that are read, but perhaps not as meant: `read` warns of them.
        notes: Remarks that only `check` shows.
        scheme: Tag scheme of the file.
    """

    samples: list[Sample] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)
    scheme: str = "none"


@dataclass(frozen=True)
class CheckReport:
    """Result of `check`.

    Attributes:
        path: The file.
        format: Name of the reader, as in `READERS`.
        scheme: Tag scheme of the file; ``"none"`` for labels that are not tags of entities.
        n_samples: Number of texts that can be read.
        n_words: Number of words of these.
        labels: How often each label occurs, after conversion to IOB2.
        problems: Every bad row, in file order. The file is usable only if there is none.
        warnings: Rows that are read, but perhaps not as meant.
        family: Task family of the reader.
        counts: Numbers of choices, answers and other things that the family has.
    """

    path: Path
    format: str
    scheme: str
    n_samples: int
    n_words: int
    labels: Counter[str]
    problems: list[Problem]
    warnings: list[Problem]
    family: str = "tagging"
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """True if the file can be used."""
        return not self.problems


Parse = Callable[[list[str], str, Options], Parsed]
Sniff = Callable[[list[str]], bool]
Companions = Callable[[str, Options], tuple[str, ...]]


@dataclass(frozen=True)
class Reader:
    """One file format.

    Attributes:
        name: Its name, the value of ``format=``.
        extensions: File name endings for which it is chosen.
        parse: Parses a file: (lines, file name, options) -> `Parsed`. Never raises for bad content.
        description: One line for listings.
        sniff: Whether a file looks like this format, from its first lines that are not blank; used
            if the ending does not decide. The last line may be cut off.
        companions: Names of the files beside a file that the parser reads too, from the file's name
            and the options; each may be missing.
    """

    name: str
    extensions: tuple[str, ...]
    parse: Parse
    description: str
    sniff: Sniff | None = None
    companions: Companions | None = None

    def samples(
        self, path: Path, data: bytes, options: Options, family: str = "tagging"
    ) -> list[Sample]:
        """Read the content of a file; repaired tags give one `UserWarning`.

        Args:
            path: The file, for messages.
            data: Its bytes.
            options: How it is read.
            family: Task family of the reader, for messages.

        Raises:
            DataFormatError: The first bad row, with its line.
        """
        parsed = self.parsed(path, data, options)
        if parsed.problems:
            first, more = parsed.problems[0], len(parsed.problems) - 1
            command = f"nlp-gym data check {shlex.quote(str(path))} --family {family}"
            command += "" if options.gold else " --no-gold"
            hint = f" ({more} more such rows; list them with: {command})" if more else ""
            raise DataFormatError(path, first.line, first.message + hint)
        if parsed.warnings:
            first, more = parsed.warnings[0], len(parsed.warnings) - 1
            where = f"{path}:{first.line}" if first.line else f"{path}"
            others = f" ({more} more such rows)" if more else ""
            warnings.warn(f"{where}: {first.message}{others}", UserWarning, stacklevel=4)
        return parsed.samples

    def parsed(self, path: Path, data: bytes, options: Options) -> Parsed:
        """Parse the content of a file; the problems of its encoding are included."""
        lines, bad = decode(data)
        if self.companions is not None:
            names = self.companions(path.name, options)
            options = replace(options, companions=_read_companions(path, names))
        parsed = self.parse(lines, path.name, options)
        hidden = {problem.line for problem in bad}  # a bad byte explains other problems of its line
        parsed.problems = sorted(
            bad + [p for p in parsed.problems if p.line not in hidden],
            key=lambda problem: problem.line or 0,
        )
        if not parsed.samples and not parsed.problems:
            empty = "is empty" if not data.strip() else "holds no text"
            parsed.problems = [Problem(None, f"the file {empty}: nothing to read as {self.name}")]
        return parsed


def _read_companions(path: Path, names: tuple[str, ...]) -> dict[str, list[str]]:
    found = {}
    for name in names:
        other = path.parent / name
        if not other.is_file():
            continue
        lines, bad = decode(file_bytes(other))
        if bad:
            raise DataFormatError(other, bad[0].line, bad[0].message)
        found[name] = lines
    return found


def add_samples(texts: list[TaggedText], name: str, options: Options, parsed: Parsed) -> Parsed:
    """Make samples of tagged texts: tags become IOB2, long texts are noted.

    Args:
        texts: The texts; with gold every word has a label.
        name: File name, for the samples' ids.
        options: How the file is read.
        parsed: Holds the problems so far; gets the samples, and is returned.
    """
    labels: list[list[str]] | list[None] = [None] * len(texts)
    if options.gold:
        converted = to_iob2([text.labels for text in texts], options.scheme)
        labels, parsed.scheme = converted.tags, converted.scheme
        detected = options.scheme == "auto"
        for faults, into in (
            (converted.unknown, parsed.problems),
            (converted.wrong, parsed.warnings if detected else parsed.problems),
        ):
            into += [Problem(texts[text].lines[at], message) for text, at, message in faults]
    for text, tags in zip(texts, labels, strict=True):
        note_long_text(len(text.words), text.lines[0], parsed)
        gold = None if tags is None else tuple(tags)
        where = f"{name}:{text.lines[0]}"
        parsed.samples.append(Sample(tuple(text.words), gold, where, text.extra))
    return parsed


def note_long_text(n_words: int, line: int, parsed: Parsed) -> None:
    """Add a note for a text of more than `LONG_TEXT` words that begins on `line`."""
    if n_words > LONG_TEXT:
        message = f"a text of {n_words} words begins here; is a separator missing?"
        parsed.notes.append(Problem(line, message))
