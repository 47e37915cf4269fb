"""What a person sees of a tree that is being made."""

from __future__ import annotations

from collections.abc import Sequence

from nlp_gym.render import Arc, Frame, Piece
from nlp_gym.tasks.parsing.transitions import ParsingState, System
from nlp_gym.types import Sample


def tree_frame(
    sample: Sample,
    title: str,
    labels: Sequence[str],
    transitions: System,
    state: ParsingState,
    read: int,
) -> Frame:
    """The frame of one episode: its words, the arcs so far, stack and buffer.

    Args:
        sample: The sentence.
        title: What stands above it.
        labels: Relations.
        transitions: The system.
        state: A batch of one.
        read: Words that are off the buffer.
    """
    none = transitions.none
    front = transitions.look(state)
    here = {int(front.s0[0]), int(front.b0[0])}
    over = bool((state.heads == -1).any())
    pieces, arcs = [], []
    for place, word in enumerate(sample.words):
        head, relation = int(state.heads[0, place]), int(state.relations[0, place])
        if head == none:
            pieces.append(Piece(word, "here" if place in here and not over else "dim"))
            continue
        label, gold = labels[relation], ""
        if sample.gold is not None and sample.labels is not None:
            right = (sample.gold[place], sample.labels[place]) == (head + 1, label)
            gold = "" if right else f"{sample.labels[place]} {sample.gold[place]}"
        mark = "here" if place in here and not over else "wrong" if gold else "chosen"
        pieces.append(Piece(word, mark, label, gold))
        arcs.append(Arc(place, head, label, gold))
    return Frame(title, f"word {read}/{len(sample.words)}", pieces, arcs)
