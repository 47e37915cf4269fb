"""Arcs between words: their heights, the lines of a terminal, and SVG."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt
import pytest

from nlp_gym.render import Arc, Frame, Piece, draw
from nlp_gym.render.picture import HEIGHT, WIDTH, picture
from nlp_gym.render.tree import MOST_WORDS, levels, tree_lines, tree_svg
from nlp_gym.render.tree_picture import TreeColumn

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


def pixels(words: list[str], arcs: list[Arc], mark: str = "plain") -> npt.NDArray[np.uint8]:
    return picture(Frame("t", "p", [Piece(w, mark) for w in words], arcs, tree=True), 0.0)


def chain(n: int) -> list[Arc]:
    return [Arc(i, i - 1, "x") for i in range(n)]


def test_rows_of_a_picture_have_every_word_once_and_every_arc_at_both_ends() -> None:
    words = [f"word{i}" for i in range(40)]
    column = TreeColumn([Piece(word) for word in words], chain(40), 16, 400)
    assert [text for row in column.rows for text in row.texts] == words
    assert len(column.rows) > 2
    for row in column.rows:
        rights = [left + wide for left, wide in zip(row.lefts, row.widths, strict=True)]
        assert all(r <= left for r, left in zip(rights, row.lefts[1:], strict=False))
        assert rights[-1] <= 400
    seen = [arc for row in column.rows for arc in row.heights]
    assert set(seen) == set(chain(40))
    assert len(seen) == 40 + len(column.rows) - 1  # those between two rows are drawn in both


def test_words_from_right_to_left_stand_so() -> None:
    words = ["הילדה", "קוראת", "ספר"]
    (row,) = TreeColumn([Piece(word) for word in words], chain(3), 16, 400).rows
    assert list(row.lefts) == sorted(row.lefts, reverse=True)
    assert max(left + wide for left, wide in zip(row.lefts, row.widths, strict=True)) <= 400
    svg = ElementTree.fromstring(tree_svg(words, chain(3)))
    at = {text.text: float(text.attrib["x"]) for text in svg.iter("text")}
    assert at["הילדה"] > at["קוראת"] > at["ספר"]


def test_a_picture_shows_arcs_and_wrong_ones_in_red() -> None:
    words = ["The", "cat", "slept"]
    bare = pixels(words, [])
    right = pixels(words, [Arc(0, 1, "det")])
    wrong = pixels(words, [Arc(0, 1, "det", "amod 2")])
    red = [bool(((p[..., 0] > 180) & (p[..., 1] < 90)).any()) for p in (bare, right, wrong)]
    assert red == [False, False, True]
    assert not np.array_equal(bare, right)


@pytest.mark.parametrize(
    ("words", "arcs"),
    [
        ([], []),
        (["a"], [Arc(0, -1, "root")]),
        (["w" * 5000, "睡", ""], [Arc(1, 0, "r" * 3000), Arc(2, 1, "x")]),
        ([f"w{i}" for i in range(2000)], chain(2000)),
        ([f"w{i}" for i in range(60)], [Arc(i, 59, "x") for i in range(59)]),
    ],
    ids=["empty", "one", "long words", "many words", "deep"],
)
def test_any_tree_has_a_picture(words: list[str], arcs: list[Arc]) -> None:
    for mark in ("plain", "here"):
        assert pixels(words, arcs, mark).shape == (HEIGHT, WIDTH, 3)
