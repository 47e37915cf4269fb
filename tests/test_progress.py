from __future__ import annotations

from nlp_gym import progress
from nlp_gym.encode import encode_texts, load_encoder
from nlp_gym.progress import part_of_bar, progress_bar


def test_progress_part_moves_the_enclosing_bar_by_whole_units():
    told: list[int] = []
    with (
        part_of_bar(told.append, 10),
        progress_bar(7, "", unit="tokens", show=True) as advance,
    ):
        for _ in range(9):  # more than promised
            advance(1)
    assert sum(told) == 10
    assert all(isinstance(units, int) and units >= 0 for units in told)
    assert len([units for units in told if units]) > 3


def test_progress_part_without_a_bar_of_its_own_is_counted():
    told: list[int] = []
    with part_of_bar(told.append, 10):
        pass
    assert told == [10]


def test_progress_is_silent_when_quick_or_unwanted(capsys):
    encoder = load_encoder("hashed")
    for show in (True, False, None):
        encode_texts([["a", "b"]], encoder, progress=show)
    assert capsys.readouterr().err == ""


def test_progress_shows_on_stderr_when_it_takes_long(capsys, monkeypatch):
    monkeypatch.setattr(progress, "DELAY_S", 0.0)
    encode_texts([["a", "b"]], load_encoder("hashed"), progress=True)
    captured = capsys.readouterr()
    assert "2/2 words" in captured.err
    assert captured.out == ""


def test_progress_shows_bytes_and_never_more_than_all_of_them(capsys, monkeypatch):
    monkeypatch.setattr(progress, "DELAY_S", 0.0)
    with progress_bar(3_000_000, "get [file]", unit="bytes", show=True) as advance:
        advance(2_000_000)
        advance(2_000_000)
    assert "get [file]" in (shown := capsys.readouterr().err)
    assert "3.0/3.0 MB" in shown
