"""Arcs between words: their heights, the lines of a terminal, and SVG."""

from __future__ import annotations

from xml.etree import ElementTree

from nlp_gym.render import Arc, Frame, Piece, draw
from nlp_gym.render.tree import MOST_WORDS, levels, tree_lines, tree_svg

WORDS = ("The", "cat", "<b>", "睡")
ARCS = [Arc(0, 1, "det"), Arc(1, 3, "nsubj"), Arc(2, 1, "acl", "amod 4"), Arc(3, -1, "root")]


def test_arcs_lie_above_those_that_they_span() -> None:
    heights = levels(ARCS)
    assert [heights.get(arc) for arc in ARCS] == [1, 2, 1, None]
    crossing = [Arc(0, 2, "a"), Arc(1, 3, "b")]
    assert sorted(levels(crossing).values()) == [1, 2]


def test_lines_point_from_heads_to_words() -> None:
    assert tree_lines(WORDS, ARCS) == [
        "  ┌─→ The  det",
        "┌─┌─→ cat  nsubj",
        "│ └─→ <b>  acl!amod 4",
        "└──── 睡   root",
    ]
    assert tree_lines(["a", "b"], []) == ["  a", "  b"]


def test_svg_is_well_formed_and_says_what_it_shows() -> None:
    svg = ElementTree.fromstring(tree_svg(WORDS, ARCS))
    texts = [text.text for text in svg.iter("text")]
    assert {"The", "cat", "<b>", "睡", "det", "nsubj", "acl", "root"} == set(texts)
    assert "睡: root of the sentence" in svg.attrib["aria-label"]
    assert len(list(svg.iter("g"))) == len(ARCS)
    assert [t.text for t in svg.iter("title")][2] == "acl (gold amod 4)"


def test_of_a_long_text_the_first_words_are_drawn() -> None:
    words = [f"w{i}" for i in range(2000)]
    arcs = [Arc(i, i - 1, "x") for i in range(2000)]
    lines = tree_lines(words, arcs)
    assert len(lines) == MOST_WORDS + 1
    assert lines[-1] == f"… {2000 - MOST_WORDS} more words"
    assert "more" in tree_svg(words, arcs)


def test_frames_with_arcs_show_the_tree() -> None:
    frame = Frame("t", "p", [Piece(word) for word in WORDS], ARCS)
    assert "┌─→ The  det" in draw("ansi", frame, 0.0)
    page = draw("html", frame, 0.0)
    assert "<svg" in page
    assert "<b>" not in page
    bare = Frame("t", "p", [Piece(word) for word in WORDS])
    assert "<svg" not in draw("html", bare, 0.0)
