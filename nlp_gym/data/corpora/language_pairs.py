"""Pairs of languages: selects one direction of a parallel corpus."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from nlp_gym.data import catalog
from nlp_gym.data.catalog.dataset import Dataset, RemoteFile
from nlp_gym.errors import DataNotFoundError, InvalidArgumentError, UnknownNameError, shown
from nlp_gym.types import SPLITS

_PAIR = re.compile(r"[A-Za-z]{2,8}(?:_[A-Za-z]{2,8})?-[A-Za-z]{2,8}(?:_[A-Za-z]{2,8})?")


def check_pair(pair: object, family: str) -> str | None:
    """Check a pair of languages given beside a user's own data.

    Raises:
        InvalidArgumentError: It is no pair, or the family has no pairs.
    """
    if pair is None:
        return None
    if not isinstance(pair, str) or not _PAIR.fullmatch(pair):
        raise InvalidArgumentError(
            f"pair={shown(pair)} is not allowed: give the languages of source and target, as in "
            "'en-de'."
        )
    if family != "generation":
        raise InvalidArgumentError(
            f"pair={shown(pair)} is for the family 'generation', not {family!r}: leave it out."
        )
    return pair


def select_pair(dataset: Dataset, pair: object) -> tuple[Dataset, str | None]:
    """Select one direction of a parallel corpus.

    If each language has files of its own, the row that is returned has the source's as `files` and
    the target's among `extra_files`.

    Args:
        dataset: Row of the corpus.
        pair: Languages of source and target (``"en-de"``); None: the corpus's first pair.

    Returns:
        The row of the direction, and its pair; None for a corpus that is not parallel.

    Raises:
        UnknownNameError: The corpus has other pairs.
        InvalidArgumentError: The corpus is not parallel.
    """
    if not dataset.pairs:
        if pair is None:
            return dataset, None
        names = ", ".join(row.name for row in catalog.DATASETS.values() if row.pairs)
        raise InvalidArgumentError(
            f"pair={shown(pair)}: the corpus {dataset.name!r} is not parallel: leave it out. Those "
            f"that are: {names}."
        )
    if pair is None:
        pair = dataset.pairs[0]
    if not isinstance(pair, str) or pair not in dataset.pairs:
        raise UnknownNameError("pair", pair, dataset.pairs, f"(corpus {dataset.name!r})")
    source, target = pair.split("-")
    files = {split: dataset.split_files(split) for split in SPLITS}
    if not any(_in_language(found, source) for found in files.values()):
        return dataset, pair
    targets = [file for found in files.values() for file in _in_language(found, target)]
    sources = {split: _in_language(found, source) for split, found in files.items() if found}
    return replace(dataset, files=sources, extra_files=(*dataset.extra_files, *targets)), pair


def _in_language(files: Iterable[RemoteFile], language: str) -> tuple[RemoteFile, ...]:
    return tuple(file for file in files if file.filename.endswith(f".{language}"))


def check_sample_has_pair(dataset: Dataset, pair: str) -> None:
    """Check that the bundled sample has both languages of a pair.

    Raises:
        DataNotFoundError: It lacks one.
    """
    if not dataset.sample_mirrors:
        return
    there = {path.suffix[1:] for path in dataset.sample.iterdir()}
    if not set(pair.split("-")) <= there:
        has = [other for other in dataset.pairs if set(other.split("-")) <= there]
        raise DataNotFoundError(
            f"The bundled sample of {dataset.name!r} has no pair {shown(pair)} (it has: "
            f"{', '.join(has) or 'none'}). Get the corpus with: nlp-gym data download "
            f"{dataset.name}"
        )
