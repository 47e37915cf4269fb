"""Words of the names of entities and relations, and files of labels of entities."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import groupby

from nlp_gym.data.readers.shared.base import Parsed
from nlp_gym.data.readers.shared.decoding import Problem
from nlp_gym.data.readers.shared.options import Options

SYNSET = re.compile(r"(.+)\.([nvasr])\.[0-9]+")
_SPEECH = {"n": "noun", "v": "verb", "a": "adjective", "s": "adjective", "r": "adverb"}
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_ENTITY, _RELATION = re.compile(r"[\s_]+"), re.compile(r"[\s_/:.]+")
LABELS = "entity_labels.tsv"


def entity_words(name: str, labels: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Words of an entity's label or, without one, of its name.

    A WordNet synset is cut into lemma and part of speech: ``land_reform.n.01`` gives ``land reform
    noun``.
    """
    text = (labels or {}).get(name, name)
    synset = SYNSET.fullmatch(text)
    if synset:
        return (*_cut(synset[1], _ENTITY), _SPEECH[synset[2]])
    return _cut(text, _ENTITY)


def relation_words(name: str) -> tuple[str, ...]:
    """Words of a relation: paths, snake case and camel case are cut, repeated words dropped.

    ``/people/person/nationality`` gives ``people person nationality``.
    """
    words = _cut(_CAMEL.sub(" ", name), _RELATION)
    return tuple(word for word, _ in groupby(words))


def _cut(text: str, at: re.Pattern[str]) -> tuple[str, ...]:
    return tuple(filter(None, at.split(text))) or (text,)


def label_files(filename: str, options: Options) -> tuple[str, ...]:
    """Files that may have the labels of a file of triples: ``STEM.labels.tsv``, then `LABELS`."""
    return f"{filename.rsplit('.', 1)[0]}.labels.tsv", LABELS


def read_labels(filename: str, options: Options, parsed: Parsed) -> dict[str, str] | None:
    """Labels of entities from the file beside the triples, ``id<TAB>label`` per line.

    Further columns are ignored. A bad row becomes a problem of `parsed`, with its line in the
    message; where bad rows are skipped, the entity keeps its own name, with a warning.

    Returns:
        The labels; None if there is no such file.
    """
    name = next((n for n in label_files(filename, options) if n in options.companions), None)
    if name is None:
        return None
    labels: dict[str, str] = {}
    for number, line in enumerate(options.companions[name], 1):
        cells = line.split("\t")
        if not line.strip():
            continue
        if len(cells) < 2 or not cells[0].strip() or not cells[1].strip():
            message = f"{name}, line {number}: id, a tab and a label are needed"
            (parsed.warnings if options.skips else parsed.problems).append(Problem(None, message))
        else:
            labels[cells[0].strip()] = cells[1].strip()
    return labels
