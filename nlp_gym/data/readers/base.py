"""What the readers share: decoding with line numbers, problems, and rows that become samples."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from nlp_gym.data.schemes import to_iob2
from nlp_gym.errors import DataError, DataFormatError, DataNotFoundError
from nlp_gym.types import Sample

LONG_TEXT = 1000
"""Words from which a text is pointed out: a separator may be missing. It is read all the same."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A row that cannot be read (or, as a warning, one worth a look)."""

    line: int | None
    message: str


@dataclass(frozen=True, slots=True)
class Options:
    """How a file is read; see `read`."""

    column: str | int | None = None
    scheme: str = "auto"
    gold: bool = True


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
    """

    path: Path
    format: str
    scheme: str
    n_samples: int
    n_words: int
    labels: Counter[str]
    problems: list[Problem]
    warnings: list[Problem]

    @property
    def ok(self) -> bool:
        """True if the file can be used."""
        return not self.problems


Parse = Callable[[list[str], str, Options], Parsed]


@dataclass(frozen=True)
class Reader:
    """One file format.

    Attributes:
        name: What ``format=`` says.
        extensions: File name endings it is chosen for.
        parse: The work: (lines, file name, options) -> `Parsed`. Never raises for bad content.
        about: One line for listings.
    """

    name: str
    extensions: tuple[str, ...]
    parse: Parse
    about: str

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

    def samples(self, path: Path, data: bytes, options: Options) -> list[Sample]:
        """Read the bytes of a file; repaired tags give one `UserWarning`."""
        parsed = self.parsed(path, data, options)
        if parsed.problems:
            first, more = parsed.problems[0], len(parsed.problems) - 1
            hint = (
                f" ({more} more such rows; list them with: nlp-gym data check {path})"
                if more
                else ""
            )
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


def file_bytes(path: Path) -> bytes:
    """Read a whole file.

    Raises:
        DataNotFoundError: There is no such file.
        DataError: It cannot be read (a folder, no permission, ...).
    """
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise DataNotFoundError(f"There is no file {path}.") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise DataError(f"{str(path)!r} cannot be read: {error}") from error


def decode(data: bytes) -> tuple[list[str], list[Problem]]:
    r"""Decode UTF-8 (a byte order mark is dropped) and cut at ``\n``, ``\r\n`` and ``\r``.

    Lines are cut nowhere else: U+2028 or U+0085 may stand inside a word.

    Returns:
        The lines, without their ends, and one problem for each line that is not UTF-8 (bad bytes
        are then replaced) or holds a NUL.
    """
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        advice = "the file is UTF-16; convert it with: iconv -f UTF-16 -t UTF-8 FILE > NEW"
        return [], [Problem(1, advice)]
    data = data.removeprefix(b"\xef\xbb\xbf")
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    problems: list[Problem] = []
    try:
        lines = data.decode("utf-8").split("\n")
    except UnicodeDecodeError:
        lines = []
        for number, raw in enumerate(data.split(b"\n"), 1):
            try:
                lines.append(raw.decode("utf-8"))
            except UnicodeDecodeError as error:
                problems.append(Problem(number, _not_utf8(raw, error)))
                lines.append(raw.decode("utf-8", "replace"))
    if b"\0" in data:
        message = "the line holds a NUL byte; is this a text file?"
        problems += [Problem(n, message) for n, line in enumerate(lines, 1) if "\0" in line]
    return lines, problems


def _not_utf8(raw: bytes, error: UnicodeDecodeError) -> str:
    return (
        f"byte 0x{raw[error.start]:02x} at column {error.start + 1} is not UTF-8; if the file is "
        "Latin-1, convert it with: iconv -f ISO-8859-1 -t UTF-8 FILE > NEW"
    )


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
