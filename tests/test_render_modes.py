"""All modes show the same: every text, mark, label, gold and reward of a frame."""

from __future__ import annotations

import io
import os
import re
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlp_gym.registration import ENVS
from nlp_gym.render import MARKS, Frame, Piece, draw, picture
from nlp_gym.render.layout import Column, note_of
from nlp_gym.render.text import SPOKEN, signs
from nlp_gym.tasks.core.make import make_task

KINDS = list({(row.task, row.dataset, str(row.kwargs)): row.id for row in reversed(ENVS)}.values())
CODES = {"dim": r"\x1b\[2m", "here": r"\x1b\[7m", "wrong": r"\x1b\[4;31m"}
CODES["chosen"] = r"\x1b\[4;(?!31m)\d\dm"
CODES["dropped"] = r"\x1b\[2;9m"


class Heard(HTMLParser):
    """What is on a page, with the class of each element in brackets before its text."""

    def __init__(self, page):
        super().__init__()
        self.text, self.marks, self.open = "", [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        if tag == "br":
            return
        kind = dict(attributes).get("class", tag)
        self.open.append(kind)
        if kind in MARKS:
            self.marks.append(kind)

    def handle_endtag(self, tag):
        self.open.pop()

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data


def find_in_order(drawn, parts):
    """Fail unless each part stands in the text, after those before it."""
    at = 0
    for part in parts:
        found = drawn.find(part, at)
        assert found >= 0, (part, drawn[at : at + 80])
        at = found + len(part)


def check_all_modes(frame, reward):
    """What `draw` must do with a frame in every mode."""
    seen = frame.inert()
    header = [seen.title, seen.place, f"reward {reward:+.3f}"]
    marks = [piece.mark for piece in seen.pieces if piece.mark != "plain"]
    parts = [[part for part in (p.text, p.label, p.gold) if part] for p in seen.pieces]

    coloured = draw("ansi", frame, reward)
    find_in_order(coloured, header + [part for piece in parts for part in piece])
    for mark, code in CODES.items():
        assert len(re.findall(code, coloured)) == marks.count(mark)

    page = Heard(draw("html", frame, reward))
    assert page.open == []
    find_in_order(page.text, header + [part for piece in parts for part in piece])
    assert page.marks == marks
    told = re.findall(r'"spoken">([^:]*): <', draw("html", frame, reward))
    assert set(told) == {SPOKEN[mark] for mark in marks}

    # Without codes, what is left of both is the same text; signs stand in place of the codes.
    plain = signs(seen, reward)
    assert "\x1b" not in plain
    find_in_order(plain, header + [part for piece in parts for part in piece])
    if not any(re.search(r"[][{}<>~]", part) for piece in parts for part in piece):
        body = plain.split("\n", 1)[1]
        assert (
            re.sub(r"[][{}<>~]", "", body)
            == re.sub(r"\x1b\[[\d;]*m", "", coloured).split("\n", 1)[1]
        )
        assert body.count(">") == body.count("<") == marks.count("here")
        assert body.count("[") == body.count("]") == marks.count("chosen") + marks.count("wrong")
        assert bool(body.count("{")) == ("dim" in marks)
        assert body.count("~") == 2 * marks.count("dropped")

    column = Column(seen.pieces, picture.SIZES[-1], picture.WIDTH)
    texts, notes = [""] * len(parts), [""] * len(parts)
    for row in column.rows:
        for unit, _, _ in row.placed:
            notes[unit.piece] += unit.note
    for line in column.rows:
        in_reading_order = sorted(line.placed, key=lambda placed: placed.unit.piece)
        for unit, _, _ in in_reading_order:
            texts[unit.piece] += unit.text
    for piece, text, note in zip(seen.pieces, texts, notes, strict=True):
        assert sorted(text) == sorted("".join(piece.text.split()))  # right to left is turned
        whole = note_of(piece)
        assert note == whole or (note.endswith("…") and whole.startswith(note[:-1]))


@pytest.mark.parametrize("env_id", KINDS)
def test_every_mode_shows_the_same_of_an_episode_with_mistakes(env_id):
    task = make_task(env_id, encoder="hashed", corpus="sample")
    rng = np.random.default_rng(0)
    kinds = set()
    for row in range(2):
        state = task.initial(np.array([row]))
        for step in range(8):
            frame = task.frame(state, 0)
            kinds |= {piece.mark for piece in frame.pieces}
            check_all_modes(frame, 0.5 - step)
            legal = np.flatnonzero(task.mask(state)[0])
            action = task.oracle(state) if step % 2 else rng.choice(legal, 1)
            if task.transition(state, action)[1].any():
                check_all_modes(task.frame(state, 0).at_the_end(), 1.0)
                break
    assert kinds - {"plain"}


any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
any_piece = st.builds(Piece, any_text, st.sampled_from(MARKS), any_text, any_text, st.booleans())


@settings(max_examples=50, deadline=None)
@given(st.lists(any_piece, max_size=6), any_text, any_text, st.floats(-9, 9))
def test_every_mode_shows_the_same_of_any_frame(pieces, title, place, reward):
    check_all_modes(Frame(title, place, pieces), reward)


FRAME = Frame(
    "t",
    "word 3/6",
    [
        Piece("EU", "chosen", "ORG"),
        Piece("in", "wrong", "LOC", "O"),
        Piece("a", "wrong"),
        Piece("b"),
        Piece("c", "here"),
        Piece("d", "dim"),
        Piece("e", "dim"),
        Piece("f", "dim", "reference", line=True),
    ],
)
SIGNS = "[EU]/ORG [in]/LOC!O [a]! b >c< {d e}\n  {f}/reference\n"


def test_signs_stand_for_colours():
    assert signs(FRAME, 0.0) == f"t  word 3/6  reward +0.000\n{SIGNS}"


def test_people_at_a_pipe_see_signs(capsys, monkeypatch):
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    draw("human", FRAME, 0.0)
    assert capsys.readouterr().out.endswith(SIGNS)


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs terminals as Unix has them")
@pytest.mark.parametrize(
    ("environment", "colours"),
    [
        ({"TERM": "xterm-256color"}, True),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
        ({"TERM": "linux", "NO_COLOR": ""}, True),  # the convention: an empty value says nothing
    ],
)
def test_people_at_a_terminal_see_colours_where_it_has_them(monkeypatch, environment, colours):
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    master, slave = os.openpty()
    with os.fdopen(slave, "w", encoding="utf-8") as terminal, monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", terminal)
        draw("human", FRAME, 0.0)
        terminal.flush()
        shown = os.read(master, 10_000).decode().replace("\r\n", "\n")
    os.close(master)
    assert ("\x1b[7mc\x1b[0m" in shown) == colours
    assert shown.endswith(SIGNS) != colours


def test_a_terminal_without_unicode_shows_what_it_lacks_by_number(monkeypatch):
    raw = io.BytesIO()
    terminal = io.TextIOWrapper(raw, encoding="cp1252", newline="")
    monkeypatch.setattr(sys, "stdout", terminal)
    draw("human", Frame("t", "word 1/2", [Piece("Zoë"), Piece("中", "here")]), 0.0)
    terminal.flush()
    assert raw.getvalue().decode("cp1252").endswith("Zoë >\\u4e2d<\n")


def test_a_page_is_for_every_reader():
    page = draw("html", FRAME, 0.0)
    for rule in ("print-color-adjust:exact", "mark{color:#1f2328", "currentColor"):
        assert rule in page  # paper, and dark pages
    assert 'role="group" aria-label="t, word 3/6"' in page
    hostile = draw("html", Frame('"><script>', "<b>", [Piece("<i>", "here", "&", "'")]), 0.0)
    assert not re.search(r"<(script|b|i)>", hostile)
    assert Heard(hostile).text.startswith('"><script> · <b>')
