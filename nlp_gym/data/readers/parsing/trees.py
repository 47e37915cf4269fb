"""Reader of the family "parsing": dependency trees in CoNLL-U, one head and relation a word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from sys import intern
from typing import Any

from nlp_gym.data.readers.shared import raw_text
from nlp_gym.data.readers.shared.base import Parsed, Reader, note_long_text
from nlp_gym.data.readers.shared.conllu_rows import (
    COLUMNS,
    DEPREL,
    FORM,
    HEAD,
    are_attached,
    head_rows,
    is_skipped,
    row_fault,
)
from nlp_gym.data.readers.shared.decoding import Problem
from nlp_gym.data.readers.shared.json_tools import (
    RowError,
    checked_int,
    checked_list,
    checked_strings,
    json_samples,
)
from nlp_gym.data.readers.shared.json_tools import (
    field as key_of,
)
from nlp_gym.data.readers.shared.options import Options
from nlp_gym.types import NO_EXTRA, Sample


def has_trees(lines: list[str]) -> bool:
    """Whether lines look like CoNLL-U whose words have heads."""
    rows = head_rows(lines)
    return bool(rows) and are_attached(rows)


@dataclass
class _Sentence:
    """A sentence while it is read.

    Attributes:
        words: Its words.
        heads: Number of the head of each, 0 for the root.
        relations: Relation of each to its head.
        lines: Line of each.
        rows: All its lines, where no gold is read: a predicted tree is written into them.
        bad: Whether a row of it is bad.
    """

    words: list[str] = field(default_factory=list)
    heads: list[int] = field(default_factory=list)
    relations: list[str] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    rows: list[str] = field(default_factory=list)
    bad: bool = False


def parse(lines: list[str], name: str, options: Options) -> Parsed:
    """Read trees in CoNLL-U: multi-word tokens (``3-4``) and empty nodes (``8.1``) are skipped.

    A sample has the words, the relation of each as its label (with subtype, ``nsubj:pass``) and, as
    gold, the number of each word's head: from 1, and 0 for the root. What is no tree with one root
    is a problem, on the line of the word that makes it so. Lines that begin with ``#`` or with
    `options.comments` are comments.

    Without gold, `extra` has the sentence's lines (``rows``, without comments of the other prefix)
    and, where a comment gives one, its ``id``.
    """
    parsed, shared, comments = Parsed(), dict[str, str](), options.comments
    sentence, expected, n_bad = _Sentence(), 1, 0
    for number, line in enumerate([*lines, ""], 1):
        if not line or line.isspace():
            if sentence.words or sentence.bad:
                n_bad += not _finish(sentence, name, options, parsed)
            sentence, expected = _Sentence(), 1
            continue
        if line[0] != "#" and comments and line.startswith(comments):
            continue
        if not options.gold:
            sentence.rows.append(line)
        if line[0] == "#":
            continue
        cells = line.split("\t")
        key = cells[0]
        if len(cells) == 10 and not key.isdigit() and is_skipped(key):
            continue
        problem = row_fault(cells, expected, COLUMNS["upos"], False)
        if problem is None and options.gold:
            problem = _arc_fault(cells)
        expected = int(key) + 1 if key.isdecimal() and len(key) < 10 else expected + 1
        if problem is not None:
            parsed.problems.append(Problem(number, problem))
            sentence.bad = True
            continue
        sentence.words.append(intern(cells[FORM]))
        sentence.lines.append(number)
        if options.gold:
            sentence.heads.append(int(cells[HEAD]))
            sentence.relations.append(shared.setdefault(cells[DEPREL], cells[DEPREL]))
    parsed.n_bad = n_bad
    return parsed


def _finish(sentence: _Sentence, name: str, options: Options, parsed: Parsed) -> bool:
    """Make a sample of a sentence that was read; False where it is bad."""
    if not sentence.bad and options.gold:
        fault = tree_fault(sentence.heads)
        if fault is not None:
            word, message = fault
            parsed.problems.append(Problem(sentence.lines[word], message))
            sentence.bad = True
    if sentence.bad:
        return False
    note_long_text(len(sentence.words), sentence.lines[0], parsed)
    where, gold = f"{name}:{sentence.lines[0]}", options.gold
    labels = tuple(sentence.relations) if gold else None
    heads = tuple(sentence.heads) if gold else None
    extra = NO_EXTRA if gold else _source(sentence.rows)
    parsed.samples.append(Sample(tuple(sentence.words), labels, where, extra, heads))
    return True


def _source(rows: list[str]) -> dict[str, Any]:
    """What `Sample.extra` keeps of a sentence's lines: the lines, and the id among them."""
    names = (row.partition("=") for row in rows if row[0] == "#")
    ids = [value.strip() for name, _, value in names if name[1:].strip() == "sent_id"]
    return {"rows": tuple(rows), **({"id": ids[0]} if ids else {})}


def _arc_fault(cells: list[str]) -> str | None:
    """What is wrong with head and relation of a row; None if nothing is."""
    word, head, relation = cells[FORM], cells[HEAD], cells[DEPREL]
    if not (head.isascii() and head.isdecimal() and len(head) < 10):
        hint = " (if the file has tags and no trees, POS-v0 reads it)" if head == "_" else ""
        needed = "where the number of a word is needed, or 0"
        return f"HEAD of the word {word!r} is {head!r}, {needed}{hint}"
    if relation == "_" or not relation.strip():
        return f"the word {word!r} has no relation (DEPREL)"
    return None


def tree_fault(heads: Sequence[int]) -> tuple[int, str] | None:
    """Why heads are no tree with one root.

    Args:
        heads: Number of each word's head, from 1; 0 for the root.

    Returns:
        Index of the word that makes it so, and what is wrong; None where nothing is.
    """
    n = len(heads)
    for word, head in enumerate(heads):
        if not 0 <= head <= n:
            return word, f"the head of word {word + 1} is {head}, and the sentence has {n} words"
        if head == word + 1:
            return word, f"word {word + 1} is its own head"
    roots = [word for word, head in enumerate(heads) if head == 0]
    if not roots:
        return 0, "no word of the sentence has the head 0: a tree has one root"
    if len(roots) > 1:
        numbers = " and ".join(str(root + 1) for root in roots[:2])
        return roots[1], f"words {numbers} have the head 0: a tree has one root"
    reached = [0] * n  # the number of the walk that came to a word
    for word in range(n):
        at = word
        while at >= 0 and not reached[at]:
            reached[at] = word + 1
            at = heads[at] - 1
        if at >= 0 and reached[at] == word + 1:
            return (
                word,
                f"word {word + 1} is not under the root: its heads form a cycle",
            )
    return None


def parse_jsonl(lines: list[str], name: str, options: Options) -> Parsed:
    """Read one object per line: ``{"words": [...], "heads": [...], "relations": [...]}``.

    These are the records that ``nlp-gym predict`` writes.
    """
    parsed = Parsed()

    def sample(row: dict[str, Any], number: int) -> Sample:
        words = tuple(map(intern, checked_strings(key_of(row, "words"), "words", least=1)))
        labels: tuple[str, ...] | None = None
        heads: tuple[int, ...] | None = None
        n = len(words)
        if options.gold:
            given = checked_list(key_of(row, "heads"), "heads")
            heads = tuple(checked_int(head, "heads", high=n) for head in given)
            labels = tuple(map(intern, checked_strings(key_of(row, "relations"), "relations")))
            if len(heads) != n or len(labels) != n:
                raise RowError(f"{n} words, {len(heads)} heads and {len(labels)} relations")
            if (fault := tree_fault(heads)) is not None:
                raise RowError(fault[1])
        note_long_text(n, number, parsed)
        return Sample(words, labels, f"{name}:{number}", NO_EXTRA, heads)

    return json_samples(lines, parsed, sample)


FORMATS: tuple[Reader, ...] = (
    Reader(
        "conllu",
        (".conllu", ".conllx"),
        parse,
        "Universal Dependencies and CoNLL-X, ten columns: HEAD and DEPREL are read",
        has_trees,
        takes=frozenset(("comments",)),
    ),
    Reader(
        "jsonl",
        (".jsonl", ".json", ".ndjson"),
        parse_jsonl,
        'one object per line: {"words", "heads", "relations"}',
    ),
    raw_text.TEXT,
)
"""Readers of dependency trees."""
