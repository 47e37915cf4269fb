"""Corpus scores of written texts against references, with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nlp_gym.checks import check_int, check_name
from nlp_gym.errors import InvalidArgumentError
from nlp_gym.metrics.base import Formula, Score, bootstrap_interval, check_draws, mean_of_first
from nlp_gym.metrics.text.additive_counts import additive_counts
from nlp_gym.metrics.text.bleu import check_bleu_options, check_references
from nlp_gym.metrics.text.diagnostics import output_diagnostics
from nlp_gym.metrics.text.reference_libraries import (
    References,
    Table,
    bleu_table,
    chrf_table,
    gleu_table,
    rouge_figures,
    rouge_table,
)
from nlp_gym.metrics.text.rouge import TOKENIZERS as ROUGE_TOKENIZERS
from nlp_gym.types import Float64Array

VALUES = {
    "bleu": "bleu",
    "gleu": "gleu",
    "chrf": "chrf",
    "rouge1": "rouge_1",
    "rouge2": "rouge_2",
    "rougeL": "rouge_l",
}
"""Metrics that can be the value of a score, and the name of each in a score and its report."""

_ROUGE = ("rouge1", "rouge2", "rougeL")


def generation_score(
    references: References,
    outputs: Sequence[str],
    sources: Sequence[str],
    *,
    value: str = "bleu",
    tokenize: str = "13a",
    rouge_tokenizer: str = "rouge",
    bootstrap: int = 1000,
    report: bool = True,
) -> Score:
    """Score written texts against references.

    The report has ``bleu``, ``gleu``, ``chrf`` and ``rouge_*`` (each against the reference with the
    highest F1 of that kind), all in [0, 1], and ``length_ratio``, ``repetition``, ``copied`` and
    ``empty`` of `output_diagnostics`.

    Args:
        references: One or more references of each of N texts; their numbers may differ.
        outputs: The N texts.
        sources: The text that each was written from.
        value: A key of `VALUES`.
        tokenize: Name of sacreBLEU's tokenizer, which cuts the words of GLEU and the diagnostics
            too.
        rouge_tokenizer: Name of a tokenizer of `make_tokenizer`.
        bootstrap: Number of resamples of texts for the interval of the value; 0: no interval.
        report: Whether to compute all tables; False: only the value.

    Raises:
        UnknownNameError: No such value or tokenizer.
        InvalidArgumentError: References, outputs and sources differ in number.
    """
    bootstrap = check_draws(bootstrap)
    _check(references, outputs, sources, value, tokenize, rouge_tokenizer)
    if not outputs:
        return Score(VALUES[value], 0.0, None, 0, f"metric:{VALUES[value]}|n:0")
    tables, figures, lines = _tables(
        references, outputs, tuple(VALUES) if report else (value,), tokenize, rouge_tokenizer
    )
    main = tables[VALUES[value]]
    # The libraries give the value; counts are needed for the interval alone.
    counts: npt.NDArray[Any] = np.zeros((len(outputs), 1))
    formula: Formula = mean_of_first
    if bootstrap:
        counts, formula = additive_counts(references, outputs, tokenize, value, figures)
    if report:
        diagnostics = output_diagnostics(references, outputs, sources, tokenize)
        tables.update(diagnostics)
        lines += [f"{name} = {number:.4f}" for name, number in diagnostics.items()]
    return Score.from_counts(
        VALUES[value],
        counts,
        formula,
        signature=main["signature"],
        bootstrap=bootstrap,
        value=main["value"],
        report=tables if report else {},
        text="\n".join([*lines, ""]) if report else "",
    )


def _tables(
    references: References,
    outputs: Sequence[str],
    values: Sequence[str],
    tokenize: str,
    rouge_tokenizer: str,
) -> tuple[Table, dict[str, Float64Array], list[str]]:
    """Table of each value by name, (3, N) figures of each ROUGE, and a line of text per value."""
    tables: Table = {}
    if "bleu" in values:
        tables["bleu"] = bleu_table(references, outputs, tokenize)
    if "gleu" in values:
        tables["gleu"] = gleu_table(references, outputs, tokenize)
    if "chrf" in values:
        tables["chrf"] = chrf_table(references, outputs)
    kinds = [kind for kind in _ROUGE if kind in values]
    figures = rouge_figures(references, outputs, rouge_tokenizer, kinds)
    for kind in kinds:
        tables[VALUES[kind]] = rouge_table(VALUES[kind], figures[kind], rouge_tokenizer)
    lines = [table.pop("line") for table in tables.values()]
    return tables, figures, lines


def _check(
    references: References,
    outputs: Sequence[str],
    sources: Sequence[str],
    value: str,
    tokenize: str,
    rouge_tokenizer: str,
) -> None:
    check_name("value", value, tuple(VALUES))
    check_name("rouge_tokenizer", rouge_tokenizer, tuple(ROUGE_TOKENIZERS))
    check_bleu_options(tokenize, "exp")
    check_references(references, len(outputs))
    if len(sources) != len(outputs):
        raise InvalidArgumentError(
            f"sources must be as many as the {len(outputs)} outputs, not {len(sources)}."
        )


def score_difference(
    references: References,
    outputs: Sequence[str],
    others: Sequence[str],
    *,
    value: str = "bleu",
    tokenize: str = "13a",
    rouge_tokenizer: str = "rouge",
    bootstrap: int = 1000,
) -> tuple[float, float, float]:
    """Difference between the scores of outputs and others, by paired bootstrap (Koehn 2004).

    Args:
        references: One or more references of each of N texts, N above 0.
        outputs: The N texts.
        others: N texts to compare with.
        value: A key of `VALUES`.
        tokenize: Name of sacreBLEU's tokenizer.
        rouge_tokenizer: Name of a tokenizer of `make_tokenizer`.
        bootstrap: Number of resamples; each draws the same texts of both.

    Returns:
        The score of `outputs` minus that of `others`, and the ends of its 95 % interval.

    Raises:
        UnknownNameError: No such value or tokenizer.
        InvalidArgumentError: References, outputs and others differ in number, or there are none.
    """
    check_int("bootstrap", bootstrap, 1, 1_000_000)
    if not len(outputs) == len(others) == len(references) > 0:
        raise InvalidArgumentError(
            f"references, outputs and others must be as many texts, one or more: they are "
            f"{len(references)}, {len(outputs)} and {len(others)}."
        )
    sides = []
    for texts in (outputs, others):
        _check(references, texts, texts, value, tokenize, rouge_tokenizer)
        kinds = [value] if value in _ROUGE else []
        figures = rouge_figures(references, texts, rouge_tokenizer, kinds)
        sides.append(additive_counts(references, texts, tokenize, value, figures))
    (own, formula), (other, _) = sides
    width = own.shape[1]

    def difference(sums: Float64Array) -> Float64Array:
        return formula(sums[:, :width]) - formula(sums[:, width:])

    counts = np.concatenate([own, other], axis=1)
    low, high = bootstrap_interval(counts, difference, draws=bootstrap)
    return float(difference(counts.sum(axis=0, dtype=np.float64)[None])[0]), low, high
