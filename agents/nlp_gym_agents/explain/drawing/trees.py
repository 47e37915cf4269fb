"""The tree that came out of an episode, drawn as `nlp_gym.render` draws it."""

from __future__ import annotations

from nlp_gym.inert import one_line
from nlp_gym.render import Arc
from nlp_gym.render.tree import tree_lines, tree_svg
from nlp_gym_agents.explain.trace import Trace


def tree_of(trace: Trace) -> tuple[list[str], list[Arc]]:
    """Words and arcs of a trace whose view is ``"tree"``, with texts that act on nothing."""
    words = [one_line(word) for word in trace.words]
    rows = zip(trace.output.get("heads", ()), trace.output.get("relations", ()), strict=False)
    arcs = [
        Arc(place, int(head) - 1, one_line(str(relation)))
        for place, (head, relation) in enumerate(rows)
        if place < len(words)
    ]
    return words, arcs


def tree_picture(trace: Trace) -> str:
    """The tree as an `<svg>` element."""
    return tree_svg(*tree_of(trace))


def tree_text(trace: Trace) -> list[str]:
    """The tree in lines of a terminal."""
    return tree_lines(*tree_of(trace))
