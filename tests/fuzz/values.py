"""Values that stand where names, numbers or lists belong: each is made anew by a function."""

from __future__ import annotations

import datetime
import decimal
import enum
import fractions
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nlp_gym.types import Sample


class _Colour(enum.Enum):
    RED = "train"


class _Hostile:
    """An object whose every ordinary use raises."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no comparison")

    def __hash__(self) -> int:
        raise RuntimeError("no hash")

    def __bool__(self) -> bool:
        raise RuntimeError("no truth")

    def __len__(self) -> int:
        raise RuntimeError("no length")

    def __iter__(self) -> Any:
        raise RuntimeError("no items")


class _Text(str):
    """A subclass of str."""


def _deep(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


def _deep_mapping(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"a": value}
    return value


def _itself() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


def _constant(value: Any) -> Callable[[], Any]:
    return lambda: value


NAMES = {
    "empty": "",
    "blank": " \t",
    "5000 letters": "x" * 5000,
    "5000 words": "ab " * 5000,
    "5000 slashes": "a/" * 2500,
    "NUL": "a\0b",
    "newline": "a\nerror: forged",
    "escape": "\x1b[31mred\x1b]0;title\x07",
    "bidi": "\u202egpj.exe",
    "surrogate": "\ud800",
    "up": "../../x",
    "root": "/",
    "folder": ".",
    "tilde": "~nobody/x",
    "device": "/dev/zero",
    "full device": "/dev/full",
    "percent": "%s%n",
    "braces": "{0.__class__}",
    "markup": "[red]x[/red]",
    "html": "<script>alert(1)</script>",
    "colon": "a:b:c",
    "module": "evilmod:Boom",
    "number": "12",
    "float": "1e3",
    "nan text": "nan",
    "none text": "None",
    "yaml": "[1, 2",
    "emoji": "🙂" * 100,
    "capitals": "TRAIN",
}
"""Strings that are hardly a name."""

VALUES: dict[str, Callable[[], Any]] = {
    **{f"str {name}": _constant(text) for name, text in NAMES.items()},
    "None": _constant(None),
    "True": _constant(True),
    "False": _constant(False),
    "0": _constant(0),
    "1": _constant(1),
    "-1": _constant(-1),
    "2": _constant(2),
    "5": _constant(5),
    "10**6": _constant(10**6),
    "10**7": _constant(10**7),
    "2**31": _constant(2**31),
    "2**63": _constant(2**63),
    "2**64": _constant(2**64),
    "10**400": _constant(10**400),
    "-10**400": _constant(-(10**400)),
    "10**5000": _constant(10**5000),
    "0.5": _constant(0.5),
    "2.0": _constant(2.0),
    "1e308": _constant(1e308),
    "nan": _constant(float("nan")),
    "inf": _constant(float("inf")),
    "-inf": _constant(float("-inf")),
    "complex": _constant(1 + 2j),
    "Decimal": _constant(decimal.Decimal("2")),
    "Decimal NaN": _constant(decimal.Decimal("NaN")),
    "Decimal sNaN": _constant(decimal.Decimal("sNaN")),
    "Fraction": _constant(fractions.Fraction(1, 2)),
    "int64": _constant(np.int64(2)),
    "int64 below": _constant(np.int64(-3)),
    "uint8": _constant(np.uint8(255)),
    "float32": _constant(np.float32(0.5)),
    "float64 nan": _constant(np.float64("nan")),
    "bool_": _constant(np.bool_(True)),
    "str_": _constant(np.str_("hashed")),
    "bytes_": _constant(np.bytes_(b"hashed")),
    "datetime64": _constant(np.datetime64("2020-01-01")),
    "NaT": _constant(np.datetime64("NaT")),
    "array empty": lambda: np.zeros(0),
    "array 0-d": lambda: np.array(5),
    "array 0-d text": lambda: np.array("train"),
    "array one": lambda: np.array([1]),
    "array ints": lambda: np.arange(3),
    "array matrix": lambda: np.zeros((2, 2)),
    "array million": lambda: np.zeros(10**6),
    "array texts": lambda: np.array(["a", "b"]),
    "array objects": lambda: np.array([None, "a"], object),
    "array nan": lambda: np.array([np.nan, 1.0]),
    "array bools": lambda: np.array([True, False]),
    "array structured": lambda: np.zeros(2, [("a", int)]),
    "masked array": lambda: np.ma.masked_array([1, 2], [True, False]),
    "list empty": list,
    "list texts": lambda: ["a", "b"],
    "list twice": lambda: ["a", "a"],
    "list mixed": lambda: ["a", 1, None],
    "list empty text": lambda: ["a", ""],
    "list ints": lambda: [0, 1, 2],
    "list nested": lambda: [["a"], [["b"]]],
    "list nan": lambda: [float("nan"), 1.0],
    "list many": lambda: [f"l{i}" for i in range(2000)],
    "list long name": lambda: ["x" * 5000, "y"],
    "list surrogate": lambda: ["\ud800", "b"],
    "list deep": lambda: _deep(3000),
    "list in itself": _itself,
    "list of hostile": lambda: [_Hostile()],
    "tuple empty": tuple,
    "tuple texts": lambda: ("a", "b"),
    "tuple ints": lambda: (1, 2, 3),
    "set empty": set,
    "set": lambda: {"a", "b"},
    "frozenset": lambda: frozenset({"a"}),
    "dict empty": dict,
    "dict text": lambda: {"a": 1},
    "dict int": lambda: {1: 2},
    "dict nested": lambda: {"train": {"a": []}},
    "dict splits": lambda: {"train": "nowhere.conll", "dev": 3},
    "dict None": lambda: {None: None},
    "dict many": lambda: {f"k{i}": i for i in range(2000)},
    "dict deep": lambda: _deep_mapping(3000),
    "dict keys": lambda: {"a": 1}.keys(),
    "generator": lambda: (x for x in "ab"),
    "iterator": lambda: iter(["a"]),
    "endless": lambda: iter(int, 1),
    "range": lambda: range(3),
    "big range": lambda: range(10**12),
    "zip": lambda: zip("a", "b", strict=True),
    "bytes": lambda: b"train",
    "bytearray": lambda: bytearray(b"ab"),
    "memoryview": lambda: memoryview(b"ab"),
    "object": object,
    "hostile": _Hostile,
    "class": lambda: dict,
    "type": lambda: type,
    "function": lambda: lambda *a, **k: None,
    "module": lambda: re,
    "Ellipsis": lambda: ...,
    "NotImplemented": lambda: NotImplemented,
    "exception": lambda: ValueError("x"),
    "slice": lambda: slice(2),
    "pattern": lambda: re.compile("a"),
    "date": lambda: datetime.date(2020, 1, 1),
    "enum": lambda: _Colour.RED,
    "str subclass": lambda: _Text("train"),
    "Path": lambda: Path("nowhere.conll"),
    "Path NUL": lambda: Path("a\0b"),
    "Path long": lambda: Path("x" * 5000),
    "Path folder": lambda: Path("/"),
    "generator state": lambda: np.random.default_rng(0),
    "samples": lambda: [Sample(("Ana", "left"), ("B-PER", "O")), Sample(("Li",), ("B-PER",))],
    "samples plain": lambda: [Sample(("Ana",), None), Sample(("Li", "ran"), None)],
    "sample of text": lambda: [Sample("Ana left", "PO")],  # type: ignore[arg-type]
    "sample of ints": lambda: [Sample((1, 2), (0, 1))],  # type: ignore[arg-type]
    "sample of None": lambda: [Sample(None, None)],  # type: ignore[arg-type]
    "sample odd labels": lambda: [Sample(("a",), ({"x"},)), Sample(("b",), 3)],  # type: ignore[arg-type]
    "sample odd gold": lambda: [Sample(("a",), ("b",), gold=_Hostile(), extra={"x": object()})],
    "sample odd extra": lambda: [Sample(("a",), ("b",), extra=None)],  # type: ignore[arg-type]
    "sample surrogate": lambda: [Sample(("\ud800",), ("O",)), Sample(("a", "b"), ("O", "O"))],
}
"""What a user may hand over by mistake or on purpose, by a name that messages show."""
