"""Raw text, one text a line, for prediction."""

from __future__ import annotations

from nlp_gym.data.readers.shared.base import Options, Parsed, Rows, finish
from nlp_gym.data.readers.shared.decoding import Problem
from nlp_gym.data.text.tokenize import split_words


def parse(lines: list[str], name: str, options: Options) -> Parsed:
    """Read one text a line; blank lines are skipped. There are no labels, so gold cannot be had."""
    parsed = Parsed()
    if options.gold:
        message = "plain text has no labels: it can be predicted on, not trained or evaluated on"
        parsed.problems.append(Problem(1, message))
        return parsed
    texts = []
    for number, line in enumerate(lines, 1):
        rows = text_rows(line, number)
        if rows is not None:
            texts.append(rows)
    return finish(texts, name, options, parsed)


def text_rows(text: str, line: int) -> Rows | None:
    """Cut a raw text into words; None if there are none.

    `extra` keeps the text and the (start, end) of each word, in characters.
    """
    found = split_words(text)
    if not found:
        return None
    spans = tuple((start, end) for _, start, end in found)
    words = [word for word, _, _ in found]
    return Rows(words, [], [line] * len(words), {"text": text, "spans": spans})
