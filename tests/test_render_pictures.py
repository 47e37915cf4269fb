"""Pictures of a frame: what is seen of marks, long texts, scripts and characters without a font."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ImageColor

from nlp_gym.errors import InvalidArgumentError
from nlp_gym.registration import ENVS
from nlp_gym.render import MARKS, RENDER_MODES, Frame, Piece, draw, glyphs, picture, tagging_frame
from nlp_gym.render.layout import Column, Row, clipped
from nlp_gym.tasks.core.make import make_task

SHAPE = (picture.HEIGHT, picture.WIDTH, 3)
UNKNOWN = "\U0010fffd"
"""A character for private use, which no font of this package has."""


def show(*pieces, reward=0.0, title="corpus/test 1", place="word 1/2"):
    return draw("rgb_array", Frame(title, place, pieces), reward)


def has(image, colour):
    """Whether some pixels of the picture are of a colour."""
    return bool((image == ImageColor.getrgb(colour)).all(axis=2).any())


def words_of(row):
    return [placed.unit.text for placed in row.placed]


@pytest.fixture
def bare(monkeypatch):
    """As on a machine that has no font."""
    monkeypatch.setattr(glyphs, "_system_fonts", tuple)
    for cached in (glyphs._font_of, glyphs.text_width):
        cached.cache_clear()
    yield
    for cached in (glyphs._font_of, glyphs.text_width):
        cached.cache_clear()


def test_every_mode_draws_the_same_frame(capsys):
    frame = Frame("corpus/test 7", "word 1/2", [Piece("Oslo", "chosen", "B-LOC"), Piece("wins")])
    for mode in RENDER_MODES:
        drawn = draw(mode, frame, 0.5)
        if mode == "rgb_array":
            assert drawn.shape == SHAPE
            assert drawn.dtype == np.uint8
            assert has(drawn, picture._PASTEL[frame.pieces[0].colour])
            continue
        drawn = capsys.readouterr().out if mode == "human" else drawn
        for part in ("corpus/test 7", "word 1/2", "reward +0.500", "Oslo", "B-LOC", "wins"):
            assert part in drawn


def test_marks_differ_in_colour():
    chosen, wrong = show(Piece("a", "chosen", "LOC")), show(Piece("a", "wrong", "LOC", "PER"))
    here, plain, dim = (show(Piece("a", mark)) for mark in ("here", "plain", "dim"))
    fill = picture._PASTEL[Piece("a", "chosen", "LOC").colour]
    assert has(chosen, fill)
    assert has(wrong, fill)
    assert has(wrong, picture._WRONG)
    assert not has(chosen, picture._WRONG)
    assert has(here, picture._HERE)
    assert not has(plain, picture._HERE)
    assert dim[64:].sum() > plain[64:].sum()  # lighter
    pictures = {image.tobytes() for image in (chosen, wrong, here, plain, dim)}
    assert len(pictures) == 5


def test_the_four_kinds_of_names_differ_in_colour():
    for labels in (["PER", "LOC", "ORG", "MISC"], ["ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM"]):
        assert len({Piece("a", "chosen", label).colour for label in labels}) == len(labels)
    assert Piece("a", "chosen", "B-PER").colour == Piece("a", "chosen", "I-PER").colour


@pytest.mark.parametrize(("reward", "sign"), [(1.0, 1), (-0.125, -1), (0.0, 0)])
def test_reward_is_green_or_red_or_grey(reward, sign):
    for other, (fill, _) in picture._REWARD.items():
        assert has(show(Piece("a"), reward=reward), fill) == (other == sign)


def test_title_place_label_and_gold_are_seen():
    shown = {
        show(*pieces, **header).tobytes()
        for pieces, header in (
            ([Piece("a", "wrong", "LOC", "PER")], {}),
            ([Piece("a", "wrong", "LOC", "ORG")], {}),
            ([Piece("a", "wrong", "LOC")], {}),
            ([Piece("b", "wrong", "LOC", "PER")], {}),
            ([Piece("a", "wrong", "LOC", "PER")], {"title": "corpus/test 2"}),
            ([Piece("a", "wrong", "LOC", "PER")], {"place": "word 2/2"}),
            ([Piece("a", "wrong", "LOC", "PER")], {"reward": 0.25}),
            ([Piece("a", "wrong", "LOC", "PER")], {"reward": 0.5}),
        )
    }
    assert len(shown) == 8


def test_a_long_text_is_shown_around_the_decision():
    words = [f"w{i}" for i in range(2000)]
    for decided in (0, 700, 1500, 1999):
        frame = tagging_frame("t", words, ["O"] * decided, None, neutral="O")
        column = Column(frame.pieces, picture.SIZES[-1], 896)
        shown = clipped(column, 350)
        rows = [row for row in shown if isinstance(row, Row)]
        seen = [word for row in rows for word in words_of(row)]
        near = range(max(decided - 20, 0), min(decided + 20, 2000))
        assert set(seen) >= {f"w{i}" for i in near}
        assert column.height(rows) <= 350
        assert len(rows) + sum(row for row in shown if isinstance(row, int)) == len(column.rows)
        assert has(draw("rgb_array", frame, 0.0), picture._HERE)


def test_question_answer_and_the_place_in_a_long_text_are_shown_together():
    pieces = [Piece(f"w{i}", "chosen" if i == 900 else "plain") for i in range(2000)]
    pieces += [Piece("Question: where ?", line=True), Piece("Answer: there", "here", line=True)]
    column = Column(pieces, picture.SIZES[-1], 896)
    seen = [w for row in clipped(column, 350) if isinstance(row, Row) for w in words_of(row)]
    assert {"w0", "w880", "w900", "w920", "Question:", "Answer:"} <= set(seen)


def test_short_texts_are_set_in_large_type():
    def first_row_height(text):
        dark = (show(Piece(text))[64:] < 128).all(axis=2).any(axis=1)
        start = int(dark.argmax())
        return int(dark[start:].argmin())

    short, middle, long = (first_row_height("HH " * n) for n in (10, 100, 2000))
    assert short > middle > long


def test_a_word_wider_than_the_picture_is_broken_and_a_label_is_cut():
    pieces = [Piece("x" * 500, "chosen", "label " * 100)]
    column = Column(pieces, 20, 896)
    texts = [word for row in column.rows for word in words_of(row)]
    assert "".join(texts) == "x" * 500
    assert len(texts) > 5
    (note,) = [placed.unit.note for row in column.rows for placed in row.placed if placed.unit.note]
    assert note.endswith("…")


@pytest.mark.slow
def test_words_and_labels_of_a_million_letters_are_drawn():
    million = "x" * 1_000_001
    image = show(Piece(million, "here", million), title=million)
    assert image.shape == SHAPE
    assert has(image, picture._HERE)


def test_lines_of_the_text_and_of_the_frame_are_kept():
    pieces = [Piece("one two\nthree"), Piece("four"), Piece("five", line=True)]
    rows = Column(pieces, 20, 896).rows
    assert [words_of(row) for row in rows] == [["one", "two"], ["three", "four"], ["five"]]
    assert [row.first for row in rows] == [True, False, True]


def test_chinese_is_broken_between_characters_but_not_before_a_full_stop():
    text = "我们在哈尔滨第一次看到了雪。" * 20
    rows = Column([Piece(text)], 20, 300).rows
    lines = ["".join(words_of(row)) for row in rows]
    assert "".join(lines) == text
    assert all(len(line) > 10 for line in lines[:-1])
    assert not any(line.startswith("。") for line in lines)


def test_arabic_and_hebrew_run_from_right_to_left():
    pieces = [Piece("أعلنت"), Piece("وزارة"), Piece("Siemens"), Piece("Energy"), Piece("في")]
    (row,) = Column(pieces, 20, 896).rows
    assert words_of(row) == ["في", "Siemens", "Energy", "وزارة", "أعلنت"]
    assert row.placed[-1].x + row.placed[-1].width == pytest.approx(896)
    pieces = [Piece("He"), Piece("said"), Piece("שלום עולם"), Piece("twice")]
    (row,) = Column(pieces, 20, 896).rows
    assert words_of(row) == ["He", "said", "עולם", "שלום", "twice"]
    assert row.placed[0].x == 0


def test_labels_stand_where_a_word_ends():
    column = Column([Piece("Oslo", "chosen", "LOC"), Piece("القاهرة", "chosen", "LOC")], 20, 896)
    (row,) = column.rows
    latin, arabic = (column.offsets(placed.unit) for placed in row.placed)
    assert latin[0] < latin[1]
    assert arabic[1] < arabic[0]


def test_fonts_of_the_package_have_what_the_samples_are_written_in(bare):
    kinds = {(row.task, row.dataset): row.id for row in ENVS}.values()
    for env_id in kinds:
        task = make_task(env_id, encoder="hashed", corpus="sample")
        letters = {c for sample in task.corpus.samples for word in sample.words for c in word}
        for run in glyphs.runs("".join(sorted(letters))):
            assert run.font is not None, (env_id, run.text)
    for text in (
        "Grüße",
        "Łódź",
        "Ἀχιλλεύς",
        "Москва",
        "سلام",
        "שלום",
        "中文",
        "日本語",
        "한국어",
        "😂",
    ):
        assert all(run.font for run in glyphs.runs(text)), text


def test_a_character_without_a_font_is_a_box_with_its_code_point(bare):
    assert [run.font for run in glyphs.runs(UNKNOWN)] == [None]
    one, other = show(Piece(UNKNOWN)), show(Piece("\U0010fffc"))
    assert one[64:].min() < 128
    assert not np.array_equal(one, other)
    assert glyphs.text_width(UNKNOWN * 2, 20) == 2 * glyphs.text_width(UNKNOWN, 20) > 20


def test_marks_and_joiners_stay_with_their_character(bare):
    (run,) = glyphs.runs("e\u0301")
    assert run.font == glyphs.BUNDLED[0]
    (run,) = glyphs.runs("👩\u200d👧\ufe0f")
    assert run.font == glyphs.BUNDLED[2]
    (run,) = glyphs.runs(f"{UNKNOWN}\u200d{UNKNOWN}")
    assert run.text == UNKNOWN * 2  # a joiner would be a box of its own


def test_fonts_can_be_named(bare, monkeypatch, tmp_path):
    before = show(Piece("plain"))
    monkeypatch.setenv(glyphs.VARIABLE, glyphs.BUNDLED[1])
    (run,) = glyphs.runs("中")
    assert run.font == glyphs.BUNDLED[1]
    monkeypatch.setenv(glyphs.VARIABLE, str(tmp_path / "none.ttf"))
    with pytest.raises(InvalidArgumentError, match=r"NLP_GYM_FONTS.*none\.ttf"):
        list(glyphs.runs("new"))
    monkeypatch.delenv(glyphs.VARIABLE)
    assert np.array_equal(before, show(Piece("plain")))


any_text = st.text(st.characters(), max_size=40)  # lone surrogates and control characters too
any_piece = st.builds(Piece, any_text, st.sampled_from(MARKS), any_text, any_text, st.booleans())


@settings(max_examples=60, deadline=None)
@given(st.lists(any_piece, max_size=12), any_text, any_text)
def test_any_frame_is_drawn_inside_the_picture(pieces, title, place):
    image = show(*pieces, title=title, place=place)
    assert image.shape == SHAPE
    column = Column(pieces, 20, 400)
    for row in column.rows:
        assert row.placed
        for placed in row.placed:
            assert placed.x >= 0
            assert placed.x + placed.width <= 400 + 1e-6
        ends = [placed.x + placed.width for placed in row.placed]
        starts = [placed.x for placed in row.placed]
        assert all(a <= b for a, b in zip(ends, starts[1:], strict=False))
