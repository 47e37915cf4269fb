"""Reader of Tatoeba's English-Chinese pairs, all splits in one file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nlp_gym.data.readers.generation.parallel import pair_rows
from nlp_gym.data.readers.generation.references import generation_sample, one_line
from nlp_gym.data.readers.shared.base import Options, Parsed, Reader
from nlp_gym.data.readers.shared.decoding import Problem
from nlp_gym.data.readers.shared.json_tools import RowError
from nlp_gym.data.text.hash_order import rank
from nlp_gym.data.text.tokenize import split_words

COLUMNS = ("en", "zh")
"""Languages of the columns."""
HELD_OUT = ("dev", "test")
PART = 20  # one in so many groups is dev, another one test

Side = tuple[str, ...]
Row = tuple[int, str, str]


def parse_tatoeba(lines: list[str], name: str, options: Options) -> Parsed:
    """Read ``English<TAB>Chinese`` a line; `options.pair` ``"zh-en"`` turns them round.

    Rows with one source are one sample with several references. With `options.split` only that
    split's: pairs that share a side, directly or through others, are a group, groups are ranked by
    the sha256 of the English side that sorts first, and the first twentieth of them is dev, the
    second one test. So no sentence of either language is in two splits, and the splits of both
    directions are the same pairs.
    """
    parsed = Parsed()
    rows = pair_rows(lines, parsed, gold=True)
    if options.split is not None:
        rows = _part(rows, options.split, parsed)
    if options.pair == "-".join(reversed(COLUMNS)):
        rows = [(number, chinese, english) for number, english, chinese in rows]
    merged: dict[str, tuple[int, list[str]]] = {}
    for number, source, target in rows:
        merged.setdefault(one_line(source), (number, []))[1].append(target)
    for source, (number, targets) in merged.items():
        try:
            references = targets if options.gold else None
            parsed.samples.append(generation_sample(source, references, f"{name}:{number}"))
        except RowError as error:
            parsed.problems.append(Problem(number, str(error)))
    return parsed


def _part(rows: list[Row], split: str, parsed: Parsed) -> list[Row]:
    """Rows of one split; a problem where there are too few to split."""
    english = [_words(row[1]) for row in rows]
    groups = _groups(english, [_words(row[2]) for row in rows])
    firsts: dict[int, Side] = {}
    for group, words in zip(groups, english, strict=True):
        firsts[group] = min(words, firsts.get(group, words))
    if len(firsts) < 3:
        message = f"too few pairs to split: {len(firsts)} that share no side, 3 are needed"
        parsed.problems.append(Problem(1, message))
        return []
    part_of = _parts(firsts)
    return [row for row, group in zip(rows, groups, strict=True) if part_of[group] == split]


def _parts(firsts: Mapping[int, Side]) -> dict[int, str]:
    """The split of each group, by the English side of it that sorts first."""
    ranked = sorted(firsts, key=lambda group: (rank(0, firsts[group]), firsts[group]))
    size = max(1, round(len(ranked) / PART))
    ends = [part for part in HELD_OUT for _ in range(size)]
    parts = ends + ["train"] * (len(ranked) - len(ends))
    return dict(zip(ranked, parts, strict=True))


def _groups(left: Sequence[Side], right: Sequence[Side]) -> list[int]:
    """A number for each pair, equal for those that share a side, directly or through others."""
    parents = list(range(len(left)))

    def root(i: int) -> int:
        while parents[i] != i:
            parents[i] = parents[parents[i]]
            i = parents[i]
        return i

    for sides in (left, right):
        seen: dict[Side, int] = {}
        for i, words in enumerate(sides):
            parents[root(i)] = root(seen.setdefault(words, i))
    return [root(i) for i in range(len(left))]


def _words(text: str) -> Side:
    return tuple(word for word, _, _ in split_words(text))


ROWS: tuple[Reader, ...] = (
    Reader("tatoeba", (), parse_tatoeba, "English, tab, Chinese; the file holds all splits"),
)
