"""Answers of span question answering for people: their text, and a drawing of an episode."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nlp_gym.types import Sample

if TYPE_CHECKING:
    from nlp_gym.envs.render import Frame

Span = tuple[int, int]


def answer_of(sample: Sample, words: Span) -> tuple[str, int, int]:
    """Text of an answer and its characters [start, end) in the passage.

    Args:
        sample: The question.
        words: First and last word; -1: none, which gives an empty text.
    """
    if words[0] < 0:
        return "", 0, 0
    spans, text = sample.extra["spans"], sample.extra["text"]
    start, end = spans[words[0]][0], spans[max(words)][1]
    return text[start:end], start, end


def span_frame(title: str, sample: Sample, words: Span, stop: int) -> Frame:
    """Drawing of an episode: passage, question, and once it is there the answer.

    Args:
        title: As in `Frame`.
        sample: The question.
        words: First and last word chosen; -1: not yet.
        stop: Words from here on cannot be chosen.
    """
    from nlp_gym.envs.render import Frame, Piece

    first, last = words
    inside = range(first, max(first, last) + 1) if first >= 0 else range(0)
    golds = sample.gold or ()
    good = {i for _, begin, end in golds for i in range(begin, end + 1)}
    pieces = []
    for i, word in enumerate(sample.words):
        mark = "dim" if i >= stop or (first >= 0 and last < 0 and i < first) else "plain"
        if i in inside:
            mark = "chosen" if i in good or not golds else "wrong"
        pieces.append(Piece(word, mark, "answer" if i == first else ""))
    pieces.append(Piece("Question: " + " ".join(sample.extra["question"]), line=True))
    if first >= 0:
        right = not golds or (first, max(words)) in {answer[1:] for answer in golds}
        text = answer_of(sample, words)[0]
        gold = "" if right or last < 0 else " / ".join(answer[0] for answer in golds)
        mark = "here" if last < 0 else "chosen" if right else "wrong"
        pieces.append(Piece("Answer: " + text, mark, gold=gold, line=True))
    return Frame(title, f"decision {(first >= 0) + (last >= 0)}/2", pieces)
