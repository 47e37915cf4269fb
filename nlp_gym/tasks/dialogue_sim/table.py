"""The table of entities: SQLite of the standard library, from results, files, JSON or CSV."""

from __future__ import annotations

import csv
import io
import json
import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nlp_gym.errors import DataError, DataFormatError, DataNotFoundError, shown
from nlp_gym.files import atomic_path

Row = Mapping[str, str]
_SQLITE = (".sqlite", ".sqlite3", ".db")
_MAGIC = b"SQLite format 3\0"


def _quoted(name: str) -> str:
    """A name of a table or column, as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


@dataclass
class EntityTable:
    """Entities of each service, in order.

    Attributes:
        services: Rows of each service: a text for each slot that an entity has.
    """

    services: dict[str, list[dict[str, str]]] = field(default_factory=dict)

    def add(self, service: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add entities of a service; one that is there already is not repeated."""
        known = self.services.setdefault(service, [])
        seen = {tuple(sorted(row.items())) for row in known}
        for row in rows:
            clean = {str(k): str(v) for k, v in row.items() if v is not None and str(v) != ""}
            key = tuple(sorted(clean.items()))
            if clean and key not in seen:
                seen.add(key)
                known.append(clean)

    def slots(self, service: str) -> list[str]:
        """Slots that the entities of a service have, in order of first sight."""
        return list(dict.fromkeys(slot for row in self.services.get(service, ()) for slot in row))

    def connect(self, path: str | Path = ":memory:") -> sqlite3.Connection:
        """A database with a table for each service; its rowid is the number of the entity from 1.

        Args:
            path: File that is made; by default the database is in memory.
        """
        base = sqlite3.connect(str(path))
        for service, rows in self.services.items():
            slots = self.slots(service)
            if not slots:
                continue
            columns = ", ".join(f"{_quoted(slot)} TEXT" for slot in slots)
            base.execute(f"CREATE TABLE {_quoted(service)} ({columns})")
            marks = ", ".join("?" * len(slots))
            base.executemany(
                f"INSERT INTO {_quoted(service)} VALUES ({marks})",
                [[row.get(slot) for slot in slots] for row in rows],
            )
        base.commit()
        return base

    def save(self, path: str | Path) -> None:
        """Write a ``.sqlite`` file, whole or not at all."""
        with atomic_path(Path(path)) as temporary:
            base = self.connect(temporary)
            base.close()

    @classmethod
    def open(cls, source: Any) -> EntityTable:
        """Read a table.

        Args:
            source: A ``.sqlite`` file with a table for each service, a ``.json`` file
                ``{"Service": [{"slot": "value"}]}`` or that object itself, a folder of
                ``Service.csv``, or one such file.

        Raises:
            DataNotFoundError: There is no such file.
            DataFormatError: A file that cannot be read, with the line.
            DataError: `source` is something else.
        """
        table = cls()
        if isinstance(source, EntityTable):
            return source
        if isinstance(source, Mapping):
            for service, rows in _checked(source, "table", DataError).items():
                table.add(service, rows)
            return table
        if not isinstance(source, (str, Path)):
            raise DataError(
                f"table={shown(source)} must be a .sqlite, .json or .csv file, a folder of .csv "
                "files, or a mapping from services to lists of entities."
            )
        path = Path(os.path.expanduser(source))
        if path.is_dir():
            files = sorted(path.glob("*.csv"))
            if not files:
                raise DataNotFoundError(f"table={shown(source)}: no .csv file is in this folder.")
            for file in files:
                table.add(file.stem, _csv_rows(file))
        elif not os.path.isfile(path):
            raise DataNotFoundError(f"table={shown(source)}: there is no such file or folder.")
        elif path.suffix.lower() == ".csv":
            table.add(path.stem, _csv_rows(path))
        elif path.suffix.lower() == ".json":
            table = cls.open(_json_object(path))
        elif path.suffix.lower() in _SQLITE or path.read_bytes()[:16] == _MAGIC:
            for service, rows in _sqlite_tables(path).items():
                table.add(service, rows)
        else:
            raise DataFormatError(path, None, "not a table: .sqlite, .json or .csv is needed")
        return table


def _checked(value: Any, what: str, error: type[Exception]) -> Mapping[str, list[dict[str, Any]]]:
    """A mapping from services to lists of objects of texts and numbers."""
    fault = None
    if not isinstance(value, Mapping):
        fault = f"{what} is no object"
    else:
        for service, rows in value.items():
            if not isinstance(rows, Sequence) or isinstance(rows, str):
                fault = f"{what}[{shown(service)}] is no list of entities"
                break
            for n, row in enumerate(rows):
                fits = isinstance(row, Mapping) and all(
                    isinstance(k, str) and isinstance(v, (str, int, float, type(None)))
                    for k, v in row.items()
                )
                if not fits:
                    fault = f"{what}[{shown(service)}][{n}] is no object of slots and texts"
                    break
    if fault is not None:
        raise error(f'{fault}; the form is {{"Service": [{{"slot": "value"}}]}}.')
    checked: Mapping[str, list[dict[str, Any]]] = value
    return checked


def _json_object(path: Path) -> Any:
    try:
        value = json.loads(path.read_text("utf-8"))
    except UnicodeDecodeError as error:
        raise DataFormatError(path, None, f"not UTF-8: {error.reason}") from error
    except ValueError as error:
        line = getattr(error, "lineno", 1)
        raise DataFormatError(path, line, f"not JSON: {error}") from error
    return _checked(value, str(path), DataError)


def _csv_rows(path: Path) -> list[dict[str, str]]:
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataFormatError(path, None, f"not UTF-8: {error.reason}") from error
    reader = csv.reader(io.StringIO(text, newline=""))
    rows = [(reader.line_num, row) for row in reader]
    if not rows or not all(name.strip() for name in rows[0][1]):
        raise DataFormatError(path, 1, "the header must name the slots of the entities")
    names = [name.strip() for name in rows[0][1]]
    if len(set(names)) < len(names):
        raise DataFormatError(path, 1, "the header names a slot twice")
    found = []
    for number, row in rows[1:]:
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(names):
            fault = f"{len(row)} cell(s) where the header names {len(names)} slots"
            raise DataFormatError(path, number, fault)
        found.append({name: cell.strip() for name, cell in zip(names, row, strict=True)})
    return found


def _sqlite_tables(path: Path) -> dict[str, list[dict[str, Any]]]:
    try:
        base = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            names = base.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            ).fetchall()
            found = {}
            for (name,) in sorted(names):
                cursor = base.execute(f"SELECT * FROM {_quoted(name)} ORDER BY rowid")
                slots = [column[0] for column in cursor.description]
                found[name] = [dict(zip(slots, row, strict=True)) for row in cursor]
        finally:
            base.close()
    except sqlite3.Error as error:
        raise DataFormatError(path, None, f"not a table of SQLite: {error}") from error
    if not found:
        raise DataFormatError(path, None, "the database has no table; one a service is needed")
    return found
