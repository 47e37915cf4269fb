"""What a person sees of a tree that is being made."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from nlp_gym.render import Arc, Frame, Piece
from nlp_gym.types import Sample


def tree_frame(
    title: str,
    read: int,
    sample: Sample,
    arcs: Sequence[tuple[int, str] | None],
    here: Collection[int],
) -> Frame:
    """The frame of one episode: its words, and the arcs so far.

    Args:
        title: As in `Frame`.
        read: Words that have been read.
        sample: The sentence.
        arcs: Head (a place, -1 for the root) and relation of each word; None: it has none yet.
        here: Places of the words that the next decision is about.
    """
    pieces, drawn = [], []
    for place, (word, arc) in enumerate(zip(sample.words, arcs, strict=True)):
        if arc is None:
            pieces.append(Piece(word, "here" if place in here else "dim"))
            continue
        head, label = arc
        gold = ""
        if sample.gold is not None and sample.labels is not None:
            right = (sample.gold[place], sample.labels[place]) == (head + 1, label)
            gold = "" if right else f"{sample.labels[place]} {sample.gold[place]}"
        mark = "here" if place in here else "wrong" if gold else "chosen"
        pieces.append(Piece(word, mark, label, gold))
        drawn.append(Arc(place, head, label, gold))
    return Frame(title, f"word {read}/{len(sample.words)}", pieces, drawn, tree=True)
