"""Corpus scores as the reference libraries compute them: sacreBLEU, NLTK and rouge-score.

A table has the ``value`` in [0, 1], a ``signature``, and a ``line`` of text, which the caller takes
out of it.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from typing import Any

import numpy as np

from nlp_gym.metrics.text.rouge import ROUGE_PARTS, RougeScorer, make_tokenizer
from nlp_gym.metrics.text.scoring_tokens import scoring_tokenizer
from nlp_gym.types import Float64Array

References = Sequence[Sequence[str]]
Table = dict[str, Any]


def _streams(references: References) -> list[list[str | None]]:
    """References as sacreBLEU takes them: a list of every text's first, one of the second, ..."""
    width = max(map(len, references))
    return [[row[i] if i < len(row) else None for row in references] for i in range(width)]


def bleu_table(references: References, outputs: Sequence[str], tokenize: str) -> Table:
    """Corpus BLEU (Papineni et al. 2002)."""
    from sacrebleu.metrics.bleu import BLEU

    metric: Any = BLEU(tokenize=tokenize, force=True)
    found = metric.corpus_score(outputs, _streams(references))
    signature = str(metric.get_signature())
    return {
        "value": min(found.score / 100, 1.0),  # sacreBLEU's best is 100.00000000000004
        "precisions": [share / 100 for share in found.precisions],
        "bp": found.bp,
        "words": found.sys_len,
        "reference_words": found.ref_len,
        "signature": f"metric:bleu|{signature}",
        "line": str(found.format(signature=signature)),
    }


def gleu_table(references: References, outputs: Sequence[str], tokenize: str) -> Table:
    """Corpus GLEU (Wu et al. 2016) by NLTK, of the words that sacreBLEU's tokenizer cuts."""
    from nltk.translate.gleu_score import corpus_gleu

    cut = scoring_tokenizer("bleu", tokenize).tokenize
    golds = [[cut(text) for text in texts] for texts in references]
    value = float(corpus_gleu(golds, [cut(text) for text in outputs]))
    versions = "|".join(f"{p}:{importlib.metadata.version(p)}" for p in ("sacrebleu", "nltk"))
    counts = {len(texts) for texts in golds}
    number = counts.pop() if len(counts) == 1 else "var"
    signature = f"metric:gleu|nrefs:{number}|case:mixed|orders:1-4|tok:{tokenize}|{versions}"
    return {"value": value, "signature": signature, "line": f"GLEU = {100 * value:.2f}"}


def chrf_table(references: References, outputs: Sequence[str]) -> Table:
    """Corpus chrF2 (Popović 2015)."""
    from sacrebleu.metrics.chrf import CHRF

    metric: Any = CHRF()
    found = metric.corpus_score(outputs, _streams(references))
    signature = str(metric.get_signature())
    line = str(found.format(signature=signature))
    return {"value": found.score / 100, "signature": f"metric:chrf|{signature}", "line": line}


def rouge_figures(
    references: References, outputs: Sequence[str], tokenizer: str, kinds: Sequence[str]
) -> dict[str, Float64Array]:
    """(3, N) precision, recall and F1 against the best reference, for each of `kinds`."""
    if not kinds:
        return {}
    figures = np.zeros((len(kinds), len(ROUGE_PARTS), len(outputs)))
    scorer = RougeScorer(kinds, make_tokenizer(tokenizer))
    for i, (golds, output) in enumerate(zip(references, outputs, strict=True)):
        best = scorer.best(golds, output)
        figures[:, :, i] = [[getattr(best[kind], part) for part in ROUGE_PARTS] for kind in kinds]
    return dict(zip(kinds, figures, strict=True))


def rouge_table(name: str, figures: Float64Array, tokenizer: str) -> Table:
    """Mean ROUGE (Lin 2004) over texts, from its (3, N) `rouge_figures`."""
    means = figures.mean(axis=1).tolist()
    signature = f"metric:{name}|average:document|references:best|tokens:{tokenizer}"
    return {
        "value": means[-1],
        **dict(zip(ROUGE_PARTS.values(), means, strict=True)),
        "signature": f"{signature}|rouge-score:{importlib.metadata.version('rouge-score')}",
        "line": f"{name} F1 = {100 * means[-1]:.2f}",
    }
