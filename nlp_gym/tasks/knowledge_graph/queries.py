"""Queries to a graph: where its facts come from, names as units, ranks of answers, drawing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nlp_gym.data.readers.knowledge_graph.names import entity_words, relation_words
from nlp_gym.errors import DataError, DataNotFoundError, InvalidArgumentError, shown
from nlp_gym.tasks.core.tables import Tables, TextIndex
from nlp_gym.tasks.knowledge_graph.triples import NameNumbers, Triples, triples_of
from nlp_gym.tasks.knowledge_graph.walk import Walks
from nlp_gym.types import SPLITS, Sample

if TYPE_CHECKING:
    from nlp_gym.render import Piece
    from nlp_gym.tasks.core.corpus_task import CorpusTask

Answers = Mapping[tuple[str, str], set[str]]
Labels = Mapping[str, str]

NO_OP = ("stay", "here")
INVERSE = ("inverse", "of")


def graph_facts(task: CorpusTask, graph: Any, given: Mapping[str, Any]) -> tuple[Triples, Labels]:
    """The triples that are the graph, and labels of entities, where there are any.

    They are the training split of `graph`, else of the task's own data; where that has none (it is
    a list of samples, or the file of one other split), of the corpus the task is registered with.

    Args:
        task: Its `load` gives the splits of its own data.
        graph: The argument of that name.
        given: The task's arguments; those that say where a corpus is and how it is read are used.

    Raises:
        DataError: There is no triple in it.
    """
    from nlp_gym.data import load_corpus

    data = given.get("data")
    samples: Sequence[Sample] = ()
    if graph is None and (data is None or isinstance(data, (str, Path, Mapping))):
        samples = _split(task, "train")
    if not samples:
        where = {k: given[k] for k in ("data_dir", "corpus", "column") if k in given}
        try:
            samples = load_corpus(task.dataset, "train", family="kg", data=graph, **where).samples
        except (InvalidArgumentError, DataNotFoundError) as error:
            if graph is None:
                raise
            kind = type(error) if type(error) is DataNotFoundError else InvalidArgumentError
            raise kind(f"graph={shown(graph)} is read as data= is: {error}") from error
    triples = triples_of(samples)
    if not triples:
        raise DataError(
            f"graph={shown(graph)}: there is no triple in it; every row needs its tail."
        )
    labels: dict[str, str] = {}
    for names in {id(s.extra.get("names")): s.extra.get("names") for s in samples}.values():
        labels.update(names or {})
    return triples, labels


def _split(task: CorpusTask, split: str) -> Sequence[Sample]:
    """Samples of a split; none where the user's data has not that split."""
    try:
        return task.load(split).samples
    except DataNotFoundError:
        return ()


def all_answers(task: CorpusTask) -> Answers:
    """Right answers of the task's queries, in whatever split they are."""
    wanted = {query_of(sample) for sample in task.corpus.samples}
    found: dict[tuple[str, str], set[str]] = {query: set() for query in wanted}
    for split in SPLITS:
        for sample in _split(task, split):
            if (query := query_of(sample)) in found:
                found[query].update(sample.gold or ())
    return found


def query_of(sample: Sample) -> tuple[str, str]:
    """Head and relation of a query."""
    return sample.extra["head"], sample.extra["relation"]


def filtered_ranks(
    samples: Sequence[Sample], outputs: Iterable[Sequence[str]], answers: Answers
) -> list[int]:
    """Rank, from 1, of each sample's answer once other right answers are taken out; 0: not there.

    This is the filtered setting of Bordes et al. (2013).
    """
    ranks = []
    for sample, output in zip(samples, outputs, strict=True):
        answer = sample.gold[0]
        others = answers[query_of(sample)] - {answer}
        ranked = [entity for entity in output if entity not in others]
        ranks.append(ranked.index(answer) + 1 if answer in ranked else 0)
    return ranks


def edge_names(numbers: NameNumbers) -> list[tuple[str, ...]]:
    """Words of every kind of edge: R relations, R inverse ones, NO-OP; then other relations."""
    words = [relation_words(name) for name in numbers.relations]
    n = numbers.n_relations
    return [*words[:n], *(INVERSE + name for name in words[:n]), NO_OP, *words[n:]]


def walk_tables(walks: Walks, numbers: NameNumbers, texts: TextIndex, labels: Labels) -> Tables:
    """Tables by entity: names of the query's relation and head, of the entity, and of its edges.

    Args:
        walks: The graph and the queries.
        numbers: Of the names.
        texts: Gets the names as units.
        labels: Labels of entities.
    """
    entity = np.array([texts.add(entity_words(name, labels)) for name in numbers.entities])
    kinds = np.array([texts.add(words) for words in edge_names(numbers)], np.int64)
    n, graph = numbers.n_relations, walks.graph
    edges = np.stack([kinds.take(graph.relation), entity.take(graph.target)], axis=2)
    edges[graph.target < 0] = -1
    asked = np.append(kinds[:n], kinds[2 * n + 1 :]).take(walks.relation)
    return Tables.build(
        len(texts.texts),
        offsets=np.zeros(len(walks.head), np.int64),
        context=entity[:, None],
        row_units=np.stack([asked, entity.take(walks.head)], axis=1),
        candidates=edges,
        by="slot",
    )


def walk_pieces(
    sample: Sample, steps: Sequence[tuple[Sequence[str], str]], labels: Labels, *, ended: bool
) -> list[Piece]:
    """The query, then one line per hop: the relation and the entity reached.

    Args:
        sample: The query.
        steps: (words of the relation, entity) of each hop made.
        labels: Labels of entities.
        ended: Whether the last entity is the answer given.
    """
    from nlp_gym.render import Piece

    def name(entity: str) -> str:
        return " ".join(entity_words(entity, labels))

    head, relation = query_of(sample)
    gold = sample.gold[0] if sample.gold else None
    here = "plain" if steps else "here"
    asked = " ".join(relation_words(relation))
    pieces = [Piece(name(head), here), Piece(asked), Piece("?")]
    for hop, (kind, entity) in enumerate(steps, 1):
        mark, truth = "chosen", ""
        if hop == len(steps) and ended and gold is not None and entity != gold:
            mark, truth = "wrong", name(gold)
        elif hop == len(steps) and not ended:
            mark = "here"
        pieces.append(Piece(name(entity), mark, " ".join(kind), truth, line=True))
    return pieces
