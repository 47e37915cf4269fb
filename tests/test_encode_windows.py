from __future__ import annotations

import numpy as np
import pytest

from nlp_gym.encode.transformer.subwords import SubWords
from nlp_gym.encode.transformer.windows import batches, plan_windows


def subwords(texts: list[list[int]]) -> SubWords:
    """Build texts from the number of sub-words of each word."""
    counts = np.array([count for text in texts for count in text], np.int64)
    starts = np.concatenate([[0], np.cumsum(counts)])
    words = np.concatenate([[0], np.cumsum([len(text) for text in texts])]).astype(int)
    return SubWords(np.arange(starts[-1], dtype=np.int32), starts[words], starts)


def random_texts(seed: int, longest_word: int) -> list[list[int]]:
    rng = np.random.default_rng(seed)
    sizes = [0, 1, 5, 19, 20, 21, 39, 41, 300]
    return [rng.integers(1, longest_word + 1, size).tolist() for size in rng.permutation(sizes)]


@pytest.mark.parametrize("room", [1, 2, 7, 20])
@pytest.mark.parametrize("longest_word", [1, 4, 60])
def test_encode_windows_cover_every_token_within_its_text(room, longest_word):
    tokens = subwords(random_texts(room, longest_word))
    plan = plan_windows(tokens, room)
    token = np.arange(len(tokens.ids))
    assert (plan.starts[plan.token_window] <= token).all()
    assert (token < plan.stops[plan.token_window]).all()
    assert (plan.stops - plan.starts <= room).all()
    text = np.searchsorted(tokens.offsets, plan.starts, side="right") - 1
    assert (plan.stops <= tokens.offsets[text + 1]).all()
    assert (plan.starts < plan.stops).all()


def test_encode_windows_short_texts_are_one_window_each():
    plan = plan_windows(subwords([[1] * 20, [2, 2], [], [20]]), 20)
    assert plan.starts.tolist() == [0, 20, 24]
    assert plan.stops.tolist() == [20, 24, 44]


def test_encode_windows_each_word_stays_whole_and_has_the_most_context():
    room = 20
    tokens = subwords(random_texts(3, 5))
    plan = plan_windows(tokens, room)
    for text in range(len(tokens.offsets) - 1):
        begin, end = tokens.offsets[text], tokens.offsets[text + 1]
        mine = np.flatnonzero((plan.starts >= begin) & (plan.stops <= end))
        for word in np.flatnonzero((tokens.word_starts >= begin) & (tokens.word_starts < end)):
            first, last = tokens.word_starts[word], tokens.word_starts[word + 1]
            chosen = set(plan.token_window[first:last].tolist())
            assert len(chosen) == 1

            left = np.where(plan.starts > begin, first - plan.starts, 10**6)
            right = np.where(plan.stops < end, plan.stops - last, 10**6)
            context = np.minimum(left, right)
            assert context[chosen.pop()] == context[mine].max()


def test_encode_windows_long_text_has_context_on_both_sides():
    tokens = subwords([[1] * 2000])
    plan = plan_windows(tokens, 510)
    token = np.arange(2000)
    left = token - plan.starts[plan.token_window]
    right = plan.stops[plan.token_window] - 1 - token
    inner = (token > 255) & (token < 2000 - 255)
    assert np.minimum(left, right)[inner].min() >= 510 // 4


def test_encode_windows_batches_hold_each_window_once_within_the_budget():
    tokens = subwords(random_texts(0, 3))
    plan = plan_windows(tokens, 20)
    found = list(batches(plan, extra=2, budget=64))
    assert sorted(np.concatenate(found).tolist()) == list(range(len(plan.starts)))
    for chosen in found:
        longest = int((plan.stops - plan.starts)[chosen].max()) + 2
        assert len(chosen) * longest <= 64
    assert [len(c) for c in batches(plan, extra=2, budget=1)] == [1] * len(plan.starts)
