"""What the readers share: options, problems, and rows that become samples."""

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

__all__ = [
    "LONG_TEXT",
    "CheckReport",
    "Options",
    "Parsed",
    "Problem",
    "Reader",
    "Rows",
    "decode",
    "file_bytes",
    "finish",
]

LONG_TEXT = 1000
"""Words from which a text is pointed out: a separator may be missing. It is read all the same."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a file is read; see `read`.

    Attributes:
        column: Which column or key holds the labels; None: the format's usual one.
        scheme: Tag scheme (tagging).
        gold: False reads without annotation.
        split: Which split is wanted of a format that holds all in one file; None: everything (a
            user's file is then split by the hash of its texts).
        beside: Lines of the files beside this one that `Reader.beside` asked for and that exist.
        pair: Languages of source and target of a parallel corpus (``"en-de"``); None: the format's
            usual ones.
    """

    column: str | int | None = None
    scheme: str = "auto"
    gold: bool = True
    split: str | None = None
    beside: Mapping[str, list[str]] = field(default_factory=dict, compare=False)
    pair: str | None = None


@dataclass(slots=True)
class Rows:
    """One text while it is read. `lines` has the line number of each word."""

    words: list[str]
    labels: list[str]
    lines: list[int]
    extra: dict[str, object] = field(default_factory=dict)


@dataclass
class Parsed:
    """What a file holds.

    Reading stops at `problems` and warns of `warnings`; `notes` are for `check` alone.
    """

    samples: list[Sample] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)
    scheme: str = "none"


@dataclass(frozen=True)
class CheckReport:
    """What `check` found out about a file.

    Attributes:
        path: The file.
        format: Name of the reader, as in `READERS`.
        scheme: Tag scheme the file is in; ``"none"`` for labels that are not tags of entities.
        n_samples: Texts that could be read.
        n_words: Words of these.
        labels: How often each label occurs, after conversion to IOB2.
        problems: Every bad row, in file order. The file is usable only if there is none.
        warnings: Rows that are read, but perhaps not as meant.
        family: Family of the reader.
        facts: Counts of what the family has beside words and labels: choices, answers, ...
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
    facts: dict[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """True if the file can be used."""
        return not self.problems


Parse = Callable[[list[str], str, Options], Parsed]
Sniff = Callable[[list[str]], bool]
Beside = Callable[[str, Options], tuple[str, ...]]


@dataclass(frozen=True)
class Reader:
    """One file format.

    Attributes:
        name: What ``format=`` says.
        extensions: File name endings it is chosen for.
        parse: The work: (lines, file name, options) -> `Parsed`. Never raises for bad content.
        about: One line for listings.
        sniff: Tells from the first lines that are not blank whether a file looks like this format;
            used where the ending does not decide. The last line may be cut off.
        beside: From a file's name and the options to the names of the files beside it that the
            parser wants (`Options.beside`); each may be missing.
    """

    name: str
    extensions: tuple[str, ...]
    parse: Parse
    about: str
    sniff: Sniff | None = None
    beside: Beside | None = None

    def read(
        self,
        path: str | Path,
        *,
        column: str | int | None = None,
        scheme: str = "auto",
        gold: bool = True,
    ) -> list[Sample]:
        """Read a file, or raise its first problem; the arguments are those of `readers.read`."""
        path = Path(path)
        return self.samples(path, file_bytes(path), Options(column, scheme, gold))

    def samples(
        self, path: Path, data: bytes, options: Options, family: str = "tagging"
    ) -> list[Sample]:
        """Read the bytes of a file of a `family`; repaired tags give one `UserWarning`."""
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
        """Parse the bytes of a file, with the problems of its encoding put in."""
        lines, bad = decode(data)
        if self.beside is not None:
            options = replace(options, beside=_read_beside(path, self.beside(path.name, options)))
        parsed = self.parse(lines, path.name, options)
        hidden = {problem.line for problem in bad}  # what follows from a bad byte is not news
        parsed.problems = sorted(
            bad + [p for p in parsed.problems if p.line not in hidden],
            key=lambda problem: problem.line or 0,
        )
        if not parsed.samples and not parsed.problems:
            empty = "is empty" if not data.strip() else "holds no text"
            parsed.problems = [Problem(None, f"the file {empty}: nothing to read as {self.name}")]
        return parsed


def _read_beside(path: Path, names: tuple[str, ...]) -> dict[str, list[str]]:
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


def finish(texts: list[Rows], name: str, options: Options, parsed: Parsed) -> Parsed:
    """Turn rows into samples: tags become IOB2, odd rows are noted.

    Args:
        texts: What was read. Labels are there for every word if gold was asked for.
        name: File name, for the samples' ids.
        options: How the file is read.
        parsed: Holds the problems so far; is filled and returned.
    """
    labels: list[list[str]] | list[None] = [None] * len(texts)
    if options.gold:
        converted = to_iob2([text.labels for text in texts], options.scheme)
        labels, parsed.scheme = converted.tags, converted.scheme
        asked = options.scheme != "auto"
        for places, into in (
            (converted.unknown, parsed.problems),
            (converted.wrong, parsed.problems if asked else parsed.warnings),
        ):
            into += [Problem(texts[text].lines[at], message) for text, at, message in places]
    for text, tags in zip(texts, labels, strict=True):
        if len(text.words) > LONG_TEXT:
            message = f"a text of {len(text.words)} words begins here; is a separator missing?"
            parsed.notes.append(Problem(text.lines[0], message))
        gold = None if tags is None else tuple(tags)
        where = f"{name}:{text.lines[0]}"
        parsed.samples.append(Sample(tuple(text.words), gold, where, text.extra))
    return parsed
