"""Tokenizers of text metrics that can also cut a part of a text.

A text that is being written is tokenized again after every token; so it matters up to where the
text's end can no longer change what its beginning is cut into.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache

from nlp_gym.metrics.text.rouge import make_tokenizer

_NEIGHBOURS = ("x", "5", ".", "-")
_MARKUP = frozenset("&<>;")  # parts of what "13a" replaces: &amp; and <skipped>


@cache
def scoring_tokenizer(kind: str, name: str) -> ScoringTokenizer:
    """The `ScoringTokenizer` of a kind and name; one object for all callers."""
    return ScoringTokenizer(kind, name)


class ScoringTokenizer:
    """A metric's tokenizer that can also cut a part of a text.

    The tokenizers are those of sacreBLEU and of `make_tokenizer`. Added is where two parts of a
    text can be cut independently: at white space, and beside characters that are always words by
    themselves.

    Args:
        kind: ``"bleu"`` or ``"rouge"``.
        name: Name of the tokenizer.

    Attributes:
        edges: Whether words depend on the text beginning or ending beside them (sacreBLEU's intl
            and zh leave a full stop on the last word if a digit precedes it).
        joins_hyphens: Whether a hyphen before a line break is removed together with it (sacreBLEU's
            13a).
        keeps_letters: Whether a run of letters is never cut, and words are made of characters of
            the text.
    """

    def __init__(self, kind: str, name: str) -> None:
        self._made_of = kind, name
        self.edges = kind == "bleu" and name in ("intl", "zh")
        self.joins_hyphens = kind == "bleu" and name == "13a"
        self.keeps_letters = kind == "bleu" and name != "char"
        self._has_word_characters = kind == "bleu"
        self._split: Callable[[str], list[str]]
        if kind == "rouge":
            self._split = make_tokenizer(name).tokenize
        else:
            from sacrebleu.metrics.bleu import BLEU

            cut: Callable[[str], str] = BLEU(tokenize=name, effective_order=True).tokenizer
            self._split = lambda text: cut(text).split()
        self._strips = name != "intl"
        self._splits_at_blanks = name != "char"
        self._cached_part = lru_cache(maxsize=1 << 16)(self._part)
        self.is_word = lru_cache(maxsize=1 << 16)(self._is_word)

    def __reduce__(self) -> tuple[Callable[..., ScoringTokenizer], tuple[str, str]]:
        """Leave the caches out of a pickle."""
        return scoring_tokenizer, self._made_of

    def tokenize(self, text: str) -> list[str]:
        """Words of a whole text, put together from those of its parts between white space."""
        if not self._splits_at_blanks or (self.joins_hyphens and "-\n" in text):
            return self._split(text.rstrip())
        parts = text.split()
        if not self.edges:
            return [word for part in parts for word in self._cached_part(part, True, True)]
        end = len(parts) - 1
        begins = self._strips or not text[:1].isspace()
        cut = (self._cached_part(p, begins and i == 0, i == end) for i, p in enumerate(parts))
        return [word for part in cut for word in part]

    def _part(self, text: str, first: bool, last: bool) -> tuple[str, ...]:
        return tuple(self.tokenize_part(text, first=first, last=last))

    def tokenize_part(self, text: str, *, first: bool = True, last: bool = True) -> list[str]:
        """Words of a part of a text.

        Args:
            text: The part.
            first: Whether the text begins with it; else white space precedes it.
            last: Whether the text ends with it; else white space follows it.
        """
        if first and last:
            return self._split(text.rstrip())
        words = self._split(("" if first else "x ") + (text.rstrip() if last else text + " x"))
        return words[0 if first else 1 : None if last else -1]

    def _is_word(self, char: str) -> bool:
        """Whether a character is a word by itself, whatever its neighbours are."""
        if not self._has_word_characters or char in _MARKUP or char.isspace():
            return False
        around = [(left, right) for left in _NEIGHBOURS for right in _NEIGHBOURS]
        together = " x ".join(f"{left}{char}{right}" for left, right in around)
        apart = " x ".join(f"{left} {char} {right}" for left, right in around)
        return self._split(f"x {together} x") == self._split(f"x {apart} x")

    def is_letter_run(self, text: str) -> bool:
        """Whether a text is a run of letters that is never cut."""
        return self.keeps_letters and text.isalpha() and not any(map(self.is_word, text))

    def max_words(self, text: str) -> int:
        """Upper bound of the number of words that appending `text` can add to a text."""
        letters = [
            self.keeps_letters and char.isalpha() and not self.is_word(char) for char in text
        ]
        runs = sum(now and not (i and letters[i - 1]) for i, now in enumerate(letters))
        return runs + sum(not letters[i] and not char.isspace() for i, char in enumerate(text))
