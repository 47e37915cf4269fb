"""Figures of a whole episode: curves of a reader, spots of a passage, edges of a walk."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from nlp_gym_agents.explain.drawing.scale import Scale, is_number
from nlp_gym_agents.explain.drawing.texts import READ, place_text
from nlp_gym_agents.explain.trace import Decision, Option, Trace


@dataclass(frozen=True)
class Curve:
    """The score of one action over the decisions of a reader.

    Attributes:
        name: Of the action.
        shares: Between 0 and 1, a number for each decision.
        chosen: Whether it is what was decided in the end.
    """

    name: str
    shares: tuple[float, ...]
    chosen: bool


def curves(trace: Trace, scale: Scale, most: int = 5) -> list[Curve]:
    """Scores of actions over a text that is read piece by piece: READ first, then the highest.

    Args:
        trace: A trace whose view is ``"reading"``.
        scale: Its scale.
        most: Most labels that are drawn.
    """
    if not trace.decisions:
        return []
    shares: dict[str, list[float]] = {}
    for number, decision in enumerate(trace.decisions):
        for option in decision.options:
            row = shares.setdefault(option.name, [0.0] * len(trace.decisions))
            row[number] = scale.share(option.score) if option.legal else 0.0
    last = trace.decisions[-1].choice.name
    ranked = sorted(shares, key=lambda name: (name != READ, name != last, -max(shares[name])))
    return [Curve(name, tuple(shares[name]), name == last) for name in ranked[: most + 1]]


@dataclass(frozen=True)
class Spot:
    """One word of a passage, with how much each decision wanted to point at it.

    Attributes:
        word: The word.
        shares: Between 0 and 1, a number for each decision.
        inside: Whether it is part of the answer.
        right: Whether a decision that the gold has points at it.
    """

    word: str
    shares: tuple[float, ...]
    inside: bool
    right: bool

    @property
    def poles(self) -> list[tuple[int, float]]:
        """(number of the decision, share) of the bars that can be seen."""
        return [(n, share) for n, share in enumerate(self.shares) if share >= 0.01]


def spots(trace: Trace, scale: Scale) -> list[Spot]:
    """The passage of a trace whose view is ``"span"``, word by word."""
    chosen = [d.choice.place for d in trace.decisions if d.choice.place is not None]
    first, last = (min(chosen), max(chosen)) if chosen else (1, 0)
    right = {o.place for decision in trace.decisions for o in decision.options if o.right}
    columns = [_by_word(decision, len(trace.words)) for decision in trace.decisions]
    return [
        Spot(
            word,
            tuple(scale.share(column[i]) for column in columns),
            first <= i <= last,
            i in right,
        )
        for i, word in enumerate(trace.words)
    ]


def _by_word(decision: Decision, n: int) -> list[float | None]:
    """The score of each of n words at a decision that points at one of them."""
    if decision.word_scores:
        return [*decision.word_scores[:n], *[None] * (n - len(decision.word_scores))]
    found = {option.place: option.score for option in decision.options if option.legal}
    return [found.get(i) for i in range(n)]


@dataclass(frozen=True)
class Leaf:
    """An edge of a graph walk, placed.

    Attributes:
        option: The edge.
        hop: Of which hop, from 0.
        row: In which row it is drawn, from 0; the edge that was taken is in row 0.
        share: Between 0 and 1.
        taken: Whether the walk went along it.
    """

    option: Option
    hop: int
    row: int
    share: float
    taken: bool


@dataclass(frozen=True)
class Walk:
    """A walk with the edges that were looked at, hop by hop.

    Attributes:
        starts: The node where each hop begins, and the one where the walk ended.
        leaves: The edges.
    """

    starts: tuple[str, ...]
    leaves: tuple[Leaf, ...]

    @cached_property
    def rows(self) -> int:
        """Number of rows."""
        return max((leaf.row for leaf in self.leaves), default=0) + 1


def walk_of(trace: Trace, scale: Scale, most: int = 6) -> Walk:
    """The walk of a trace whose view is ``"walk"``.

    Args:
        trace: The trace.
        scale: Its scale.
        most: Most edges drawn of a hop; the one taken and the right ones are always drawn.
    """
    leaves: list[Leaf] = []
    starts = [place_text(trace, decision) or "?" for decision in trace.decisions]
    for hop, decision in enumerate(trace.decisions):
        legal = [option for option in decision.options if option.legal]
        first = [option for option in legal if option.action == decision.chosen]
        rest = [option for option in legal if option.action != decision.chosen]
        right = [option for option in rest if option.right]
        others = [option for option in rest if not option.right]
        room = max(most - len(first) - len(right), 0)
        kept = {option.action for option in [*right, *others[:room]]}
        shown = first + [option for option in rest if option.action in kept]
        for row, option in enumerate(shown):
            taken = option.action == decision.chosen
            leaves.append(Leaf(option, hop, row, scale.share(option.score), taken))
    if trace.decisions:
        choice = trace.decisions[-1].choice
        starts.append(choice.target or choice.name)
    return Walk(tuple(starts), tuple(leaves))


def source_columns(trace: Trace, most: int = 40) -> list[int]:
    """The words of the source that a writer looked at most, in their order.

    Args:
        trace: A trace whose view is ``"writing"``.
        most: Most words.
    """
    width = max((len(decision.sources) for decision in trace.decisions), default=0)
    peak = [0.0] * min(width, len(trace.words))
    for decision in trace.decisions:
        for i, weight in enumerate(decision.sources[: len(peak)]):
            peak[i] = max(peak[i], weight if is_number(weight) else 0.0)
    return sorted(sorted(range(len(peak)), key=peak.__getitem__, reverse=True)[:most])
