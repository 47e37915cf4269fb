"""A trace as HTML: one file, nothing loaded from elsewhere, no script in it."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from nlp_gym.inert import visible
from nlp_gym.render import Piece
from nlp_gym.render.pages import page_templates
from nlp_gym.render.text import PALETTE
from nlp_gym_agents.explain import drawing
from nlp_gym_agents.explain.drawing.colours import SHADES, heat_rules
from nlp_gym_agents.explain.trace import Decision, Option, Trace

if TYPE_CHECKING:
    from jinja2 import Environment

MOST_CARDS = 200
"""Decisions of a trace that are drawn one by one; of more, those with the smallest margins."""
_OPEN = 3
"""Up to so many decisions are drawn unfolded."""
_MOST_BARS = 12
_OTHERS = 4
_FOLD = 60
"""Rows of a heat map after which a new fold begins."""
_NOTHING = "O"
"""The label of words that are part of nothing; it has no colour."""
_MOST_WORDS = 160
"""Words of a text that are drawn with their relevance; of a longer one a stretch."""


def trace_html(trace: Trace | Sequence[Trace], *, whole_page: bool = True, prefix: str = "") -> str:
    """Draw one trace, or several one after the other.

    Args:
        trace: What `nlp_gym_agents.Agent.explain` gave.
        whole_page: A page of its own; else a `<div>` with its style, to put into another page.
            Its rules touch nothing outside it.
        prefix: Begins the ids of its elements, for a page that several drawings are put into.

    Returns:
        HTML. It holds style and drawings, needs no script, loads nothing, and every text in it is
        escaped; characters that act or cannot be seen are spelled.
    """
    traces = [trace] if isinstance(trace, Trace) else list(trace)
    template = _templates().get_template("page.html" if whole_page else "fragment.html")
    return template.render(
        drawings=[_Drawing(one, number, prefix) for number, one in enumerate(traces, 1)],
        heat=heat_rules(drawing.LEVELS),
    )


@lru_cache(maxsize=1)
def _templates() -> Environment:
    made = page_templates("nlp_gym_agents.explain.drawing")
    made.filters["lines"] = _with_lines
    made.globals.update(LEVELS=drawing.LEVELS, palette=PALETTE)
    return made


def _with_lines(text: str) -> Any:
    from markupsafe import escape

    return escape(visible(text, lines=True))


class _Drawing:
    """What the templates show of one trace.

    Attributes:
        trace: The trace.
        key: Prefix of its anchors, which differs between traces of one page.
        scale: Of its scores.
    """

    def __init__(self, trace: Trace, number: int, prefix: str) -> None:
        self.trace, self.number = trace, number
        name = f"{trace.env_id}|{trace.algo}|{trace.words}|{trace.output}"
        self.key = f"{prefix}t{number}-{zlib.crc32(name.encode('utf-8', 'replace')):08x}"
        self.scale = drawing.Scale(trace)
        self.grid = drawing.grid_of(trace, self.scale)

    @property
    def title(self) -> str:
        """The first words of the text."""
        text = next(iter(self.trace.context.values()), "") or " ".join(self.trace.words)
        return self.cut(" ".join(text.split()), 110) or "(a blank text)"

    @property
    def shown(self) -> list[int]:
        """The decisions that are drawn one by one."""
        decisions = self.trace.decisions
        if len(decisions) <= MOST_CARDS:
            return list(range(len(decisions)))

        def doubt(number: int) -> tuple[bool, float]:
            decision = decisions[number]
            margin = decision.margin if drawing.is_number(decision.margin) else float("inf")
            return self.judged(decision) is not False, margin or 0.0

        return sorted(sorted(range(len(decisions)), key=doubt)[:MOST_CARDS])

    @property
    def unfolded(self) -> bool:
        """Whether the decisions are few enough to be drawn open."""
        return len(self.trace.decisions) <= _OPEN

    @property
    def folds(self) -> list[range]:
        """The rows of the heat map in stretches; each but the first is folded."""
        rows = len(self.trace.decisions)
        return [range(i, min(i + _FOLD, rows)) for i in range(0, rows, _FOLD)]

    @property
    def steep(self) -> bool:
        """Whether the names of the columns are written from the bottom to the top."""
        return max(map(len, self.grid.columns), default=0) > 7

    @property
    def wrong(self) -> int | None:
        """How many decisions are not as the gold has them; None: there is no gold."""
        known = [drawing.judged(self.trace, decision) for decision in self.trace.decisions]
        if all(right is None for right in known):
            return None
        return sum(right is False for right in known)

    @property
    def has_gold(self) -> bool:
        """Whether anything of the gold is known."""
        return self.wrong is not None

    @property
    def has_heat(self) -> bool:
        """Whether a heat map of actions is drawn."""
        several = len(self.trace.decisions) > 1
        return several and self.trace.view not in ("span", "walk", "writing", "tree")

    @property
    def tree(self) -> Any:
        """The tree as markup, of a trace with that view; its texts are escaped."""
        from markupsafe import Markup

        return Markup(drawing.tree_picture(self.trace))

    @property
    def has_masked(self) -> bool:
        """Whether an action is drawn as masked."""
        return any(cell.masked for row in self.grid.rows for cell in row)

    @property
    def has_unknown(self) -> bool:
        """Whether a cell of the heat map has no action."""
        return any(cell.option is None for row in self.grid.rows for cell in row)

    @property
    def shows_seen(self) -> bool:
        """Whether what was seen says more than the figure and the actions do."""
        if self.trace.view == "ranking" and len(self.trace.decisions) == 1:
            return False
        return self.trace.view != "span"

    @property
    def has_values(self) -> bool:
        """Whether the agent says what it expects."""
        return any(d.value is not None for d in self.trace.decisions)

    @property
    def has_rewards(self) -> bool:
        """Whether rewards are known."""
        return any(d.reward is not None for d in self.trace.decisions)

    @cached_property
    def anchors(self) -> frozenset[int]:
        """The decisions that links can lead to."""
        return frozenset(self.shown)

    @property
    def narrowest(self) -> list[int]:
        """As `explain.drawing.narrowest`."""
        return drawing.narrowest(self.trace)

    @property
    def pieces(self) -> list[str]:
        """As `explain.drawing.pieces_read`."""
        return drawing.pieces_read(self.trace)

    @property
    def unread(self) -> str:
        """The rest of a text that was not read to its end."""
        return drawing.unread(self.trace)

    @cached_property
    def curves(self) -> list[drawing.Curve]:
        """As `explain.drawing.curves`."""
        return drawing.curves(self.trace, self.scale)

    @property
    def line_ends(self) -> list[tuple[str, float, int]]:
        """Names of the lines of a chart with the heights at which they are written, from above."""
        ends = sorted(
            (210 - curve.shares[-1] * 190, number, curve.name)
            for number, curve in enumerate(self.curves)
        )
        placed: list[tuple[str, float, int]] = []
        for y, number, name in ends:
            lowest = placed[-1][1] + 20 if placed else 14.0
            placed.append((name, round(max(y, lowest), 1), number))
        over = max(placed[-1][1] - 236, 0.0) if placed else 0.0
        return [(name, round(y - over, 1), number) for name, y, number in placed]

    @property
    def spots(self) -> list[drawing.Spot]:
        """As `explain.drawing.spots`."""
        return drawing.spots(self.trace, self.scale)

    @property
    def walk(self) -> drawing.Walk:
        """As `explain.drawing.walk_of`."""
        return drawing.walk_of(self.trace, self.scale)

    @property
    def source_columns(self) -> list[int]:
        """As `explain.drawing.source_columns`."""
        return drawing.source_columns(self.trace)

    def tick(self, share: float) -> str:
        """The number at a height of a chart."""
        if self.trace.scores == "probability":
            return f"{share * self.scale.high:.{1 if self.scale.small else 0}%}"
        return f"{self.scale.low + share * (self.scale.high - self.scale.low):+.2f}"

    def heading(self, number: int) -> str:
        """As `explain.drawing.heading`."""
        return drawing.heading(self.trace, number)

    def short(self, option: Option) -> str:
        """An action in at most a line."""
        return self.cut(drawing.option_name(option), 80)

    def cut(self, text: str, most: int) -> str:
        """A text of at most `most` characters."""
        if len(text) <= most:
            return text
        start = text[: most - 1]
        return f"{start.rsplit(' ', 1)[0] if most > 60 else start}…"

    def judged(self, decision: Decision) -> bool | None:
        """As `explain.drawing.judged`."""
        return drawing.judged(self.trace, decision)

    def runner_up(self, decision: Decision) -> Option | None:
        """The runner-up, where the trace has it."""
        found = (option for option in decision.options if option.action == decision.runner_up)
        return next(found, None)

    def played_instead(self, decision: Decision) -> str:
        """The name of the action that was played in place of an illegal choice."""
        found = (o for o in decision.options if o.action == decision.repaired)
        option = next(found, None)
        return f"action {decision.repaired}" if option is None else self.short(option)

    def caption(self, decision: Decision) -> str:
        """What the bars of a decision show."""
        shown = len(self.bars(decision))
        if not drawing.is_cut(decision) and shown == len(decision.options):
            return "All actions"
        right = " and the right ones" if self.has_gold else ""
        return f"{shown} of {decision.n_actions} actions: the likeliest, the chosen one{right}"

    @property
    def has_places(self) -> bool:
        """Whether each decision is on something that can be named."""
        return drawing.has_places(self.trace)

    @property
    def again(self) -> frozenset[int]:
        """The decisions that are on the same as the one before."""
        names = [self.heading(number) for number in range(len(self.trace.decisions))]
        return frozenset(i for i in range(1, len(names)) if names[i] == names[i - 1])

    def others(self, decision: Decision) -> list[Option]:
        """The likeliest tokens beside the one that was written, and the right one."""
        rest = [o for o in decision.options if o.legal and o.action != decision.chosen]
        return [o for rank, o in enumerate(rest) if rank < _OTHERS or o.right]

    def source_weight(self, decision: Decision, column: int) -> float:
        """How much a word of the source was looked at, 0 to 1."""
        weight = decision.sources[column] if column < len(decision.sources) else 0.0
        return min(max(weight, 0.0), 1.0) if drawing.is_number(weight) else 0.0

    @property
    def most_looked_at(self) -> float:
        """The highest weight of a word of the source, to which shades are relative."""
        weights = [w for d in self.trace.decisions for w in d.sources if drawing.is_number(w)]
        return max(*weights, 1e-9, 0.0)

    def glimpse(self, decision: Decision) -> list[Piece]:
        """As `explain.drawing.glimpse`."""
        return drawing.glimpse(decision.seen)

    @property
    def output(self) -> list[tuple[str, str]]:
        """The short fields of what came out."""
        return drawing.output_fields(self.trace)

    @property
    def marked(self) -> list[dict[str, Any]]:
        """The words of a tagged text with what was decided on each."""
        found = {d.place: d for d in self.trace.decisions if d.place is not None}
        return [_marked_word(word, found.get(place)) for place, word in enumerate(self.trace.words)]

    def bars(self, decision: Decision) -> list[dict[str, Any]]:
        """The options of a decision, those that are drawn."""
        kept = [
            option
            for rank, option in enumerate(decision.options)
            if rank < _MOST_BARS or option.action == decision.chosen or option.right
        ]
        return [
            {
                "option": option,
                "name": drawing.option_name(option),
                "share": round(self.scale.share(option.score) * 100, 1) if option.legal else 0.0,
                "text": self.scale.text(option.score) if option.legal else "",
                "chosen": option.action == decision.chosen,
                "runner_up": option.action == decision.runner_up,
            }
            for option in kept
        ]

    def relevant(self, decision: Decision) -> dict[str, Any] | None:
        """The words of the text with how much each spoke for the choice; None: none did."""
        weights = decision.relevance[: len(self.trace.words)]
        if not drawing.has_telling(decision):
            return None
        most = max(abs(weight) for weight in weights if drawing.is_number(weight))
        peak = max(range(len(weights)), key=lambda i: abs(weights[i]))
        first = 0
        if len(weights) > _MOST_WORDS:
            first = max(min(peak - _MOST_WORDS // 2, len(weights) - _MOST_WORDS), 0)
        stop = min(first + _MOST_WORDS, len(weights))
        words = []
        for i in range(first, stop):
            shade = round(abs(weights[i]) / most * SHADES) if drawing.is_number(weights[i]) else 0
            sign = "f" if weights[i] > 0 else "a"
            words.append((self.trace.words[i], f"{sign}{shade}" if shade else ""))
        return {
            "words": words,
            "before": first > 0,
            "after": stop < len(weights),
            "telling": drawing.telling_words(self.trace, decision),
        }


def _marked_word(word: str, decision: Decision | None) -> dict[str, Any]:
    label, gold, wrong = "", "", False
    if decision is not None:
        wrong = decision.choice.right is False
        label = "" if decision.choice.name == _NOTHING and not wrong else decision.choice.name
        gold = ", ".join(option.name for option in drawing.right_options(decision)) if wrong else ""
    colour = None if label == _NOTHING else Piece("", "chosen", label).colour
    return {"word": word, "label": label, "gold": gold, "colour": colour, "wrong": wrong}
