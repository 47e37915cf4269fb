"""What a drawing of a trace shows, whatever it is drawn with: scales, bars, grids, curves.

`page`, `terminal` and `picture` draw these; none of them reads scores from a trace by itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from nlp_gym.render import Frame, Piece
from nlp_gym_agents.explain.trace import Decision, Option, Trace

LEVELS = 10
"""Steps of a heat map above nothing."""
MOST_COLUMNS = 12
"""Most actions that a heat map shows side by side."""
_MOST_OUTPUT = 400
"""Characters of a field of the output that are shown."""
_MOST_TEXT = 60
"""Characters of the text that names a decision."""

READ = "READ"
"""The action of a reader that asks for more text."""


class Scale:
    """How the scores of a trace become lengths, shades and numbers.

    Args:
        trace: The trace. Probabilities are shown as they are; Q values between the lowest and the
            highest one that a legal action of the trace has.
    """

    def __init__(self, trace: Trace) -> None:
        self.kind = trace.scores
        found = [
            option.score
            for decision in trace.decisions
            for option in decision.options
            if option.legal and is_number(option.score)
        ]
        self.low, self.high = min(found, default=0.0), max(found, default=1.0)

    @property
    def words(self) -> str:
        """What the numbers are."""
        return {
            "probability": "probability of the action under the policy",
            "value": "Q value: the return that the agent expects of the action",
        }.get(self.kind, "the agent gives no scores")

    def share(self, score: float | None) -> float:
        """The score between 0 and 1; 0 where there is none."""
        if not is_number(score):
            return 0.0
        if self.kind == "probability":
            return min(max(score, 0.0), 1.0)
        return min(max((score - self.low) / ((self.high - self.low) or 1.0), 0.0), 1.0)

    def level(self, score: float | None) -> int:
        """The shade of a heat map, 0 to `LEVELS`."""
        return round(self.share(score) * LEVELS)

    def text(self, score: float | None) -> str:
        """The number in full: ``"97.3%"``, or ``"+0.531"`` of a Q value."""
        if not is_number(score):
            return ""
        if self.kind != "probability":
            return f"{score:+.3f}"
        if 0 < score < 0.0005:
            return "<0.1%"
        return f"{score:.1%}"

    def short(self, score: float | None) -> str:
        """The number for the cell of a heat map: ``"97"`` (percent) or ``"+0.53"``."""
        if not is_number(score):
            return ""
        if self.kind != "probability":
            return f"{score:+.2f}"
        return "<1" if 0 < score < 0.005 else f"{score * 100:.0f}"

    def margin(self, margin: float | None) -> str:
        """How far the choice was ahead, in words."""
        if not is_number(margin):
            return ""
        if self.kind != "probability":
            return f"{margin:.3f}"
        return f"{margin * 100:.1f} points"


def is_number(score: float | None) -> bool:  # a TypeGuard would say the opposite of None too
    """Whether there is a score, and it is finite."""
    return score is not None and math.isfinite(score)


def place_text(trace: Trace, decision: Decision) -> str:
    """What a decision is on, in a few words: a word, a pair, a piece of a text; or nothing."""
    if decision.at:
        return decision.at
    if decision.place is not None and 0 <= decision.place < len(trace.words):
        return trace.words[decision.place]
    return ""


def heading(trace: Trace, number: int) -> str:
    """The name of decision `number` (from 0) for the head of a row."""
    decision = trace.decisions[number]
    if trace.view == "span" and len(trace.decisions) == 2:
        return ("where it begins", "where it ends")[number]
    if trace.view == "writing":
        return f"token {number + 1}"
    found = piece_read(decision) if trace.view == "reading" else place_text(trace, decision)
    found = found or decision.seen.place or f"decision {number + 1}"
    return found if len(found) <= _MOST_TEXT else f"…{found[-_MOST_TEXT:]}"


def judged(trace: Trace, decision: Decision) -> bool | None:
    """Whether a choice is as the gold has it; None: nobody says, as of reading on."""
    if trace.view == "reading" and decision.choice.name == READ:
        return None
    return decision.choice.right


def option_name(option: Option) -> str:
    """An action in words, with where it leads."""
    return f"{option.name} → {option.target}" if option.target else option.name


def right_options(decision: Decision) -> tuple[Option, ...]:
    """What the gold has, at a decision."""
    return tuple(option for option in decision.options if option.right)


def narrowest(trace: Trace, most: int = 3) -> list[int]:
    """The decisions with the smallest margins, the smallest first; none where all are wide."""
    found = [
        (decision.margin, number)
        for number, decision in enumerate(trace.decisions)
        if is_number(decision.margin) and decision.n_legal > 1
    ]
    return [number for _, number in sorted(found)[:most]] if len(found) > most else []


@dataclass(frozen=True)
class Cell:
    """One action at one decision, in a heat map.

    Attributes:
        option: The action; None: it was not among those that the trace has there.
        level: Its shade.
        text: Its number, short.
        chosen: Whether it was played.
    """

    option: Option | None
    level: int = 0
    text: str = ""
    chosen: bool = False

    @property
    def masked(self) -> bool:
        """Whether the mask forbids it."""
        return self.option is not None and not self.option.legal

    @property
    def right(self) -> bool:
        """Whether the gold has it."""
        return self.option is not None and bool(self.option.right)


@dataclass(frozen=True)
class Grid:
    """A heat map: decisions by actions.

    Attributes:
        columns: Names of the actions.
        rows: For each decision a cell for each action.
        left_out: How many actions were not given a column.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    left_out: int = 0


def grid_of(trace: Trace, scale: Scale, most: int = MOST_COLUMNS) -> Grid:
    """Decisions by actions; of more than `most` actions those that came closest to being chosen.

    Args:
        trace: The trace.
        scale: Its scale.
        most: Most columns; what was chosen or is right comes first.
    """
    best: dict[int, tuple[bool, float]] = {}
    names: dict[int, str] = {}
    for decision in trace.decisions:
        for option in decision.options:
            kept = option.action == decision.chosen or bool(option.right)
            share = scale.share(option.score) if option.legal else -1.0
            best[option.action] = max(best.get(option.action, (False, -1.0)), (kept, share))
            names[option.action] = option_name(option)
    ranked = sorted(best, key=lambda action: best[action], reverse=True)[:most]
    columns = sorted(ranked)
    rows = tuple(_cells(decision, columns, scale) for decision in trace.decisions)
    total = max((decision.n_actions for decision in trace.decisions), default=0)
    return Grid(tuple(names[c] for c in columns), rows, max(total - len(columns), 0))


def _cells(decision: Decision, columns: Sequence[int], scale: Scale) -> tuple[Cell, ...]:
    found = {option.action: option for option in decision.options}
    return tuple(
        Cell(
            (option := found.get(action)),
            scale.level(option.score) if option and option.legal else 0,
            scale.short(option.score) if option and option.legal else "",
            action == decision.chosen,
        )
        for action in columns
    )


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


def pieces_read(trace: Trace) -> list[str]:
    """The piece of the text that each decision of a reader came after."""
    return [piece_read(decision) for decision in trace.decisions]


def piece_read(decision: Decision) -> str:
    """The piece of the text that a decision of a reader came after."""
    here = [piece.text for piece in decision.seen.pieces if piece.mark == "here"]
    return decision.at or " ".join(here) or decision.seen.place


def unread(trace: Trace) -> str:
    """What a reader left unread when it decided."""
    if not trace.decisions:
        return ""
    pieces = trace.decisions[-1].seen.pieces
    return " ".join(piece.text for piece in pieces if piece.mark == "dim")


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
    shares = [[0.0] * len(trace.decisions) for _ in trace.words]
    right = [False] * len(trace.words)
    for number, decision in enumerate(trace.decisions):
        for option in decision.options:
            if option.place is not None and 0 <= option.place < len(trace.words):
                shares[option.place][number] = scale.share(option.score) if option.legal else 0.0
                right[option.place] |= bool(option.right)
    return [
        Spot(word, tuple(shares[i]), first <= i <= last, right[i])
        for i, word in enumerate(trace.words)
    ]


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


def telling_words(trace: Trace, decision: Decision, most: int = 8) -> list[tuple[int, str, float]]:
    """The words that spoke most for or against the choice: (place, word, relevance)."""
    found = [
        (i, word, weight)
        for i, (word, weight) in enumerate(zip(trace.words, decision.relevance, strict=False))
        if is_number(weight) and weight
    ]
    return sorted(found, key=lambda item: -abs(item[2]))[:most]


def glimpse(frame: Frame, around: int = 9, letters: int = 320) -> list[Piece]:
    """What a person saw just before a decision, cut down to what is near it.

    Args:
        frame: What was seen.
        around: Pieces kept on either side of the one that is decided on.
        letters: Most characters of a piece; of a longer one the beginning and the end are kept.
    """
    pieces = list(frame.pieces)
    here = next((i for i, piece in enumerate(pieces) if piece.mark == "here"), 0)
    lines = {i for i, piece in enumerate(pieces) if piece.line}
    first, stop = max(here - around, 0), here + around + 1
    if len(lines) > 1:  # of a list, the heading line is kept too
        first = 0 if first <= 2 else first
    kept = [_cut(piece, letters) for piece in pieces[first:stop]]
    before = [Piece("…", "dim")] if first else []
    after = [Piece("…", "dim")] if stop < len(pieces) else []
    return [*before, *kept, *after]


def _cut(piece: Piece, letters: int) -> Piece:
    if len(piece.text) <= letters:
        return piece
    half = letters // 2
    return replace(piece, text=f"{piece.text[:half]} … {piece.text[-half:]}")


def output_fields(trace: Trace) -> list[tuple[str, str]]:
    """The fields of what came out that say more than the words and the context do."""
    known = {" ".join(trace.words), *trace.context.values(), str(trace.output.get("text", ""))}
    known = {" ".join(text.split()) for text in known}
    found = [
        (name.replace("_", " "), _as_text(value))
        for name, value in trace.output.items()
        if name not in ("tokens", "id", "text")
    ]
    return [(name, text) for name, text in found if text and " ".join(text.split()) not in known]


def _as_text(value: Any) -> str:
    """A field of an output in a few words; empty: it is not shown."""
    if isinstance(value, str | int | float | bool):
        text = f"{value:.4g}" if isinstance(value, float) else str(value)
    elif isinstance(value, list | tuple) and all(isinstance(v, str | int | float) for v in value):
        text = ", ".join(map(str, value)) or "none"
    elif isinstance(value, list | tuple):
        text = "; ".join(filter(None, map(_as_text, value)))
    elif isinstance(value, dict):
        text = ", ".join(f"{k}: {t}" for k, v in value.items() if (t := _as_text(v)))
    else:
        return ""
    return text if len(text) <= _MOST_OUTPUT else f"{text[:_MOST_OUTPUT]}…"
