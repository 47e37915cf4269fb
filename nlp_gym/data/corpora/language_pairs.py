"""Pairs of languages: a parallel corpus as the one direction of it that was asked for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from nlp_gym.data import catalog
from nlp_gym.data.catalog.rows import Dataset, RemoteFile
from nlp_gym.errors import DataNotFoundError, InvalidArgumentError, UnknownNameError
from nlp_gym.types import SPLITS

_PAIR = re.compile(r"[A-Za-z]{2,8}(?:_[A-Za-z]{2,8})?-[A-Za-z]{2,8}(?:_[A-Za-z]{2,8})?")


def checked_pair(pair: object, family: str) -> str | None:
    """Check a pair of languages given beside a user's own data.

    Raises:
        InvalidArgumentError: It is no pair, or the family has none.
    """
    if pair is None:
        return None
    if not isinstance(pair, str) or not _PAIR.fullmatch(pair):
        raise InvalidArgumentError(
            f"pair={pair!r} is not allowed: give the languages of source and target, as in 'en-de'."
        )
    if family != "generation":
        raise InvalidArgumentError(
            f"pair={pair!r} is for the family 'generation', not {family!r}: leave it out."
        )
    return pair


def narrowed(dataset: Dataset, pair: object) -> tuple[Dataset, str | None]:
    """The row of one direction, and the pair: the first of the row's where None was given.

    Where each language has files of its own, the source's are left as `files` and the target's are
    beside them (`extra_files`).

    Raises:
        UnknownNameError: The corpus has other pairs.
        InvalidArgumentError: The corpus is not parallel.
    """
    if not dataset.pairs:
        if pair is None:
            return dataset, None
        names = ", ".join(row.name for row in catalog.DATASETS.values() if row.pairs)
        raise InvalidArgumentError(
            f"pair={pair!r}: the corpus {dataset.name!r} is not parallel: leave it out. Those that "
            f"are: {names}."
        )
    if pair is None:
        pair = dataset.pairs[0]
    if not isinstance(pair, str) or pair not in dataset.pairs:
        raise UnknownNameError("pair", pair, dataset.pairs, f"(corpus {dataset.name!r})")
    source, target = pair.split("-")
    files = {split: dataset.split_files(split) for split in SPLITS}
    if not any(_of(found, source) for found in files.values()):
        return dataset, pair
    targets = [file for found in files.values() for file in _of(found, target)]
    sources = {split: _of(found, source) for split, found in files.items() if found}
    return replace(dataset, files=sources, extra_files=(*dataset.extra_files, *targets)), pair


def _of(files: Iterable[RemoteFile], language: str) -> tuple[RemoteFile, ...]:
    return tuple(file for file in files if file.filename.endswith(f".{language}"))


def check_sample(dataset: Dataset, pair: str) -> None:
    """Raise if the bundled sample lacks a language of the pair.

    Raises:
        DataNotFoundError: It does.
    """
    if not dataset.sample_mirrors:
        return
    there = {path.suffix[1:] for path in dataset.sample.iterdir()}
    if not set(pair.split("-")) <= there:
        has = [other for other in dataset.pairs if set(other.split("-")) <= there]
        raise DataNotFoundError(
            f"The bundled sample of {dataset.name!r} has no pair {pair!r} (it has: "
            f"{', '.join(has) or 'none'}). Get the corpus with: nlp-gym data download "
            f"{dataset.name}"
        )
