"""Units of span question answering: question and passage encoded together, in windows if long."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from nlp_gym.encode.transformer.subwords import SubWords
from nlp_gym.encode.transformer.windows import plan_windows
from nlp_gym.tasks.core.tables import Tables, TextIndex
from nlp_gym.types import Int64Array, Observation, Sample, Tokens, Units

if TYPE_CHECKING:
    from nlp_gym.encode import Encoder

# English words that say little of what a question is about.
_LIST = (
    "a about after all also an and any are as at be been before between both but by can could did "
    "do does during for from had has have he her his how i if in into is it its many may more most "
    "much name of on one or other our out over she so some such than that the their them there "
    "these they this those to under up was we were what when where which while who whom whose why "
    "will with would you your"
)
_FUNCTION_WORDS = frozenset(_LIST.split())


FLAGS = ("overlap", "near", "dense")
"""Marks of words of the passage; see `question_flags`."""

_NEAR, _AROUND = 5, 15


def question_flags(samples: Sequence[Sample], width: int) -> dict[str, npt.NDArray[np.int8]]:
    """Marks (N, width) of where a passage speaks of what is asked, by their names in `FLAGS`.

    A word of the passage *overlaps* if the question has it too: case is ignored, function words and
    words without a letter or digit do not count. `near`: at least one such word among the 5 words
    on either side, the word itself included; `dense`: at least 3 among the 15 on either side. An
    encoder that was not trained to read questions with passages hardly tells this by itself.
    """
    flags = {name: np.zeros((len(samples), width), np.int8) for name in FLAGS}
    for row, sample in enumerate(samples):
        asked = {w.casefold() for w in sample.extra["question"] if any(map(str.isalnum, w))}
        asked -= _FUNCTION_WORDS
        words = sample.words[: width + _AROUND]  # what comes after marks no word that is shown
        here = np.array([word.casefold() in asked for word in words])
        marks = (here, _count_around(here, _NEAR) > 0, _count_around(here, _AROUND) > 2)
        for table, mark in zip(flags.values(), marks, strict=True):
            table[row, : len(here)] = mark[:width]
    return flags


def _count_around(marks: npt.NDArray[np.bool_], reach: int) -> Int64Array:
    """(T,) how many of `marks` are at most `reach` away from each place."""
    total = np.append(0, np.cumsum(marks))
    place = np.arange(len(marks))
    last = np.minimum(place + reach + 1, len(marks))
    return np.asarray(total[last] - total[np.maximum(place - reach, 0)], np.int64)


def joint_units(samples: Sequence[Sample], encoder: Encoder) -> Units:
    """Units of each row in turn: the question (the mean of its words), then words of the passage.

    A text for the encoder is the question followed by the passage. Where both together are longer
    than the encoder takes, the passage is cut into windows that overlap by half, each with the
    question in front, and a word takes its vector from the window where it has most context.

    Args:
        samples: N questions.
        encoder: Whose limit counts.
    """
    passages = TextIndex()
    number = [passages.add(sample.words) for sample in samples]
    of_passages = encoder.tokenize(passages.texts)
    of_questions = encoder.tokenize([sample.extra["question"] for sample in samples])
    room = of_passages.max_length - 2
    texts: list[tuple[str, ...]] = []
    spans: list[Int64Array] = []
    seconds: list[int] = []
    for row, sample in enumerate(samples):
        asked = _fitting(sample.extra["question"], _word_sizes(of_questions, row), room // 2)
        lengths = _word_sizes(of_passages, number[row])
        left = room - int(_word_sizes(of_questions, row)[: len(asked)].sum())
        spans.append(np.array([[len(texts), 0, len(asked)]]))
        for first, stop, begin, end in _windows(lengths, left):
            own = np.arange(begin, end) - first + len(asked)
            spans.append(np.stack([np.full_like(own, len(texts)), own, own + 1], axis=1))
            texts.append((*asked, *sample.words[first:stop]))
            seconds.append(len(asked))
    return Units(texts, np.concatenate(spans).astype(np.int64), seconds=np.array(seconds, np.int64))


def span_tables(sizes: Int64Array, width: int) -> Tables:
    """Tables over the units of `joint_units`: candidates are words, the context is the question.

    Slots are numbered like units: that of a chosen word is the word's unit, and the first slot of a
    row, where nothing is chosen yet, has none.

    Args:
        sizes: (N,) words of each passage.
        width: How many of them can be chosen, C.
    """
    offsets = np.cumsum(sizes + 1) - sizes - 1
    n_units = int((sizes + 1).sum())
    chosen = np.arange(n_units)
    chosen[offsets] = -1
    word = np.arange(width)
    candidates = np.where(word < sizes[:, None], offsets[:, None] + 1 + word, -1)
    return Tables.build(
        n_units,
        offsets=offsets,
        context=chosen[:, None],
        row_units=offsets[:, None],
        candidates=candidates[..., None],
    )


def _word_sizes(tokens: Tokens, text: int) -> Int64Array:
    """(T,) sub-words of each word of a text."""
    first, stop = np.searchsorted(tokens.word_starts, tokens.offsets[text : text + 2])
    return np.diff(tokens.word_starts[first : stop + 1])


def _fitting(words: Sequence[str], sizes: Int64Array, room: int) -> tuple[str, ...]:
    """The first words, at least one, that have no more than `room` sub-words."""
    return tuple(words[: max(1, int(np.searchsorted(np.cumsum(sizes), room, side="right")))])


def _windows(sizes: Int64Array, room: int) -> Iterator[tuple[int, int, int, int]]:
    """Windows (first word, stop) and the words [begin, end) that take their vectors from each."""
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    offsets = starts[[0, -1]]
    plan = plan_windows(SubWords(np.zeros(0, np.int32), offsets, starts), room)
    window = plan.token_window[starts[:-1]]  # ascending
    bounds = np.searchsorted(window, np.arange(len(plan.starts) + 1)).tolist()
    windows = zip(plan.starts.tolist(), plan.stops.tolist(), pairwise(bounds), strict=True)
    for a, b, (begin, end) in windows:
        if begin < end:
            first = min(int(np.searchsorted(starts, a)), begin)
            stop = max(int(np.searchsorted(starts, b, side="right")) - 1, end)
            yield first, stop, begin, end


class JointTokens:
    """`tokens` observations: the question, then the passage from its beginning, as sub-word ids.

    Args:
        samples: N questions.
        encoder: Whose sub-words they are.
        max_tokens: The length L, unless the encoder takes less; of longer texts the end is not
            seen.
        max_words: Words C of a passage that can be chosen.
    """

    def __init__(
        self, samples: Sequence[Sample], encoder: Encoder, *, max_tokens: int, max_words: int
    ) -> None:
        joint = [(*sample.extra["question"], *sample.words) for sample in samples]
        self._tokens = encoder.tokenize(joint)
        self.length, self._width = min(max_tokens, self._tokens.max_length), max_words
        asked = np.array([len(sample.extra["question"]) for sample in samples])
        words = np.append(0, np.cumsum([len(text) for text in joint]))
        self._first = words[:-1] + asked  # word at which each passage begins
        self._stop = words[1:]

    def spaces(self) -> dict[str, spaces.Space[Any]]:
        """`input_ids`, `attention_mask` (L,) and `word_starts` (C,)."""
        n = self.length
        return {
            "input_ids": spaces.Box(0, self._tokens.vocab_size - 1, (n,), np.int32),
            "attention_mask": spaces.Box(0, 1, (n,), np.int8),
            "word_starts": spaces.Box(0, n - 1, (self._width,), np.int32),
        }

    def observe(self, state: Any) -> Observation:
        """Arrays of the keys of `spaces`; `word_starts` is 0 for words not seen or not there."""
        tokens, row = self._tokens, state.row
        begin = tokens.offsets.take(row)[:, None]
        size = np.minimum(tokens.offsets.take(row + 1)[:, None] - begin, self.length - 2)
        column = np.arange(-1, self.length - 1)
        body = tokens.ids.take(begin + column, mode="clip")
        ids = np.where(column == size, tokens.eos_id, np.where(column < size, body, tokens.pad_id))
        ids[:, 0] = tokens.bos_id
        word = self._first.take(row)[:, None] + np.arange(self._width)
        place = tokens.word_starts.take(word, mode="clip") - begin
        seen = (word < self._stop.take(row)[:, None]) & (place < size)
        return {
            "input_ids": ids.astype(np.int32),
            "attention_mask": (column <= size).astype(np.int8),
            "word_starts": np.where(seen, place + 1, 0).astype(np.int32),
        }
