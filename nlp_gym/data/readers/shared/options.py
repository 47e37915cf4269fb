"""`Options`: how a file is read, and the checks of the arguments that say so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nlp_gym.checks import check_bool, check_name
from nlp_gym.data.readers.shared.encodings import check_encoding
from nlp_gym.data.tags.schemes import canonical_scheme
from nlp_gym.errors import InvalidArgumentError, UnknownNameError, shown
from nlp_gym.types import SPLITS

BAD_ROWS = ("error", "skip")
Column = str | int | None
"""Column of a table by its name or number, or a key of objects; None: the format's usual one."""


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
        text_column: Column or key of the text; None: the format's usual one.
        word_column: Column or key of the words; None: the format's usual one.
        label_separator: What separates several labels in one cell; None: one of the usual marks,
            the same in the whole file.
        comments: Lines that begin with it are skipped; None: those the format skips.
        encoding: Encoding of the bytes; None: UTF-8.
        bad_rows: ``"error"``, or ``"skip"`` to leave out the samples that bad rows belong to.
        names: Names of labels that the file gives as numbers, where nothing else says them.
    """

    column: Column = None
    scheme: str = "auto"
    gold: bool = True
    split: str | None = None
    companions: Mapping[str, list[str]] = field(default_factory=dict, compare=False)
    pair: str | None = None
    text_column: Column = None
    word_column: Column = None
    label_separator: str | None = None
    comments: str | None = None
    encoding: str | None = None
    bad_rows: str = "error"
    names: tuple[str, ...] | None = None

    def label_names(self, usual: tuple[str, ...]) -> tuple[str, ...]:
        """Names of the label column or key, the best first: `column`, else the `usual` ones."""
        return usual if self.column is None else (str(self.column),)

    def text_names(self, usual: tuple[str, ...]) -> tuple[str, ...]:
        """Names of the text column or key, the best first: `text_column`, else the `usual` ones."""
        return usual if self.text_column is None else (str(self.text_column),)

    def word_names(self, usual: tuple[str, ...]) -> tuple[str, ...]:
        """Names of the word column or key, the best first: `word_column`, else the `usual` ones."""
        return usual if self.word_column is None else (str(self.word_column),)

    @property
    def skips(self) -> bool:
        """Whether samples with bad rows are left out."""
        return self.bad_rows == "skip"


_LAST_COLUMN = 100_000
"""Columns that a number can name."""
READ_OPTIONS = ("text_column", "word_column", "label_separator", "comments", "encoding", "bad_rows")
"""Names of the options of `Options` that say how a user's own file is written."""
COLUMN_OPTIONS = ("text_column", "word_column", "label_separator", "comments")
"""Options that only some formats have a use for."""


def make_options(
    *,
    column: object = None,
    label_column: object = None,
    scheme: str = "auto",
    gold: bool = True,
    split: str | None = None,
    pair: str | None = None,
    **others: object,
) -> Options:
    """Check the arguments that say how a file is read, and make `Options` of them.

    Args:
        column: Column of the labels.
        label_column: The same under the name that goes with `text_column`; one of both is given.
        scheme: Tag scheme.
        gold: Whether to read the annotation.
        split: Split to read.
        pair: Languages, already checked.
        **others: Those of `READ_OPTIONS`.

    Raises:
        InvalidArgumentError: An argument is outside what is allowed.
    """
    column = _checked_column("column", column)
    label_column = _checked_column("label_column", label_column)
    if column is not None and label_column is not None and column != label_column:
        raise InvalidArgumentError(
            f"column={shown(column)} and label_column={shown(label_column)} name the same thing: "
            "give one."
        )
    names = ("text_column", "word_column")
    checked = {name: _checked_column(name, others.pop(name, None)) for name in names}
    texts = {name: others.pop(name, None) for name in ("label_separator", "comments")}
    for name, value in texts.items():
        if value is not None and (not isinstance(value, str) or not value):
            raise InvalidArgumentError(
                f"{name}={shown(value)} must be a string that is not empty, or None."
            )
    encoding, bad_rows = others.pop("encoding", None), others.pop("bad_rows", "error")
    if not isinstance(bad_rows, str) or bad_rows not in BAD_ROWS:
        raise UnknownNameError("bad_rows", bad_rows, BAD_ROWS)
    if others:
        raise UnknownNameError("option", next(iter(others)), (*READ_OPTIONS, "column"))
    check_bool("gold", gold)
    if split is not None:
        check_name("split", split, SPLITS)
    if pair is not None and not isinstance(pair, str):
        raise InvalidArgumentError(
            f"pair={shown(pair)} must be the languages of source and target, as in 'en-de'."
        )
    separator, comments = texts["label_separator"], texts["comments"]
    assert separator is None or isinstance(separator, str)
    assert comments is None or isinstance(comments, str)
    return Options(
        column=column if label_column is None else label_column,
        scheme=canonical_scheme(scheme),
        gold=gold,
        split=split,
        pair=pair,
        text_column=checked["text_column"],
        word_column=checked["word_column"],
        label_separator=separator,
        comments=comments,
        encoding=None if encoding is None else check_encoding(encoding),
        bad_rows=bad_rows,
    )


def _checked_column(name: str, value: object) -> Column:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _LAST_COLUMN:
        return value
    raise InvalidArgumentError(
        f"{name}={shown(value)} is not allowed: give 'upos' or 'xpos' (CoNLL-U), a number (CoNLL), "
        "or the name of a column or key (CSV, JSONL)."
    )
