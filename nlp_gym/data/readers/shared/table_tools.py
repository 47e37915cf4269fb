"""What the readers of delimited tables share: rows with line numbers, headers, delimiters."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass

from nlp_gym.data.readers.shared.base import Parsed
from nlp_gym.data.readers.shared.decoding import Problem

DELIMITERS = ",;\t|"


@dataclass
class Table:
    """A table with a header.

    Attributes:
        header: The names as written.
        line: Line of the header.
        rows: (number of its first line, cells) of each row that is not blank and as wide as the
            header; others become problems while this is read.
    """

    header: list[str]
    line: int
    rows: Iterator[tuple[int, list[str]]]

    def find(self, *wanted: str) -> int | None:
        """Index of the first of these columns that is there, whatever its case."""
        names = [cell.strip().lower() for cell in self.header]
        return next((names.index(n.lower()) for n in wanted if n.lower() in names), None)

    def missing(self, *wanted: str) -> Problem:
        """The problem that there is none of these columns."""
        columns = ", ".join(map(repr, self.header)) or "none"
        names = " or ".join(map(repr, wanted))
        return Problem(self.line, f"the header has no column {names} (columns: {columns})")


def open_table(lines: list[str], name: str, parsed: Parsed) -> Table | None:
    """Read the header of a table; None if there is no row at all.

    The delimiter is the tab for a file whose name ends in ``.tsv``, else the comma, semicolon, tab
    or bar, whichever the header has most.
    """
    first = first_row(lines)
    if first is None:
        return None
    delimiter = delimiter_of(name, lines[first])
    rows = table_rows(lines, parsed, delimiter=delimiter, first=first)
    number, header = next(rows, (first + 1, []))
    return Table(header, number, _as_wide(rows, len(header), parsed))


def first_row(lines: list[str]) -> int | None:
    """Index of the first line that is not blank."""
    return next((index for index, line in enumerate(lines) if line.strip()), None)


def delimiter_of(name: str, header: str) -> str:
    """Return the delimiter of a table, see `open_table`."""
    return "\t" if name.lower().endswith(".tsv") else max(DELIMITERS, key=header.count)


def table_rows(
    lines: list[str],
    parsed: Parsed,
    *,
    delimiter: str = ",",
    first: int = 0,
    quoted: bool = True,
) -> Iterator[tuple[int, list[str]]]:
    """Yield (number of its first line, cells) of each row that is not blank.

    Args:
        lines: The file.
        parsed: Gets a problem for each row that is not CSV.
        delimiter: One character.
        first: Index of the line to begin at.
        quoted: Whether cells may be put into double quotes (and then hold line breaks).
    """
    reader = csv.reader(
        (line + "\n" for line in lines[first:]),
        delimiter=delimiter,
        quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
        strict=True,
    )
    while True:
        number = first + reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            parsed.problems.append(Problem(number, f"not CSV: {error}"))
            continue
        if any(cell.strip() for cell in cells):
            yield number, cells


def _as_wide(
    rows: Iterator[tuple[int, list[str]]], width: int, parsed: Parsed
) -> Iterator[tuple[int, list[str]]]:
    for number, cells in rows:
        if len(cells) == width:
            yield number, cells
        else:
            message = f"{len(cells)} cell(s) where the header has {width}"
            parsed.problems.append(Problem(number, message))
