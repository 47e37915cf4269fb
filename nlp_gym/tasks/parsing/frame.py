"""What a person sees of a tree that is being made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nlp_gym.render import Arc, Frame, Piece

if TYPE_CHECKING:
    from nlp_gym.tasks.parsing.task import Parsing
    from nlp_gym.tasks.parsing.transitions import ParsingState


def tree_frame(task: Parsing, state: ParsingState) -> Frame:
    """The frame of one episode: its words, the arcs so far, stack and buffer.

    Args:
        task: The rules.
        state: A batch of one.
    """
    row = int(state.row[0])
    sample, none = task.sample(row), task.transitions.none
    front = task.transitions.look(state)
    here = {int(front.s0[0]), int(front.b0[0])}
    over = bool((state.heads == -1).any())
    pieces, arcs = [], []
    for place, word in enumerate(sample.words):
        head, relation = int(state.heads[0, place]), int(state.relations[0, place])
        if head == none:
            pieces.append(Piece(word, "here" if place in here and not over else "dim"))
            continue
        label, gold = task.relations[relation], ""
        if sample.gold is not None and sample.labels is not None:
            right = (sample.gold[place], sample.labels[place]) == (head + 1, label)
            gold = "" if right else f"{sample.labels[place]} {sample.gold[place]}"
        mark = "here" if place in here and not over else "wrong" if gold else "chosen"
        pieces.append(Piece(word, mark, label, gold))
        arcs.append(Arc(place, head, label, gold))
    n = int(task.position(state)[0])
    return Frame(task.title(row), f"word {n}/{len(sample.words)}", pieces, arcs)
