"""Cuts the lines of a table into rows and cells, and decides what its quotation marks mean.

In a file that is separated by tabs, and whose every line has as many tabs as the first, quotation
marks are text: corpora are written so, and a mark that opens a quoted cell would swallow the lines
up to the next one. It is otherwise where all cells that hold such marks are written as CSV writes
them, and none as text would be. All other tables are CSV (RFC 4180), in which a cell in quotes may
hold line breaks and delimiters; what looks as if it were swallowed is reported.
"""

from __future__ import annotations

import csv
import sys
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import compress, count

from nlp_gym.data.readers.shared.base import Parsed
from nlp_gym.data.readers.shared.decoding import BOM, Problem
from nlp_gym.errors import shown

Row = tuple[int, list[str]]
"""Number of a row's first line, from 1, and its cells."""

QUOTE = '"'
_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_CARRIAGE_RETURN = "\udc0d"
"""Stands for a carriage return while csv cuts a line: half of a surrogate pair is in no file."""
_MAX_LENGTH = min(sys.maxsize, 2**31 - 1)  # of a cell; csv takes a C long


def table_rows(
    lines: list[str],
    parsed: Parsed,
    *,
    delimiter: str = ",",
    first: int = 0,
    quoted: bool = True,
) -> Iterator[Row]:
    """Yield (number of its first line, cells) of each row that is not blank.

    Args:
        lines: The file.
        parsed: Gets a problem for each row that is not CSV, and after the last row what is to be
            said of quotation marks.
        delimiter: One character.
        first: Index of the first line to read, which has as many delimiters as other lines.
        quoted: Whether cells may be in quotes (and then hold line breaks), unless the whole file
            shows that they are not; False: quotation marks are text.
    """
    marked = any(BOM in line for line in lines)
    if marked:
        lines = [line.replace(delimiter + BOM, delimiter) for line in lines]
    width = lines[first].count(delimiter) if first < len(lines) else 0
    found = _Marks(lines, first, delimiter, width)
    rows: Iterator[Row]
    if not quoted or (delimiter == "\t" and _are_text(found)):
        rows = _split_rows(found, check=quoted)
    else:
        rows = _csv_rows(found)
    for number, cells in rows:
        if any(cells) and any(cell.strip() for cell in cells):
            yield number, [cell.lstrip(BOM) for cell in cells] if marked else cells
    found.report(parsed)


@dataclass(slots=True)
class _Marks:
    """A table, and what is found of its quotation marks while it is cut.

    Attributes:
        lines: The file.
        first: Index of its first line that is read.
        delimiter: What separates cells.
        width: Number of delimiters in the first line.
        problems: Rows that are not CSV.
        enclosed: Line and text of cells, in a file without quoting, that look quoted.
        swallowed: Index of the first line, and one past the last, of rows with a quoted cell that
            holds line breaks such as those of rows; with the cell.
        holding: First line with a quoted cell that holds line breaks or delimiters; 0: none.
        n_holding: Number of such rows.
    """

    lines: list[str]
    first: int
    delimiter: str
    width: int
    problems: list[Problem] = field(default_factory=list)
    enclosed: list[tuple[int, str]] = field(default_factory=list)
    swallowed: list[tuple[int, int, str]] = field(default_factory=list)
    holding: int = 0
    n_holding: int = 0

    def look_at(self, start: int, stop: int, cells: list[str]) -> None:
        """Note what a row of the lines [start, stop) that has a quotation mark holds."""
        if stop - start == 1 and self.lines[start].count(self.delimiter) < len(cells):
            return
        self.holding = self.holding or start + 1
        self.n_holding += 1
        if stop - start > 1:
            for place, cell in enumerate(cells):
                if "\n" in cell and self._is_rows(place, cell):
                    self.swallowed.append((start, stop, cell))
                    return

    def _is_rows(self, place: int, cell: str) -> bool:
        """Whether the parts of a cell have delimiters as parts of rows would have them.

        A text hardly holds tabs and line breaks both.
        """
        if self.delimiter == "\t":
            return "\t" in cell
        begin, *middle, end = (part.count(self.delimiter) for part in cell.split("\n"))
        inside = begin == self.width - place and end == place
        return self.width > 0 and inside and all(n == self.width for n in middle)

    def report(self, parsed: Parsed) -> None:
        """Add what was found to the problems, warnings and notes of `parsed`."""
        parsed.problems += self.problems
        sure = [found for found in self.swallowed if self.delimiter == "\t"]
        sure = sure or self._recurring()
        for start, stop, cell in sure:
            message = (
                f"the lines {start + 1} to {stop} are read as one row, because a cell in quotes "
                f"begins here, but they look like rows: {shown(cell)}. If the quotation mark "
                'is text, double it and put its cell in quotes ("""Never"", he wrote")'
            )
            parsed.warnings.append(Problem(start + 1, message))
        if self.n_holding > len(sure):
            name = _NAMES.get(self.delimiter, repr(self.delimiter))
            message = (
                f"a cell in quotes holds line breaks or {name}, which are part of its text"
                f"{_more(self.n_holding - len(sure), 'such rows')}"
            )
            parsed.notes.append(Problem(self.holding, message))
        if self.enclosed:
            line, cell = self.enclosed[0]
            message = (
                f"{shown(cell)} looks like a cell in quotes, but quotation marks are read as "
                "text, as is usual where every line has the same number of tabs"
                f"{_more(len(self.enclosed), 'such cells')}. If they only enclose the cells, "
                "export the file with commas"
            )
            parsed.warnings.append(Problem(line, message))

    def _recurring(self) -> list[tuple[int, int, str]]:
        """The swallowed lines that are surely rows: a first or last cell is that of other rows."""
        if not self.swallowed:
            return []
        inside = {i for start, stop, _ in self.swallowed for i in range(start, stop)}
        others = [s for i, s in enumerate(self.lines[self.first :], self.first) if i not in inside]
        firsts = {line.partition(self.delimiter)[0] for line in others}
        lasts = {line.rpartition(self.delimiter)[2] for line in others}
        firsts.discard("")
        lasts.discard("")

        def recurs(cell: str) -> bool:
            begin, *middle, end = cell.split("\n")
            if len(middle) > 1 and self.width > 1:
                return True
            ends = [part.rpartition(self.delimiter)[2] for part in (begin, *middle)]
            starts = [part.partition(self.delimiter)[0] for part in (*middle, end)]
            has_end = self.delimiter in begin
            return any(part in lasts for part in ends[not has_end :]) or any(
                part in firsts for part in (starts if self.delimiter in end else starts[:-1])
            )

        return [found for found in self.swallowed if recurs(found[2])]


def _more(n: int, what: str) -> str:
    return f" ({n - 1} more {what})" if n > 1 else ""


def _are_text(found: _Marks) -> bool:
    """Whether quotation marks are text in a table that is separated by tabs.

    They are where every line has the header's number of tabs, unless the header is in quotes or
    all marks are those of CSV. Where some line has not, they mean what leaves fewer bad rows.
    """
    lines, first, width = found.lines, found.first, found.width
    if first >= len(lines) or any(cell[:1] == QUOTE for cell in lines[first].split("\t")):
        return False
    uneven = sum(
        line.count("\t") != width and not line.isspace() and bool(line) for line in lines[first:]
    )
    if not uneven:
        return not _are_of_csv(lines[first:])
    trial = _Marks(lines, first, "\t", width)
    bad = sum(len(cells) != width + 1 and any(cells) for _, cells in _csv_rows(trial))
    bad += len(trial.problems) + sum(stop - start for start, stop, _ in trial.swallowed)
    return uneven <= bad


def _split_rows(found: _Marks, *, check: bool) -> Iterator[Row]:
    """Rows whose quotation marks are text; `check`: cells that look quoted are noted."""
    delimiter = found.delimiter
    for number, line in enumerate(found.lines[found.first :], found.first + 1):
        cells = line.split(delimiter)
        if check and QUOTE in line:
            found.enclosed += [(number, cell) for cell in cells if _looks_quoted(cell)]
        yield number, cells


def _are_of_csv(lines: list[str]) -> bool:
    """Whether all cells with quotation marks are written as by a program that writes CSV.

    It encloses those cells that need it, since they hold a mark, which it doubles, or (Excel) a
    comma. Three such cells are believed, or one with a doubled mark.
    """
    marked = [cell for line in lines if QUOTE in line for cell in line.split("\t") if QUOTE in cell]
    if not all(map(_looks_quoted, marked)):
        return False
    doubled = sum(QUOTE in cell[1:-1] for cell in marked)
    if doubled == len(marked):
        return doubled > 0
    commas = (cell for line in lines if "," in line for cell in line.split("\t") if "," in cell)
    needed = all(QUOTE in cell[1:-1] or "," in cell for cell in marked)
    return len(marked) > 2 and needed and all(cell[0] == QUOTE for cell in commas)


def _looks_quoted(cell: str) -> bool:
    inner = cell[1:-1]
    enclosed = len(cell) > 2 and cell[0] == cell[-1] == QUOTE
    return enclosed and QUOTE not in inner.replace(QUOTE * 2, "")


def _csv_rows(found: _Marks) -> Iterator[Row]:
    """Rows of CSV. After one that is none, reading goes on behind the cell in quotes it opens."""
    lines = found.lines
    if any("\r" in line for line in lines):
        lines = [line.replace("\r", _CARRIAGE_RETURN) for line in lines]
        for number, cells in _csv_rows_of(lines, found):
            yield number, [cell.replace(_CARRIAGE_RETURN, "\r") for cell in cells]
    else:
        yield from _csv_rows_of(lines, found)


def _csv_rows_of(lines: list[str], found: _Marks) -> Iterator[Row]:
    at = found.first
    odd: list[int] | None = None
    while at < len(lines):
        base = at
        reader = csv.reader(_lines_from(lines, base), delimiter=found.delimiter, strict=True)
        try:
            for cells in reader:
                stop = base + reader.line_num
                if stop - at > 1 or QUOTE in lines[at]:
                    found.look_at(at, stop, cells)
                yield at + 1, cells
                at = stop
            return
        except csv.Error as error:
            fault = str(error)
            if "field limit" in fault:
                row, used, fault = _long_row(lines, at, found.delimiter)
                if row is not None:
                    found.look_at(at, at + used, row)
                    yield at + 1, row
                    at += used
                    continue
        odd = _odd_lines(lines) if odd is None else odd
        at = _refuse(lines, at, fault, odd, found)


def _lines_from(lines: list[str], start: int) -> Iterator[str]:
    return (lines[i] + "\n" for i in range(start, len(lines)))


def _long_row(lines: list[str], at: int, delimiter: str) -> tuple[list[str] | None, int, str]:
    """(cells, number of lines, what is wrong) of a row with a cell that is longer than usual."""
    reader = csv.reader(_lines_from(lines, at), delimiter=delimiter, strict=True)
    with _long_cells():
        try:
            return next(reader), reader.line_num, ""
        except csv.Error as error:
            return None, 0, str(error)


@contextmanager
def _long_cells() -> Iterator[None]:
    """Lift csv's limit on the length of a cell, which holds for the whole process, for a moment."""
    limit = csv.field_size_limit(_MAX_LENGTH)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def _odd_lines(lines: Sequence[str]) -> list[int]:
    """Indices of the lines with an odd number of quotation marks: a quoted cell goes on there."""
    return list(compress(count(), (line.count(QUOTE) % 2 for line in lines)))


def _refuse(lines: list[str], at: int, fault: str, odd: list[int], found: _Marks) -> int:
    """Report a row that is not CSV; return the index of the line on which reading goes on.

    A cell in quotes that is open at the line's end goes on up to the next line with an odd number
    of quotation marks: none of these lines is read as a row of its own, which it may not be.
    """
    if "unexpected end" in fault:
        what = "a quotation mark opens a cell here that is never closed"
    elif "expected after" in fault:
        what = "a cell in quotes goes on after its closing quotation mark"
    else:
        what = fault
    message = (
        f'not CSV: {what}; a quotation mark inside a cell in quotes is doubled (""), not escaped '
        "by a backslash"
    )
    found.problems.append(Problem(at + 1, message if what != fault else f"not CSV: {fault}"))
    place = bisect_left(odd, at)
    if place + 1 >= len(odd) or odd[place] != at:
        return at + 1
    end = odd[place + 1]
    message = f"the line stands in the cell in quotes that line {at + 1} opens, which is not CSV"
    found.problems += [Problem(i + 1, message) for i in range(at + 1, end + 1) if lines[i].strip()]
    return end + 1
