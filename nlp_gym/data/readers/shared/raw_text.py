"""Reader of raw text, one text per line, for prediction."""

from __future__ import annotations

from nlp_gym.data.readers.shared.base import Parsed, Reader, TaggedText, add_samples
from nlp_gym.data.readers.shared.decoding import Problem
from nlp_gym.data.readers.shared.options import Options
from nlp_gym.data.text.tokenize import split_words


def parse(lines: list[str], name: str, options: Options) -> Parsed:
    """Read one text per line; blank lines are skipped. Gold is a problem: there are no labels."""
    parsed = Parsed()
    if options.gold:
        message = "plain text has no labels: it can be predicted on, not trained or evaluated on"
        parsed.problems.append(Problem(1, message))
        return parsed
    found = (cut_text(line, number) for number, line in enumerate(lines, 1))
    texts = [text for text in found if text is not None]
    return add_samples(texts, name, options, parsed)


def cut_text(text: str, line: int) -> TaggedText | None:
    """Cut a raw text into words, without labels; None if it has no words.

    `extra` gets the text and the (start, end) of each word, in characters.
    """
    found = split_words(text)
    if not found:
        return None
    spans = tuple((start, end) for _, start, end in found)
    words = [word for word, _, _ in found]
    return TaggedText(words, [], [line] * len(words), {"text": text, "spans": spans})


TEXT = Reader("text", (), parse, "one text per line, for prediction")
"""The format of raw text, for the families that predict on it."""
