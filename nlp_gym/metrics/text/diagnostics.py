"""Habits of a writer that a metric may reward by mistake: length, repetition, copying, silence."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from nlp_gym.metrics.text.scoring_tokens import scoring_words


def writing_habits(
    references: Sequence[Sequence[str]],
    outputs: Sequence[str],
    sources: Sequence[str],
    tokenize: str = "13a",
) -> dict[str, float]:
    """What tells whether a score was earned, of the outputs of N texts together.

    - ``length_ratio``: scoring words of the outputs / of the closest references;
    - ``repetition``: share of the pairs of neighbouring scoring words in the outputs that are in
      the same output before;
    - ``copied``: share of the outputs' scoring words that are in their source too, minus that share
      of the references' words. Above 0: more is copied than the references do;
    - ``empty``: share of the outputs without a scoring word.

    Args:
        references: One or more for each of N texts.
        outputs: The N texts.
        sources: What they were written from.
        tokenize: sacreBLEU's tokenizer, which makes the scoring words.
    """
    cut = scoring_words("bleu", tokenize).of
    words = wanted = pairs = repeated = empty = 0
    shared, others, gold_words = 0, 0, 0
    for golds, output, source in zip(references, outputs, sources, strict=True):
        found, known = cut(output), set(cut(source))
        texts = [cut(gold) for gold in golds]
        words += len(found)
        wanted += min((abs(len(text) - len(found)), len(text)) for text in texts)[1]
        neighbours = list(pairwise(found))
        pairs += len(neighbours)
        repeated += len(neighbours) - len(set(neighbours))
        empty += not found
        shared += sum(word in known for word in found)
        others += sum(word in known for text in texts for word in text)
        gold_words += sum(map(len, texts))
    return {
        "length_ratio": words / max(wanted, 1),
        "repetition": repeated / max(pairs, 1),
        "copied": shared / max(words, 1) - others / max(gold_words, 1) if words else 0.0,
        "empty": empty / max(len(outputs), 1),
    }
