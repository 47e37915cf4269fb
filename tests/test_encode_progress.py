from __future__ import annotations

from nlp_gym.encode import encode_texts, load_encoder, progress
from nlp_gym.encode.progress import bar, piece


def test_encode_progress_piece_moves_the_outer_bar_by_whole_units():
    told: list[int] = []
    with piece(told.append, 10), bar(7, "token", show=True) as advance:
        for _ in range(9):  # more than promised
            advance(1)
    assert sum(told) == 10
    assert all(isinstance(units, int) and units >= 0 for units in told)
    assert len([units for units in told if units]) > 3


def test_encode_progress_work_without_a_bar_of_its_own_is_counted():
    told: list[int] = []
    with piece(told.append, 10):
        pass
    assert told == [10]


def test_encode_progress_is_silent_when_quick_or_unwanted(capsys):
    encoder = load_encoder("hashed")
    for show in (True, False, None):
        encode_texts([["a", "b"]], encoder, progress=show)
    assert capsys.readouterr().err == ""


def test_encode_progress_shows_on_stderr_when_it_takes_long(capsys, monkeypatch):
    monkeypatch.setattr(progress, "_DELAY_S", 0.0)
    encode_texts([["a", "b"]], load_encoder("hashed"), progress=True)
    captured = capsys.readouterr()
    assert "2.00/2.00" in captured.err
    assert captured.out == ""
