"""A dialogue as people see it: what each side said, and what the system decided."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from nlp_gym.tasks.dialogue_sim.sentences import Sentences

if TYPE_CHECKING:
    from nlp_gym.render import Piece


def transcript(
    sentences: Sentences, acts: Iterable[str], said: Iterable[Sequence[int]]
) -> list[dict[str, str]]:
    """What was said in each turn, with the act of the system that it begins with.

    Requests are called by their slot: its number depends on the task that the dialogue is at.

    Args:
        sentences: Texts of the numbers.
        acts: The system's acts; what it says first is none of them.
        said: Sentences at first and after each act, the system's and then the user's.
    """
    return [
        {
            "act": f"REQUEST {slot}" if (slot := sentences.requested(first)) else act,
            "system": sentences.text(first),
            "user": " ".join(filter(None, map(sentences.text, answer))),
        }
        for act, (first, *answer) in zip(("", *acts), said, strict=False)
    ]


def dialogue_pieces(goal: str, turns: Sequence[dict[str, str]]) -> list[Piece]:
    """The turns of a `transcript` for drawing; what was heard wrong is shown as it was heard."""
    from nlp_gym.render import Piece

    pieces = [Piece(f"GOAL {goal}", "dim", line=True)]
    for n, turn in enumerate(turns, 1):
        mark = "chosen" if turn["act"] else "plain"
        pieces.append(Piece(f"SYSTEM {turn['system']}", mark, label=turn["act"], line=True))
        if turn["user"]:
            mark = "here" if n == len(turns) else "plain"
            pieces.append(Piece(f"USER {turn['user']}", mark, line=True))
    return pieces
