"""Search changes that make a victim wrong: the words that matter most first, the best of each.

The order of words by what hiding them does, and the best replacement of each until the decision
falls, are those of TextFooler (Jin et al. 2020) and TextBugger (Li et al. 2019).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from nlp_gym.checks import check_int, check_number
from nlp_gym.data.text.changes import Edit, Finder, apply_edits, text_of
from nlp_gym.types import BoolArray, Float64Array, Sample

_HIDDEN = "[MASK]"
_LEAST = 1e-9
"""A change that lowers the right action's probability by no more is left out."""


class Judged(Protocol):
    """What a victim answers; see `nlp_gym_agents.attack.victim.Verdicts`."""

    @property
    def chances(self) -> Float64Array:
        """(n,) probability of the right action."""
        ...

    @property
    def right(self) -> BoolArray:
        """(n,) whether the text is right."""
        ...


Judge = Callable[[Sequence[Sample]], Judged]
"""Decides on annotated samples."""


@dataclass(frozen=True)
class SearchLimits:
    """How far a search goes.

    Attributes:
        budget: Most texts that the victim is shown for one text, the text itself included.
        most_changed: Most changes of a text, as a share of its words; one is always allowed.
    """

    budget: int = 100
    most_changed: float = 0.25

    def __post_init__(self) -> None:
        """Check the values."""
        check_int("budget", self.budget, 2, 1_000_000)
        check_number("most_changed", self.most_changed, 0.0, 1.0)


@dataclass
class Attacked:
    """What became of one text.

    Attributes:
        sample: As it was.
        changed: As the victim was shown it last; the same where it was wrong from the start.
        edits: The changes, in the order in which they were made.
        was_right: Whether the victim was right on the text as it was.
        is_right: Whether it still is.
        before: Probability of the right action before.
        after: And after.
        queries: Texts that the victim was shown, this one included.
        tries: Of the texts with changes that it was shown, those after which it was least sure of
            what is right, the worst first; as many as the search keeps.
    """

    sample: Sample
    changed: Sample
    edits: list[Edit]
    was_right: bool
    is_right: bool
    before: float
    after: float
    queries: int = 1
    n_words: int = 0
    tries: list[Sample] = field(default_factory=list, repr=False)
    _chances: list[float] = field(default_factory=list, repr=False)
    _places: list[list[Edit]] = field(default_factory=list, repr=False)

    @property
    def succeeded(self) -> bool:
        """Whether a right decision became a wrong one."""
        return self.was_right and not self.is_right

    @property
    def words_changed(self) -> int:
        """Words that were replaced or put in."""
        return sum(max(edit.stop - edit.start, len(edit.words)) for edit in self.edits)


class Search:
    """Attacks texts side by side; the victim is shown the texts of a round together.

    Args:
        judge: The victim.
        finder: Finds the changes of a text.
        limits: How far to go.
        advance: Called with the number of texts that are done, for a progress bar.
        keep: Tries of each text that are kept, see `Attacked`.
    """

    def __init__(
        self,
        judge: Judge,
        finder: Finder,
        limits: SearchLimits | None = None,
        advance: Callable[[int], object] = lambda n: None,
        keep: int = 0,
    ) -> None:
        self.judge, self.finder = judge, finder
        self._keep = check_int("keep", keep, 0, 1000)
        self.limits, self._advance = limits or SearchLimits(), advance

    def attack(self, samples: Sequence[Sample]) -> list[Attacked]:
        """Attack each of some annotated samples."""
        first = self.judge(samples)
        found = [
            Attacked(sample, sample, [], bool(right), bool(right), float(chance), float(chance))
            for sample, right, chance in zip(samples, first.right, first.chances, strict=True)
        ]
        running = [one for one in found if one.was_right]
        self._advance(len(found) - len(running))
        self._order(running)
        while running:
            running = self._round(running)
        return found

    def _order(self, running: Sequence[Attacked]) -> None:
        """Put the changes of each text in groups by place, those of weighty words first.

        Words are hidden one by one where the half of the budget allows it, else in runs of
        neighbours, so that the end of a long text is weighed as its beginning is.
        """
        family = self.finder.family
        hidden: list[Sample] = []
        owners: list[tuple[Attacked, dict[tuple[int, int], list[Edit]], list[list[int]]]] = []
        for one in running:
            one.n_words = len(text_of(one.sample, family))
            groups: dict[tuple[int, int], list[Edit]] = {}
            for edit in self.finder.edits(one.sample):
                groups.setdefault((edit.start, edit.stop), []).append(edit)
            words = sorted({k for start, stop in groups for k in range(start, stop)})
            runs = _runs(words, (self.limits.budget - 1) // 2)
            for run in runs:
                mask = [Edit("hidden", k, k + 1, (_HIDDEN,)) for k in run]
                hidden.append(apply_edits(one.sample, mask, family))
            owners.append((one, groups, runs))
        chances = iter(self.judge(hidden).chances.tolist())
        for one, groups, runs in owners:
            fall: dict[int, float] = {}
            for run in runs:
                fall |= dict.fromkeys(run, one.before - next(chances))
            one.queries += len(runs)

            def weight(place: tuple[int, int], fall: dict[int, float] = fall) -> float:
                return max((fall.get(k, 0.0) for k in range(*place)), default=0.0)

            places = sorted(groups, key=lambda place: (-weight(place), place))
            one._places = [groups[place] for place in places]

    def _round(self, running: Sequence[Attacked]) -> list[Attacked]:
        """Try the changes at the next place of each text; gives the texts that go on."""
        asked = [(one, self._next(one)) for one in running]
        trials = [(one, edit) for one, edits in asked for edit in edits]
        family = self.finder.family
        texts = [apply_edits(one.sample, [*one.edits, edit], family) for one, edit in trials]
        verdicts = self.judge(texts)
        at = 0
        left = []
        for one, edits in asked:
            own = slice(at, at + len(edits))
            at += len(edits)
            if edits:
                self._take_best(one, edits, texts[own], verdicts.right[own], verdicts.chances[own])
            if edits and one.is_right:
                left.append(one)
        self._advance(len(running) - len(left))
        return left

    def _next(self, one: Attacked) -> list[Edit]:
        """The changes at the next place that is still free; none: the search is over."""
        most = max(1, int(self.limits.most_changed * one.n_words))
        room = self.limits.budget - one.queries
        while one._places and len(one.edits) < most and room > 0:
            edits = one._places.pop(0)
            if not any(_overlap(edits[0], made) for made in one.edits):
                return edits[:room]
        return []

    def _take_best(
        self,
        one: Attacked,
        edits: Sequence[Edit],
        texts: Sequence[Sample],
        right: BoolArray,
        chances: Float64Array,
    ) -> None:
        """Keep the change after which the victim is wrong, or least sure of what is right."""
        one.queries += len(edits)
        if self._keep:
            known = [*zip(one._chances, one.tries, strict=True)]
            known += zip(chances.tolist(), texts, strict=True)
            known = sorted(known, key=lambda pair: pair[0])[: self._keep]
            one._chances, one.tries = [c for c, _ in known], [text for _, text in known]
        best = int(np.lexsort((chances, right))[0])  # wrong ones first
        if right[best] and chances[best] > one.after - _LEAST:
            return
        one.edits.append(edits[best])
        one.changed, one.after = texts[best], float(chances[best])
        one.is_right = bool(right[best])


def _runs(words: Sequence[int], most: int) -> list[list[int]]:
    """Words in at most `most` runs of about the same length."""
    parts = np.array_split(np.array(words, np.int64), max(1, min(most, len(words))))
    return [part.tolist() for part in parts if most and len(part)]


def _overlap(one: Edit, other: Edit) -> bool:
    """Whether two changes touch the same words, or are put in at the same place."""
    if one.start == one.stop and other.start == other.stop:
        return one.start == other.start
    return one.start < other.stop and other.start < one.stop
