"""`load_corpus`: from a name or a user's data to a `Corpus`."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nlp_gym.checks import check_labels, check_name, check_path
from nlp_gym.data import catalog
from nlp_gym.data.catalog import Dataset, find_dataset
from nlp_gym.data.corpora.file_cache import SourceFile, format_of, read_cached
from nlp_gym.data.corpora.language_pairs import check_pair, check_sample_has_pair, select_pair
from nlp_gym.data.corpora.named import locate, read_split
from nlp_gym.data.corpora.user import UserData, open_user_data
from nlp_gym.data.readers import family_readers
from nlp_gym.data.readers.shared.base import FileSamples
from nlp_gym.data.readers.shared.options import READ_OPTIONS, Options, make_options
from nlp_gym.data.tags.schemes import inventory, split_tag
from nlp_gym.errors import InvalidArgumentError, UnclearFormatError, UnknownNameError, shown
from nlp_gym.types import SPLITS, Corpus, Sample

Data = str | Path | Mapping[str, "str | Path | Sequence[Sample]"] | Sequence[Sample]
CORPORA = ("auto", "full", "sample")
LABEL_FAMILIES = ("tagging", "classification", "multilabel", "relation", "parsing")
"""Families whose gold consists of labels of one inventory."""


def load_corpus(
    name: str | None,
    split: str = "train",
    *,
    family: str | None = None,
    data: Data | None = None,
    data_dir: str | Path | None = None,
    corpus: str = "auto",
    labels: Sequence[str] | None = None,
    format: str | None = None,
    column: str | int | None = None,
    scheme: str = "auto",
    pair: str | None = None,
    **options: Any,
) -> Corpus:
    """Load one split of a named corpus or of a user's data. Never touches the network.

    A named corpus is looked for in `data_dir`, in the folder named by the environment variable
    ``NLP_GYM_DATA`` (each as ``FOLDER/NAME/FILE``), in the user's cache, and last among the samples
    that ship with the package. A file whose sha256 is not the catalogue's is never used. A split
    that the corpus lacks is cut from its training split, see `nlp_gym.data.catalog.Dataset`.

    If `data` is given, it is loaded whatever `name` says. Its label inventory is that of the
    training split, for every split, unless `labels` gives it; gold of dev and test may hold other
    labels. Families without labels have no inventory.

    Args:
        name: Name of a corpus in `DATASETS`; may be None if `data` is given.
        split: ``"train"``, ``"dev"`` or ``"test"``.
        family: Task family, a name in `FAMILIES`, which decides on the formats of `data`. None:
            that of the corpus `name`, or ``"tagging"``.
        data: A file (split 80/10/10 by a hash of each text: order and repetitions do not matter,
            equal texts stay together), a folder with train, dev and test files (or with documents
            of brat, which are split like one file), a mapping from split to file, or a sequence of
            `Sample`, which is the split itself.
        data_dir: Folder that holds the folders of named corpora.
        corpus: ``"auto"``, ``"full"`` (never the bundled sample) or ``"sample"`` (always, and
            without a warning).
        labels: Label inventory in order. Gold may hold others; each task says how it treats these.
        format: Format of `data`, a name in ``READERS[family]``; None: the file's ending and content
            decide.
        column: Label column, as in `readers.read`; its other name there is `label_column`.
        scheme: Tag scheme, as in `readers.read`; ``"none"``: labels are not tags, and the inventory
            is sorted as plain labels.
        pair: Languages of source and target of a parallel corpus, such as ``"en-de"``; None: the
            first of the corpus's `pairs`. For `data` it names the files of format ``"parallel"``,
            or the columns or keys of a table; otherwise it is ignored.
        **options: How the files of `data` are written, as in `readers.read`: `text_column`,
            `word_column`, `label_separator`, `comments`, `encoding`, `bad_rows`.

    Returns:
        The split, with at least one sample.

    Raises:
        DataNotFoundError: The corpus or file does not exist where it was looked for.
        ChecksumError: A file of a named corpus was changed or is damaged.
        DataFormatError: A bad row, with file and line.
        DataError: Too few texts to split.
        InvalidArgumentError: An argument is outside what is allowed.
    """
    check_name("split", split, SPLITS)
    check_name("corpus", corpus, CORPORA)
    how = make_options(column=column, scheme=scheme, **options)
    if data_dir is not None:
        check_path("data_dir", data_dir, "folder")
    if family is not None:
        family_readers(family)  # a wrong name is an error
    if data is None:
        _refuse_options(how)
        dataset, pair = select_pair(_find_named(name, family), pair)
        how = replace(how, pair=pair)
        given = None if labels is None else _checked_labels(labels, dataset.family, how.scheme)
        return _named_corpus(dataset, split, given, how, data_dir, corpus)
    if family is None:
        row = catalog.DATASETS.get(name) if isinstance(name, str) else None
        family = "tagging" if row is None else row.family
    if format is not None and not (isinstance(format, str) and format in family_readers(family)):
        raise UnknownNameError("format", format, family_readers(family), f"(family {family!r})")
    how = replace(how, pair=check_pair(pair, family))
    given = None if labels is None else _checked_labels(labels, family, how.scheme)
    return _user_corpus(data, split, family, given, format, how)


def _refuse_options(options: Options) -> None:
    """A named corpus is read as its row of the catalogue says."""
    usual = Options()
    for name in READ_OPTIONS:
        if getattr(options, name) != getattr(usual, name):
            raise InvalidArgumentError(
                f"{name}={shown(getattr(options, name))} says how a file of yours is written, and "
                "there is none: give data=FILE, or leave it out."
            )


def _find_named(name: str | None, family: str | None) -> Dataset:
    if name is None:
        raise InvalidArgumentError("Nothing to load: give the name of a corpus, or data=FILE.")
    dataset = find_dataset(name)
    if family is not None and family != dataset.family:
        fitting = ", ".join(row.name for row in catalog.DATASETS.values() if row.family == family)
        raise InvalidArgumentError(
            f"The corpus {shown(name)} is of the family {dataset.family!r}, not {family!r}. Those "
            f"of it: {fitting or 'none'}. Or give data=FILE."
        )
    return dataset


def _named_corpus(
    dataset: Dataset,
    split: str,
    given: tuple[str, ...] | None,
    options: Options,
    data_dir: str | Path | None,
    corpus: str,
) -> Corpus:
    location = locate(dataset, split, data_dir, corpus)
    if location.bundled and options.pair is not None:
        check_sample_has_pair(dataset, options.pair)
    samples, path = read_split(location, split, options, data_dir, corpus)
    if given is None:
        given = dataset.labels
        # The row declares no labels, or those of another annotation layer than `column`.
        if dataset.family in LABEL_FAMILIES and (options.column is not None or not given):
            training = samples
            if split != "train":
                where = "sample" if location.bundled else corpus
                train = locate(dataset, "train", data_dir, where)
                training, _ = read_split(train, "train", options, data_dir, where)
            given = _inventory_of(training, dataset.family, options.scheme)
    if location.bundled and corpus == "auto" and not dataset.sample_only:
        _warn_bundled(dataset)
    return Corpus(dataset.name, split, samples, given, path, location.bundled)


def _user_corpus(
    data: Data,
    split: str,
    family: str,
    given: tuple[str, ...] | None,
    format: str | None,
    options: Options,
) -> Corpus:
    options = replace(options, names=given)

    def read(path: Path, part: str | None, like: Path | None) -> FileSamples:
        how = replace(options, split=part)
        try:
            return read_cached(SourceFile(path, family, format), how)
        except UnclearFormatError:
            # A short dev or test file may show less of its format than the training file does.
            if like is None or like == path:
                raise
            return read_cached(SourceFile(path, family, format_of(like, family, how)), how)

    user: UserData = open_user_data(data, read, family, _source_ending(options))
    part = user.split(split)
    if given is None:
        given = ()
        if family in LABEL_FAMILIES:
            given = _inventory_of(user.inventory_samples(split), family, options.scheme)
    return Corpus(user.name, split, part.samples, given, part.source, n_skipped=part.n_skipped)


def _source_ending(options: Options) -> str | None:
    """File name ending of the source language of a parallel corpus."""
    return None if options.pair is None else f".{options.pair.partition('-')[0]}"


def _inventory_of(samples: Iterable[Sample], family: str, scheme: str) -> tuple[str, ...]:
    labels = {label for sample in samples for label in sample.labels or ()}
    return inventory(labels, scheme) if family == "tagging" else tuple(sorted(labels))


def _checked_labels(labels: object, family: str, scheme: str) -> tuple[str, ...]:
    given = check_labels("labels", labels)
    if scheme == "none" or family != "tagging":
        return given
    names = set(given)
    for label in given:
        parts = split_tag(label)
        if parts and parts[0] == "I" and f"B-{parts[1]}" not in names:
            lacking = shown(f"B-{parts[1]}")
            raise InvalidArgumentError(f"labels= holds {shown(label)} but not {lacking}: add it.")
    return given


def _warn_bundled(dataset: Dataset) -> None:
    """Say that the sample is used, in the same words for every split: it is one warning."""
    warnings.warn(
        f"{dataset.name}: the full corpus is not on this machine, so the bundled sample, written "
        "for this project, is used; its texts are too few for results to report. "
        f"Get the corpus with: nlp-gym data download {dataset.name} "
        "(corpus='sample' asks for the sample without this warning).",
        UserWarning,
        stacklevel=4,
    )
