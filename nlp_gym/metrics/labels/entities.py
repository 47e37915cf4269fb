"""Entity F1 over BIO tags: running counts for rewards, seqeval's strict IOB2 report for results.

An entity is a maximal run ``B-X I-X*``; an ``I-X`` that continues nothing is no entity, as in
seqeval's strict mode (Ramshaw and Marcus 1995; Tjong Kim Sang and De Meulder 2003; seqeval).
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nlp_gym.metrics.base import Score, check_same_lengths, f1, on_grid
from nlp_gym.metrics.labels.tables import label_table, table_text
from nlp_gym.types import Float64Array

Tags = Sequence[str]


class EntityF1:
    """Micro-averaged F1 of whole entities (type and both boundaries right).

    Counts of a prefix, K = 4: matched entities that are closed; whether the open one matches;
    predicted entities begun; gold entities begun. Without gold and predicted entities it is 1.

    Args:
        labels: The A labels that can be predicted.
        gold_labels: The labels that gold indices refer to: `labels`, then those that occur in gold
            alone.
    """

    name = "entity_f1"
    n_counts = 4

    def __init__(self, labels: Sequence[str], gold_labels: Sequence[str]) -> None:
        n_labels, n_gold = len(labels), len(gold_labels)
        played, gold = np.meshgrid(np.arange(n_labels), np.arange(n_gold), indexing="ij")
        begins = np.array([name.startswith("B-") for name in gold_labels])
        inside = np.array([name.startswith("I-") for name in gold_labels])
        # (2, A, G, K): change of the counts for [open entity matches so far, tag, gold tag].
        change = np.zeros((2, n_labels, n_gold, self.n_counts), np.int32)
        for open_match in (0, 1):
            closes = open_match & ~inside[played] & ~inside[gold]
            matches = (played == gold) & (begins[played] | (inside[played] & bool(open_match)))
            change[open_match] = np.stack(
                [closes, matches.astype(np.int32) - open_match, begins[played], begins[gold]], -1
            )
        self._change = change.reshape(-1, self.n_counts)
        self._n_gold = n_gold
        self._block = n_labels * n_gold

    def update(
        self,
        counts: npt.NDArray[np.int32],
        played: npt.NDArray[np.int64],
        gold: npt.NDArray[np.int64],
    ) -> None:
        """Add one tag to the (B, K) counts, in place.

        Args:
            counts: (B, K) running counts.
            played: (B,) label indices, legal after what went before.
            gold: (B,) gold label indices.
        """
        code = counts[:, 1] * self._block + (played * self._n_gold + gold)
        counts += self._change.take(code, axis=0)

    def potential(
        self, counts: npt.NDArray[np.int32], lengths: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float64]:
        """(B,) F1 of the words tagged so far; an entity open at the end counts as it stands."""
        closed, opened, predicted, gold = counts.T
        return on_grid(f1(closed + opened, predicted, gold, empty=1.0))

    def score(
        self,
        gold: Sequence[Tags],
        predicted: Sequence[Tags],
        *,
        bootstrap: int = 1000,
        report: bool = True,
    ) -> Score:
        """Corpus score.

        Args:
            gold: N gold tag sequences.
            predicted: N predicted tag sequences of the same lengths.
            bootstrap: Number of resamples of texts for the interval; 0: no interval.
            report: Also build seqeval's report and the table by token tag.
        """
        version = importlib.metadata.version("seqeval")
        tables, text = _report(gold, predicted) if report else ({}, "")
        return Score.from_counts(
            self.name,
            span_counts(gold, predicted),
            _corpus_f1,
            signature=f"metric:entity_f1|average:micro|mode:strict|scheme:IOB2|seqeval:{version}",
            bootstrap=bootstrap,
            report=tables,
            text=text,
        )


def span_counts(gold: Sequence[Tags], predicted: Sequence[Tags]) -> npt.NDArray[np.int64]:
    """(N, 3) matched, predicted and gold entities of each sequence, strict IOB2."""
    check_same_lengths(gold, predicted)
    lengths = np.array([len(tags) for tags in gold], np.int64)
    starts = np.cumsum(lengths + 1) - (lengths + 1)
    index: dict[str, int] = {"O": 0}
    flat = [_flatten(seqs, index) for seqs in (gold, predicted)]
    names = list(index)
    begins = np.array([name.startswith("B-") for name in names])
    inside = np.array([name.startswith("I-") for name in names])
    types: dict[str, int] = {}
    kind = np.array([types.setdefault(name[2:], len(types)) for name in names])
    first = [begins[tags] for tags in flat]
    last = [_entity_ends(tags, inside, kind) for tags in flat]
    match = first[0] & first[1] & (flat[0] == flat[1]) & (last[0] == last[1])
    columns = np.stack([match, first[1], first[0]], -1).astype(np.int64)
    return np.add.reduceat(columns, starts, axis=0) if len(lengths) else np.zeros((0, 3), np.int64)


def _flatten(sequences: Sequence[Tags], index: dict[str, int]) -> npt.NDArray[np.int64]:
    """Ids of all tags one after the other, with an O after each sequence, which ends entities."""
    flat = [index.setdefault(tag, len(index)) for tags in sequences for tag in (*tags, "O")]
    return np.array(flat, np.int64)


def _entity_ends(
    tags: npt.NDArray[np.int64], inside: npt.NDArray[np.bool_], kind: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """For every position, the first one after it at which an entity open there has ended."""
    continues = np.zeros(len(tags) + 1, bool)
    continues[1:-1] = inside[tags[1:]] & (kind[tags[1:]] == kind[tags[:-1]])
    ends = np.where(continues, len(tags), np.arange(len(tags) + 1))
    return np.asarray(np.minimum.accumulate(ends[::-1])[::-1][1:], np.int64)


def _corpus_f1(sums: Float64Array) -> Float64Array:
    """(R,) F1 from (R, 3) matched, predicted and gold entities; 0 where there are neither."""
    return f1(*sums.T)


def _report(gold: Sequence[Tags], predicted: Sequence[Tags]) -> tuple[dict[str, Any], str]:
    """Seqeval's classification report with the table by token tag, as a mapping and as text."""
    from seqeval.metrics import classification_report
    from seqeval.scheme import IOB2

    options = {"mode": "strict", "scheme": IOB2, "zero_division": 0}
    gold, predicted = [list(t) for t in gold], [list(t) for t in predicted]
    if any(tag.startswith("B-") for tags in (*gold, *predicted) for tag in tags):
        entities = classification_report(gold, predicted, output_dict=True, **options)
        text = classification_report(gold, predicted, digits=4, **options)
    else:  # seqeval cannot average over no types
        entities, text = {}, "(no entities in gold or prediction)\n"
    plain = {
        name: {key: float(value) if key != "support" else int(value) for key, value in row.items()}
        for name, row in entities.items()
    }
    tokens = label_table(gold, predicted)
    title = f"entities ({len(gold)} texts; seqeval, strict, IOB2)"
    by_tag = table_text(tokens, title="words, by label")
    return {"entities": plain, "tags": tokens}, f"{title}\n{text}\n{by_tag}"
