"""Reader of SemEval-2010 Task 8: two marked nominals, one relation (Hendrickx et al. 2010)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from nlp_gym.data.readers.relation.pairs import Pair, Span, cut_words, pair_sample
from nlp_gym.data.readers.shared.base import Parsed
from nlp_gym.data.readers.shared.decoding import Problem
from nlp_gym.data.readers.shared.json_tools import RowError
from nlp_gym.data.readers.shared.label_spelling import trim
from nlp_gym.data.readers.shared.options import Options
from nlp_gym.errors import shown

OTHER = "Other"
"""Label of a pair with none of the nine relations."""

_SENTENCE = re.compile(r"[0-9]+\t(.*)")
_MARK = re.compile(r"</?e[12]>")
_RELATION = re.compile(r"[^\s()]+(?:\((?:e1,e2|e2,e1)\))?")


@dataclass
class _Block:
    """A sentence with what follows it, up to the next one or a blank line.

    Attributes:
        line: Line of the sentence.
        sentence: The sentence.
        relation: Its relation; ``""``: it is missing.
        fault: Whether a line of the block cannot be read.
    """

    line: int
    sentence: str
    relation: str = ""
    fault: bool = False


def parse(lines: list[str], name: str, options: Options) -> Parsed:
    r"""Read blocks of ``id<TAB>"sentence"``, relation and ``Comment: ...``, split by blank lines.

    The sentence marks its two nominals, ``<e1>...</e1>`` and ``<e2>...</e2>``; the relation is
    ``Name(e1,e2)``, ``Name(e2,e1)`` or a name alone (``Other``). Comments are ignored; they may go
    on up to the next blank line. Without gold, sentences alone are enough (the official test file).
    The head of the pair is e1 and its tail e2; the label has the direction of the relation.
    """
    parsed = Parsed(n_bad=0)
    for block in _blocks(lines, parsed):
        problem, sample = None, None
        if block.fault:
            problem = block.line, ""
        elif options.gold and not block.relation:
            problem = block.line, "the sentence's relation is missing (next line)"
        elif options.gold and not _RELATION.fullmatch(block.relation):
            message = "is no relation: 'Name(e1,e2)', 'Name(e2,e1)' or a name alone"
            problem = block.line + 1, f"{shown(block.relation)} {message}"
        else:
            try:
                words, pair = _unmark(block.sentence)
                labels = {pair: block.relation} if options.gold else None
                sample = pair_sample(
                    words, [pair], labels, name=name, line=block.line, parsed=parsed, none=OTHER
                )
            except RowError as error:
                problem = block.line, str(error)
        if problem is not None:
            parsed.n_bad = (parsed.n_bad or 0) + 1
            parsed.problems += [Problem(*problem)] if problem[1] else []
        parsed.samples += [sample] if sample else []
    return parsed


def _blocks(lines: list[str], parsed: Parsed) -> Iterator[_Block]:
    """Yield each block; other lines become problems of `parsed`."""
    block: _Block | None = None
    comment = False
    for number, text in enumerate(lines, 1):
        found = _SENTENCE.fullmatch(text)
        blank = not text.strip()
        if (found or blank) and block is not None:
            yield block
            block = None
        comment = not found and not blank and (comment or text.startswith("Comment:"))
        if found:
            block = _Block(number, found[1])
        elif blank or comment:
            continue
        elif block is not None and number == block.line + 1:
            block.relation = trim(text)
        else:
            message = f"{shown(text)} is neither a sentence (number, tab, text) nor follows one"
            parsed.problems.append(Problem(number, message))
            if block is None:
                parsed.n_bad = (parsed.n_bad or 0) + 1
            else:
                block.fault = True
    if block is not None:
        yield block


def _unmark(sentence: str) -> tuple[list[str], Pair]:
    """Words of a sentence without its marks, and the spans of e1 and e2."""
    sentence = sentence.strip()
    if len(sentence) > 1 and sentence[0] == sentence[-1] == '"':
        sentence = sentence[1:-1]
    at: dict[str, int] = {}
    text, position = "", 0
    for mark in _MARK.finditer(sentence):
        text += sentence[position : mark.start()]
        position = mark.end()
        if mark[0] in at:
            raise RowError(f"{mark[0]} is there twice")
        at[mark[0]] = len(text)
    text += sentence[position:]
    spans: list[Span] = []
    for k in (1, 2):
        if f"<e{k}>" not in at or f"</e{k}>" not in at:
            raise RowError(f"the sentence needs one <e{k}> and one </e{k}>")
        spans.append((at[f"<e{k}>"], at[f"</e{k}>"]))
    words, word_spans = cut_words(text, spans)
    for k, span in enumerate(spans, 1):
        if span not in word_spans:
            raise RowError(f"there is no word between <e{k}> and </e{k}>")
    return words, (word_spans[spans[0]], word_spans[spans[1]])
