"""What there is to see of an episode: marked pieces of text."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from nlp_gym.checks import check_name
from nlp_gym.inert import visible
from nlp_gym.render.tree import Arc

MARKS = ("plain", "dim", "here", "chosen", "wrong", "dropped")

COLOURS = 10
"""How many colours a label can have."""

_FIRST = 8724  # with it, the labels of CoNLL-2003, WNUT-17, CoNLL-04 and TREC differ in colour


@dataclass(frozen=True)
class Piece:
    """A stretch of text with one mark.

    Attributes:
        text: The text.
        mark: ``"plain"``; ``"dim"``: not reached yet; ``"here"``: what is decided on now;
            ``"chosen"``: decided; ``"wrong"``: decided, and not as the gold has it; ``"dropped"``:
            struck out.
        label: The decision, shown beside the text; it also sets the colour.
        gold: What the gold says where the decision is wrong.
        line: Begins a line of its own.
    """

    text: str
    mark: str = "plain"
    label: str = ""
    gold: str = ""
    line: bool = False

    def __post_init__(self) -> None:
        """Check `mark`."""
        check_name("mark", self.mark, MARKS)

    @property
    def colour(self) -> int:
        """Index of the label's colour; B-X and I-X share one, the same in every process."""
        kind = self.label.removeprefix("B-").removeprefix("I-")
        return zlib.crc32(kind.encode(), _FIRST) % COLOURS


@dataclass(frozen=True)
class Frame:
    """What a person sees of an episode.

    Attributes:
        title: Corpus, split and sample.
        place: How far the episode is, such as ``"word 3/12"``.
        pieces: The text.
        arcs: Arcs of a tree between the pieces, which are its words.
        tree: Whether the pieces are words of a tree, which may have no arc yet.
    """

    title: str
    place: str
    pieces: Sequence[Piece]
    arcs: Sequence[Arc] = ()
    tree: bool = False

    def inert(self) -> Frame:
        """The frame with all texts as `nlp_gym.inert.visible` has them."""
        pieces = [
            replace(
                piece,
                text=visible(piece.text),
                label=visible(piece.label),
                gold=visible(piece.gold),
            )
            for piece in self.pieces
        ]
        arcs = [replace(arc, label=visible(arc.label), gold=visible(arc.gold)) for arc in self.arcs]
        return replace(
            self, title=visible(self.title), place=visible(self.place), pieces=pieces, arcs=arcs
        )

    def at_the_end(self) -> Frame:
        """The frame of an episode that is over: not every last action, such as STOP, is seen."""
        return replace(self, place=f"{self.place} (end)")


def tagging_frame(
    title: str,
    words: Sequence[str],
    labels: Sequence[str],
    gold: Sequence[str] | None,
    *,
    neutral: str | None = None,
) -> Frame:
    """The frame of a text that is labelled word by word.

    Args:
        title: As in `Frame`.
        words: The text.
        labels: Decisions so far, one for each of the first words.
        gold: Gold labels, or None.
        neutral: Label that is not drawn where it is right (``"O"``), or None.
    """
    pieces = []
    for i, word in enumerate(words):
        if i >= len(labels):
            pieces.append(Piece(word, "here" if i == len(labels) else "dim"))
        elif gold is not None and labels[i] != gold[i]:
            pieces.append(Piece(word, "wrong", labels[i], gold[i]))
        elif labels[i] == neutral:
            pieces.append(Piece(word))
        else:
            pieces.append(Piece(word, "chosen", labels[i]))
    return Frame(title, f"word {len(labels)}/{len(words)}", pieces)
