"""Reader of CoNLL columns: one word per line, its label in the last, blank lines in between."""

from __future__ import annotations

import itertools

from nlp_gym.data.readers.shared.base import Parsed, TaggedText, add_samples, line_numbers
from nlp_gym.data.readers.shared.decoding import Problem
from nlp_gym.data.readers.shared.options import Options
from nlp_gym.data.readers.tagging.conll_layout import (
    DOCUMENT,
    Layout,
    find_layout,
    is_comment,
    is_part_number,
    split_cells,
)


def parse(lines: list[str], name: str, options: Options) -> Parsed:
    """Read columns separated by tabs (lines with a tab) or by spaces.

    The word is the first column, the label the last one. `options.word_column` and `options.column`
    name others, by their number from 0 (or, if negative, from the end) or by their name in a first
    line that names the columns (``TOKEN XPOS``), which is recognised. So is a column that counts
    the words of each sentence from 1 or 0: the words are in the next one then.

    Lines of white space separate sentences; so do ``-DOCSTART-`` rows, which are skipped. Every row
    must have as many columns as most of the first rows. Lines that begin with `options.comments`
    are skipped; without it only those at the beginning of a sentence that have a known form (see
    `is_comment`).
    """
    parsed = Parsed()
    layout = find_layout(lines, options, parsed)
    if layout is None:
        return parsed
    texts = _texts(lines, layout, options.gold, parsed)
    return add_samples(texts, name, options, parsed)


def _texts(lines: list[str], layout: Layout, gold: bool, parsed: Parsed) -> list[TaggedText]:
    texts, comments = list[TaggedText](), list[int]()
    words, labels, at, bad = list[str](), list[str](), list[int](), False
    width, word_at, label_at, skipped = layout.width, layout.word, layout.label, layout.skipped
    counter = None if layout.number is None else _Counter(layout)
    # One string object per distinct label and word, which is then known not to be blank.
    known_labels, known_words = dict[str, str](), dict[str, str]()
    for number, line in enumerate(itertools.chain(lines, [""]), 1):
        if not line or line.isspace():
            cells = None
        elif "\t" in line:
            cells = split_cells(line)
        else:
            cells = line.split(" ")
            if "" in cells:
                cells = [cell for cell in cells if cell]
        if cells is None or cells[0] == DOCUMENT:
            if words or bad:
                texts.append(TaggedText(words, labels, line_numbers(at), bad=bad, shared=True))
                words, labels, at, bad = [], [], [], False
            if counter is not None:
                counter.end_sentence()
            continue
        if skipped and number in skipped:
            continue
        if not words and line[0] == "#" and not bad and is_comment(line, len(cells), width):
            comments.append(number)
            continue
        fault = None
        if len(cells) != width:
            fault = _width(line, len(cells), width)
        elif counter is not None and (fault := counter.fault(cells)) is not None:
            if not fault:
                continue
        else:
            word, label = cells[word_at], cells[label_at]
            if word not in known_words:
                if word and not word.isspace():
                    known_words[word] = word
                else:
                    fault = "the word is empty"
            if label not in known_labels:
                if not gold or (label and not label.isspace()):
                    known_labels[label] = label
                else:
                    fault = fault or f"the label of {word!r} is empty"
            if fault is None:
                words.append(known_words[word])
                labels.append(known_labels[label])
                at.append(number)
                continue
        parsed.problems.append(Problem(number, fault))
        bad = True
    if comments:
        message = f"{len(comments)} comment(s) at the beginning of sentences are skipped"
        parsed.notes.append(Problem(comments[0], message))
    return texts


def _width(line: str, n_cells: int, width: int) -> str:
    fault = f"{n_cells} column(s) where the file has {width}"
    return f"{fault}; comments='#' skips lines that begin with '#'" if line[0] == "#" else fault


class _Counter:
    """Checks the column that counts the words of each sentence."""

    def __init__(self, layout: Layout) -> None:
        assert layout.number is not None
        self.column, self.restarts = layout.number, layout.restarts
        self.expected: int | None = None

    def end_sentence(self) -> None:
        if self.restarts:
            self.expected = None

    def fault(self, cells: list[str]) -> str | None:
        """What is wrong with the number of a row; ``""``: it is no word's; None: nothing is."""
        key = cells[self.column]
        if is_part_number(key):
            return ""
        number = int(key) if key.isdecimal() and len(key) < 10 else None
        expected = self.expected if self.expected is not None else int(number != 0)
        self.expected = (expected if number is None else number) + 1
        if number == expected:
            return None
        return (
            f"the word's number is {key!r}, expected '{expected}': is a blank line missing? "
            f"(word_column={self.column + 1} takes the words whatever their numbers are)"
        )
