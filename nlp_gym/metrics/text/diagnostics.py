"""Diagnostics of written texts that a metric may reward by mistake: length, repetition, copying."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from nlp_gym.metrics.text.scoring_tokens import scoring_tokenizer


def output_diagnostics(
    references: Sequence[Sequence[str]],
    outputs: Sequence[str],
    sources: Sequence[str],
    tokenize: str = "13a",
) -> dict[str, float]:
    """Length, repetition, copying and emptiness of N texts, each as one number over all of them.

    - ``length_ratio``: number of words of the outputs over that of the closest references;
    - ``repetition``: share of the word bigrams of the outputs that occur earlier in the same
      output;
    - ``copied``: share of the outputs' words that occur in their source, minus that share of the
      references' words; above 0, the outputs copy more than the references do;
    - ``empty``: share of the outputs without a word.

    Args:
        references: One or more references of each of N texts.
        outputs: The N texts.
        sources: The text that each was written from.
        tokenize: Name of sacreBLEU's tokenizer, which cuts the words.
    """
    cut = scoring_tokenizer("bleu", tokenize).tokenize
    words = wanted = bigrams = repeated = empty = 0
    copied, copied_by_golds, gold_words = 0, 0, 0
    for golds, output, source in zip(references, outputs, sources, strict=True):
        written, in_source = cut(output), set(cut(source))
        texts = [cut(gold) for gold in golds]
        words += len(written)
        wanted += min((abs(len(text) - len(written)), len(text)) for text in texts)[1]
        pairs = list(pairwise(written))
        bigrams += len(pairs)
        repeated += len(pairs) - len(set(pairs))
        empty += not written
        copied += sum(word in in_source for word in written)
        copied_by_golds += sum(word in in_source for text in texts for word in text)
        gold_words += sum(map(len, texts))
    return {
        "length_ratio": words / max(wanted, 1),
        "repetition": repeated / max(bigrams, 1),
        "copied": copied / max(words, 1) - copied_by_golds / max(gold_words, 1) if words else 0.0,
        "empty": empty / max(len(outputs), 1),
    }
