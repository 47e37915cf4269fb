"""Attachment scores of dependency trees, as the evaluation of the CoNLL 2018 shared task has them.

Zeman et al. (2018), "CoNLL 2018 Shared Task: Multilingual Parsing from Raw Text to Universal
Dependencies". A word counts for UAS where its head is the gold one, and for LAS where the
universal part of its relation is too (``nsubj`` of ``nsubj:pass``). Punctuation counts as every
word does. The scores there are F1 over aligned words; with the words of the gold, all are aligned
and precision, recall and F1 are the share of words. CLAS is an F1 over words with a content
relation, which are not the same in gold and prediction. The evaluation names these relations; here
they are all but those of function words and punctuation, which is the same for the relations of
Universal Dependencies, and gives other inventories a score too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nlp_gym.errors import InvalidArgumentError
from nlp_gym.metrics.base import Score, mean_of_first
from nlp_gym.metrics.labels.tables import Row, Table, table_row, table_text

Tree = tuple[Sequence[int], Sequence[str]]
"""Number of each word's head (from 1, 0 for the root), and each word's relation."""

FUNCTION_RELATIONS = frozenset(("aux", "case", "cc", "clf", "cop", "det", "mark", "punct"))
"""Relations that are not of content: those of function words, and of punctuation."""


def universal(relation: str) -> str:
    """The universal part of a relation, without its subtype."""
    return relation.partition(":")[0]


class Attachment:
    """UAS, LAS and CLAS.

    Counts of a sentence, K = 3: words with the right head and relation, words with the right head,
    words.
    """

    name = "las"
    n_counts = 3

    def score(
        self, gold: Sequence[Tree], predicted: Sequence[Tree], *, bootstrap: int, report: bool
    ) -> Score:
        """Corpus score, the LAS.

        Args:
            gold: Trees of N sentences.
            predicted: Trees of the same words.
            bootstrap: Resamples of sentences for the interval; 0: no interval.
            report: Also build the tables.

        Raises:
            InvalidArgumentError: A prediction has other words than the gold.
        """
        counts = np.zeros((len(gold), 3), np.int64)
        by_relation: dict[str, list[int]] = {}
        for number, ((heads, names), (own, given)) in enumerate(zip(gold, predicted, strict=True)):
            if not len(heads) == len(names) == len(own) == len(given):
                raise InvalidArgumentError(
                    f"prediction {number} has {len(own)} heads and {len(given)} relations, and "
                    f"the sentence has {len(heads)} words."
                )
            for head, name, mine, said in zip(heads, names, own, given, strict=True):
                wanted, found = universal(name), universal(said)
                attached = head == mine
                right = attached and wanted == found
                counts[number] += (right, attached, 1)
                if report:
                    by_relation.setdefault(wanted, [0, 0, 0])[2] += 1
                    by_relation.setdefault(found, [0, 0, 0])[1] += 1
                    by_relation[wanted][0] += right
        tables: dict[str, Any] = {}
        text = ""
        if report:
            table = {k: table_row(*v) for k, v in sorted(by_relation.items())}
            las, uas, words = counts.sum(axis=0).tolist()
            tables = {
                "scores": {
                    "uas": uas / max(words, 1),
                    "las": las / max(words, 1),
                    "clas": _content(by_relation)["f1-score"],
                },
                "relations": table,
            }
            text = _text(tables["scores"], table)
        return Score.from_counts(
            self.name,
            counts,
            mean_of_first,
            signature=(
                "metric:las|average:micro|unit:word|relations:universal|punctuation:counted|"
                "rules:conll2018"
            ),
            bootstrap=bootstrap,
            report=tables,
            text=text,
        )


def _content(counts: dict[str, list[int]]) -> Row:
    """Precision, recall and F1 of the words with a content relation."""
    kept = [row for name, row in counts.items() if name not in FUNCTION_RELATIONS]
    right, found, wanted = map(sum, zip((0, 0, 0), *kept, strict=True))
    return table_row(right, found, wanted)


def _text(scores: dict[str, float], table: Table) -> str:
    said = "  ".join(f"{name.upper()} {value:.4f}" for name, value in scores.items())
    return f"{said}\n{table_text(table, title='words, by relation')}"
