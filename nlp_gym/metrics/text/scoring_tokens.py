"""The words that a metric counts, of texts that are cut at places where nothing can change them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache

from nlp_gym.metrics.text.rouge import make_tokenizer

_BESIDE = ("x", "5", ".", "-")
_MARKUP = frozenset("&<>;")  # parts of what "13a" replaces: &amp; and <skipped>


@cache
def scoring_words(kind: str, name: str) -> ScoringWords:
    """The words of a tokenizer, see `ScoringWords`."""
    return ScoringWords(kind, name)


class ScoringWords:
    """A tokenizer that can be asked about parts of a text.

    The tokenizers themselves are those of sacreBLEU, rouge-score and `make_tokenizer`; what is
    added is the knowledge where the text on one side does not matter for the words of the other.
    That is at white space, and at characters that are words whatever stands beside them.

    Args:
        kind: ``"bleu"`` or ``"rouge"``.
        name: Name of the tokenizer.

    Attributes:
        edges: The words of a piece depend on whether the text begins or ends there (sacreBLEU's
            intl and zh leave a full stop on the last word if a digit precedes it).
        joins: A hyphen and a line break between two pieces are removed (sacreBLEU's 13a).
        letters: A run of letters is never cut, and words are made of what stands in the text.
    """

    def __init__(self, kind: str, name: str) -> None:
        self._made_of = kind, name
        self.edges = kind == "bleu" and name in ("intl", "zh")
        self.joins = kind == "bleu" and name == "13a"
        self.letters = kind == "bleu" and name != "char"
        self._alone = kind == "bleu"
        self._split: Callable[[str], list[str]]
        if kind == "rouge":
            self._split = make_tokenizer(name).tokenize
        else:
            from sacrebleu.metrics.bleu import BLEU

            cut: Callable[[str], str] = BLEU(tokenize=name, effective_order=True).tokenizer
            self._split = lambda text: cut(text).split()
        self._strips = name != "intl"
        self._pieces = name != "char"
        self._part = lru_cache(maxsize=1 << 16)(self._tuple)
        self.solo = lru_cache(maxsize=1 << 16)(self._solo)

    def __reduce__(self) -> tuple[Callable[..., ScoringWords], tuple[str, str]]:
        """What is kept of texts is no part of a pickle."""
        return scoring_words, self._made_of

    def of(self, text: str) -> list[str]:
        """Words of a whole text, put together from those of its pieces between white space."""
        if not self._pieces or (self.joins and "-\n" in text):
            return self._split(text.rstrip())
        parts = text.split()
        if not self.edges:
            return [word for part in parts for word in self._part(part, True, True)]
        end = len(parts) - 1
        begins = self._strips or not text[:1].isspace()
        found = (self._part(p, begins and i == 0, i == end) for i, p in enumerate(parts))
        return [word for part in found for word in part]

    def _tuple(self, text: str, first: bool, last: bool) -> tuple[str, ...]:
        return tuple(self.words(text, first=first, last=last))

    def words(self, text: str, *, first: bool = True, last: bool = True) -> list[str]:
        """Words of a part of a text.

        Args:
            text: The part.
            first: The text begins here; else white space precedes it.
            last: The text ends here; else white space follows.
        """
        if first and last:
            return self._split(text.rstrip())
        found = self._split(("" if first else "x ") + (text.rstrip() if last else text + " x"))
        return found[0 if first else 1 : None if last else -1]

    def _solo(self, char: str) -> bool:
        """Whether a character is a word by itself, whatever is beside it."""
        if not self._alone or char in _MARKUP or char.isspace():
            return False
        around = [(left, right) for left in _BESIDE for right in _BESIDE]
        close = " x ".join(f"{left}{char}{right}" for left, right in around)
        apart = " x ".join(f"{left} {char} {right}" for left, right in around)
        return self._split(f"x {close} x") == self._split(f"x {apart} x")

    def whole(self, text: str) -> bool:
        """Whether this is a run of letters, which is never cut."""
        return self.letters and text.isalpha() and not any(map(self.solo, text))

    def most(self, text: str) -> int:
        """Most words that this can add to a text: no more than characters."""
        letters = [self.letters and char.isalpha() and not self.solo(char) for char in text]
        runs = sum(now and not (i and letters[i - 1]) for i, now in enumerate(letters))
        return runs + sum(not letters[i] and not char.isspace() for i, char in enumerate(text))
