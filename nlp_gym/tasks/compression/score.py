"""The corpus score of compressed texts, with the parts of their quality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nlp_gym.metrics.base import Score, mean_of_first
from nlp_gym.metrics.text.rouge import Tokenizer, rouge
from nlp_gym.tasks.compression.quality import PARTS, Quality
from nlp_gym.types import BoolArray, Int64Array, Sample

_COLUMNS = ("quality", *PARTS, "ratio")


def reference_score(
    samples: Sequence[Sample],
    texts: Sequence[str],
    tokenizer: Tokenizer,
    *,
    beside: Mapping[str, Sequence[str]],
    bootstrap: int,
    report: bool,
) -> Score:
    """ROUGE of compressions against references; see `nlp_gym.metrics.text.rouge.rouge`."""
    references = [sample.gold for sample in samples]
    return rouge(references, texts, tokenizer, beside=beside, bootstrap=bootstrap, report=report)


def quality_score(quality: Quality, rows: Int64Array, kept: BoolArray, *, bootstrap: int) -> Score:
    """Mean quality over texts.

    Args:
        quality: What is measured.
        rows: (N,) texts.
        kept: (N, T) words that are kept.
        bootstrap: Resamples of texts for the interval; 0: none.
    """
    values = quality.value(rows, quality.of(rows, kept))
    weights = ",".join(f"{weight:.3g}" for weight in quality.goal.weights)
    signature = f"metric:quality|average:text|weights:{weights}|ratio:{quality.goal.ratio:g}"
    counts = np.stack([values, np.ones(len(values))], axis=1)
    return Score.from_counts(
        "quality", counts, mean_of_first, signature=signature, bootstrap=bootstrap
    )


def quality_table(
    quality: Quality, rows: Int64Array, choices: Mapping[str, BoolArray]
) -> dict[str, dict[str, float]]:
    """Means of the quality, of its parts and of the share of kept words, for choices by name."""
    table = {}
    lengths = quality.lengths.take(rows)
    for name, kept in choices.items():
        sums = quality.of(rows, kept)
        parts = quality.parts(rows, sums).mean(axis=0).tolist()
        figures = [float(quality.value(rows, sums).mean()), *parts]
        figures.append(float((sums.count / lengths).mean()))
        table[name] = dict(zip(_COLUMNS, figures, strict=True))
    return table


def with_quality(score: Score, table: Mapping[str, Mapping[str, float]], own: str) -> Score:
    """A score whose report has the quality of the choice `own`, and of the others beside it."""
    report: dict[str, Any] = {**score.report, **table[own]}
    report["quality_beside"] = {name: dict(row) for name, row in table.items() if name != own}
    width = max(map(len, table)) + 2
    lines = [" " * width + "".join(f"{name:>11}" for name in _COLUMNS)]
    for name, row in table.items():
        lines.append(f"{name:>{width}}" + "".join(f"{row[key]:>11.4f}" for key in _COLUMNS))
    text = score.text + "\n".join(lines) + "\n"
    return replace(score, report=report, text=text)
