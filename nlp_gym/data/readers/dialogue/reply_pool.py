"""Wrong replies drawn from other dialogues, for contexts that come without any."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Mapping

from nlp_gym.data.text.hash_order import rank

Words = tuple[str, ...]

DRAWN = 9
"""Replies of other dialogues put beside the right one where a row has no wrong replies."""

ALIKE = 4
"""How many of these share words with the context, as the adversarial ones of dev and test do."""

COMMON = 100
"""Words in more than one of this many replies say nothing about what a reply is about."""


class ReplyPool:
    """Replies to draw from, in an order that does not depend on that of rows."""

    def __init__(self, words: Mapping[str, Words]) -> None:
        self.texts = sorted(words, key=lambda text: (rank(0, (text,)), text))
        self._holding: dict[str, list[int]] = {}  # word -> places in `texts`
        for place, text in enumerate(self.texts):
            for word in {word.lower() for word in words[text]}:
                self._holding.setdefault(word, []).append(place)

    def alike(self, context: tuple[Words, ...]) -> list[str]:
        """Replies by what they share with a context, most first: sum of log(n / n with the word).

        Sums are of whole thousandths, so that they do not depend on the order of words.
        """
        shared: Counter[int] = Counter()
        n = len(self.texts)
        for word in {word.lower() for turn in context for word in turn if word.isalpha()}:
            places = self._holding.get(word, ())
            if 0 < len(places) <= max(1, n // COMMON):
                weight = round(1000 * math.log(n / len(places)))
                for place in places:
                    shared[place] += weight
        best = heapq.nsmallest(4 * DRAWN, shared, key=lambda place: (-shared[place], place))
        return [self.texts[place] for place in best]

    def draw(self, context: tuple[Words, ...], own: set[str]) -> list[str]:
        """Up to `DRAWN` distinct replies that are not in `own`."""
        drawn = dict.fromkeys([text for text in self.alike(context) if text not in own][:ALIKE])
        for k in range(20 * DRAWN):
            text = self.texts[rank(k, *context) % len(self.texts)]
            if text not in own:
                drawn[text] = None
            if len(drawn) == DRAWN:
                break
        return list(drawn)
