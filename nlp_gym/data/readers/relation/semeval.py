"""Reader of SemEval-2010 Task 8: two marked nominals, one relation (Hendrickx et al. 2010)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from nlp_gym.data.readers.relation.pairs import Pair, Span, cut_words, pair_sample
from nlp_gym.data.readers.shared.base import Options, Parsed
from nlp_gym.data.readers.shared.decoding import Problem
from nlp_gym.data.readers.shared.json_tools import RowError

OTHER = "Other"
"""Label of a pair with none of the nine relations."""

_SENTENCE = re.compile(r"[0-9]+\t(.*)")
_MARK = re.compile(r"</?e[12]>")
_RELATION = re.compile(r"[^\s()]+(?:\((?:e1,e2|e2,e1)\))?")


def parse(lines: list[str], name: str, options: Options) -> Parsed:
    r"""Read blocks of ``id<TAB>"sentence"``, relation and ``Comment: ...``, split by blank lines.

    The sentence marks its two nominals, ``<e1>...</e1>`` and ``<e2>...</e2>``; the relation is
    ``Name(e1,e2)``, ``Name(e2,e1)`` or a name alone (``Other``). Comments are ignored. Without
    gold, sentences alone are enough (the official test file). The head of the pair is e1 and its
    tail e2; the label has the direction of the relation.
    """
    parsed = Parsed()
    for line, sentence, relation in _blocks(lines, parsed):
        if options.gold and not relation:
            parsed.problems.append(Problem(line, "the sentence's relation is missing (next line)"))
            continue
        if options.gold and not _RELATION.fullmatch(relation):
            message = f"{relation!r} is no relation: 'Name(e1,e2)', 'Name(e2,e1)' or a name alone"
            parsed.problems.append(Problem(line + 1, message))
            continue
        try:
            words, pair = _unmark(sentence)
        except RowError as error:
            parsed.problems.append(Problem(line, str(error)))
            continue
        labels = {pair: relation} if options.gold else None
        sample = pair_sample(words, [pair], labels, name=name, line=line, parsed=parsed, none=OTHER)
        parsed.samples += [sample] if sample else []
    return parsed


def _blocks(lines: list[str], parsed: Parsed) -> Iterator[tuple[int, str, str]]:
    """Yield (line, sentence, relation) of each block; a missing relation is ``""``."""
    line, sentence, relation = 0, None, ""
    for number, text in enumerate(lines, 1):
        found = _SENTENCE.fullmatch(text)
        if (found or not text.strip()) and sentence is not None:
            yield line, sentence, relation
            sentence = None
        if found:
            line, sentence, relation = number, found[1], ""
        elif sentence is not None and number == line + 1 and not text.startswith("Comment:"):
            relation = text.strip()
        elif text.strip() and not text.startswith("Comment:"):
            message = f"{text[:40]!r} is neither a sentence (number, tab, text) nor follows one"
            parsed.problems.append(Problem(number, message))
    if sentence is not None:
        yield line, sentence, relation


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
