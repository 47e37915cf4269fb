"""Readers of translations: one file per language, line by line, and tab-separated pairs."""

from __future__ import annotations

from nlp_gym.data.readers.generation.references import generation_sample
from nlp_gym.data.readers.shared.base import Parsed, Reader
from nlp_gym.data.readers.shared.decoding import Problem
from nlp_gym.data.readers.shared.json_tools import RowError
from nlp_gym.data.readers.shared.options import Options
from nlp_gym.data.readers.shared.tables.tools import without_comments

_CODES = (
    "en de fr zh af ar bg bn ca cs cy da el eo es et eu fa fi ga gl he hi hr hu hy id is it ja ka "
    "kk ko la lt lv mk mn ms nb nl nn no pl pt ro ru sk sl sq sr sv sw ta te th tl tr uk ur uz vi "
    "yi zu"
)
LANGUAGES = tuple(_CODES.split())
"""ISO 639-1 codes that a file's ending may be."""


def parse_parallel(lines: list[str], name: str, options: Options) -> Parsed:
    """Read one file per language, ``NAME.en`` and ``NAME.de``: line N of one translates line N.

    This file has the sources, in the first language of `options.pair`; the file of the other
    language lies beside it. Without a pair it is the only file of another language that exists.
    Lines that are blank in both files are skipped.
    """
    parsed = Parsed()
    stem, _, language = name.rpartition(".")
    first = (options.pair or language).partition("-")[0]
    if not stem or language.lower() != first.lower():
        message = (
            f"there is no language {first!r} in the file's name {name!r}: call it NAME.{first}"
        )
        return Parsed(problems=[Problem(None, message)])
    other, targets = _translation(name, options, parsed)
    if parsed.problems:
        return parsed
    for index, line in enumerate(lines[: _length(lines)]):
        target = targets[index] if index < len(targets) else ""
        if line.strip() or target.strip():
            _add(parsed, index + 1, line, target, f"{name}:{index + 1}", other)
    _compare(parsed, name, other, _length(lines), _length(targets))
    return parsed


def _translation(name: str, options: Options, parsed: Parsed) -> tuple[str | None, list[str]]:
    """(name, lines) of the file with the translations; (None, []) without gold."""
    if not options.gold:
        return None, []
    wanted = translation_files(name, options)
    found = [other for other in wanted if other in options.companions]
    if len(found) == 1:
        return found[0], options.companions[found[0]]
    if found:
        message = f"there is no pair= to say which of {', '.join(found)} has the translations"
    else:
        stem = name.rpartition(".")[0]
        names = wanted[0] if len(wanted) == 1 else f"{stem}.LANGUAGE (such as {wanted[0]})"
        message = f"the translations are missing: there is no {names} beside {name}"
    parsed.problems.append(Problem(None, message))
    return None, []


def _length(lines: list[str]) -> int:
    """Number of lines up to the last that is not blank."""
    return next((i for i in range(len(lines), 0, -1) if lines[i - 1].strip()), 0)


def _compare(parsed: Parsed, name: str, other: str | None, n: int, m: int) -> None:
    """Add the problem, as the first one, that the files have different numbers of lines.

    Nobody knows which line is missing, so no pair of lines is read.
    """
    if other is None or n == m:
        return
    message = (
        f"{name} has {n} line(s) but {other} has {m}: line N of one must be the translation of "
        "line N of the other"
    )
    at = max(1, min(n, m))
    parsed.problems = [Problem(at, message), *(p for p in parsed.problems if (p.line or 0) <= at)]
    parsed.samples = []


def _add(
    parsed: Parsed, number: int, source: str, target: str, where: str, other: str | None
) -> None:
    """Add the sample of two lines, or what is wrong with them; `other` is None without gold."""
    try:
        if other is not None and not target.strip():
            raise RowError(f"line {number} of {other} is blank, but not this one")
        if not source.strip():
            raise RowError(f"the line is blank, but line {number} of {other} is not")
        references = None if other is None else (target,)
        parsed.samples.append(generation_sample(source.strip(), references, where))
    except RowError as error:
        parsed.problems.append(Problem(number, str(error)))


def translation_files(name: str, options: Options) -> tuple[str, ...]:
    """Names of the files that may have the translations of the file `name`."""
    if not options.gold:
        return ()
    stem, _, language = name.rpartition(".")
    if options.pair is not None:
        return (f"{stem}.{options.pair.partition('-')[2]}",)
    return tuple(f"{stem}.{code}" for code in LANGUAGES if code != language.lower())


def parse_pairs(lines: list[str], name: str, options: Options) -> Parsed:
    """Read one ``source<TAB>target`` per line, as in the lists of manythings.org; no header.

    Text after a second tab (an attribution) is ignored; blank lines are skipped. Without gold the
    target may be missing.
    """
    parsed = Parsed()
    lines = without_comments(lines, options.comments)
    for number, source, target in pair_rows(lines, parsed, gold=options.gold):
        try:
            references = (target,) if options.gold else None
            parsed.samples.append(generation_sample(source, references, f"{name}:{number}"))
        except RowError as error:
            parsed.problems.append(Problem(number, str(error)))
    return parsed


def pair_rows(lines: list[str], parsed: Parsed, *, gold: bool) -> list[tuple[int, str, str]]:
    """(line number, source, target) of each line that has them.

    Args:
        lines: The file.
        parsed: Gets a problem for each line that lacks one.
        gold: Whether a second column is needed.
    """
    rows = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        cells = [cell.strip() for cell in line.split("\t")]
        if gold and len(cells) < 2:
            message = "there is no tab: source, tab, target are needed"
        elif not cells[0]:
            message = "the source is empty"
        elif gold and not cells[1]:
            message = "the target is empty"
        else:
            rows.append((number, cells[0], cells[1] if len(cells) > 1 else ""))
            continue
        parsed.problems.append(Problem(number, message))
    return rows


FORMATS: tuple[Reader, ...] = (
    Reader(
        "parallel",
        tuple(f".{code}" for code in LANGUAGES),
        parse_parallel,
        "one file per language, NAME.en and NAME.de, whose lines correspond",
        None,
        translation_files,
    ),
    Reader(
        "pairs",
        (".txt", ".tsv"),
        parse_pairs,
        "source and target with a tab between them, no header",
        takes=frozenset(("comments",)),
    ),
)
