"""Draws wrong replies from other dialogues, for contexts that have none of their own."""

from __future__ import annotations

import heapq
import itertools
import math
from collections import Counter
from collections.abc import Mapping

from nlp_gym.data.text.hash_order import hash_draws, hash_rank

Words = tuple[str, ...]

DRAWN = 9
"""Number of replies of other dialogues for a row without wrong replies."""

ALIKE = 4
"""How many of these share words with the context, as adversarial replies of dev and test do."""

COMMON = 100
"""A word in more than one of so many replies is too common to tell what a reply is about."""

MOST_HOLDERS = 100
"""So is a word in more replies than this: each context looks at all replies with its words."""


class ReplyPool:
    """Replies to draw from; draws do not depend on the order of rows.

    Args:
        words: Words of each reply, by its text.
    """

    def __init__(self, words: Mapping[str, Words]) -> None:
        self.texts = sorted(words, key=lambda text: (hash_rank(0, (text,)), text))
        self._holding: dict[str, list[int]] = {}  # indices in `texts` of the replies with a word
        for i, text in enumerate(self.texts):
            for word in {word.lower() for word in words[text]}:
                self._holding.setdefault(word, []).append(i)

    def alike(self, context: tuple[Words, ...]) -> list[str]:
        """Replies that share words with a context, the most similar first.

        Each shared word adds its inverse document frequency, log(n / n with the word), in whole
        thousandths: so sums do not depend on the order of words.
        """
        shared: Counter[int] = Counter()
        n = len(self.texts)
        most = max(1, min(n // COMMON, MOST_HOLDERS))
        for word in {word.lower() for turn in context for word in turn if word.isalpha()}:
            holders = self._holding.get(word, ())
            if 0 < len(holders) <= most:
                weight = round(1000 * math.log(n / len(holders)))
                for i in holders:
                    shared[i] += weight
        best = heapq.nsmallest(4 * DRAWN, shared, key=lambda i: (-shared[i], i))
        return [self.texts[i] for i in best]

    def draw(self, context: tuple[Words, ...], own: set[str]) -> list[str]:
        """Up to `DRAWN` distinct replies that are not in `own`.

        The first `ALIKE` are the most similar to the context; the others are picked by hashes of
        the context and k = 0, 1, ...
        """
        drawn = dict.fromkeys([text for text in self.alike(context) if text not in own][:ALIKE])
        for number in itertools.islice(hash_draws(*context), 20 * DRAWN):
            text = self.texts[number % len(self.texts)]
            if text not in own:
                drawn[text] = None
            if len(drawn) == DRAWN:
                break
        return list(drawn)
