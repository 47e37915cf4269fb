"""Reader of Tatoeba's English-Chinese pairs, which has all splits in one file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nlp_gym.data.readers.generation.parallel import pair_rows
from nlp_gym.data.readers.generation.references import generation_sample, one_line
from nlp_gym.data.readers.shared.base import Parsed, Reader
from nlp_gym.data.readers.shared.decoding import Problem
from nlp_gym.data.readers.shared.json_tools import RowError
from nlp_gym.data.readers.shared.options import Options
from nlp_gym.data.text.hash_order import hash_rank
from nlp_gym.data.text.tokenize import split_words

COLUMNS = ("en", "zh")
"""Languages of the columns."""
HELD_OUT = ("dev", "test")
HELD_OUT_SHARE = 20  # a twentieth of the groups is dev, another one test

Side = tuple[str, ...]
"""Words of one side of a pair."""
Row = tuple[int, str, str]
"""Line number, English and Chinese text."""


def parse_tatoeba(lines: list[str], name: str, options: Options) -> Parsed:
    """Read one ``English<TAB>Chinese`` per line; `options.pair` ``"zh-en"`` swaps them.

    Rows with the same source make one sample with several references. With `options.split` only the
    rows of that split are read. Pairs that share a side, directly or through others, form a group;
    groups are ranked by the sha256 of their English side that sorts first; the first twentieth of
    them is dev and the second is test. So no sentence of either language is in two splits, and both
    directions have the same pairs in a split.
    """
    parsed = Parsed()
    rows = pair_rows(lines, parsed, gold=True)
    if options.split is not None:
        rows = _rows_of_split(rows, options.split, parsed)
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


def _rows_of_split(rows: list[Row], split: str, parsed: Parsed) -> list[Row]:
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
    split_of = _splits(firsts)
    return [row for row, group in zip(rows, groups, strict=True) if split_of[group] == split]


def _splits(firsts: Mapping[int, Side]) -> dict[int, str]:
    """The split of each group, from its English side that sorts first."""
    ranked = sorted(firsts, key=lambda group: (hash_rank(0, firsts[group]), firsts[group]))
    size = max(1, round(len(ranked) / HELD_OUT_SHARE))
    ends = [part for part in HELD_OUT for _ in range(size)]
    parts = ends + ["train"] * (len(ranked) - len(ends))
    return dict(zip(ranked, parts, strict=True))


def _groups(left: Sequence[Side], right: Sequence[Side]) -> list[int]:
    """Number of the group of each pair: pairs that share a side, directly or through others."""
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


FORMATS: tuple[Reader, ...] = (
    Reader("tatoeba", (), parse_tatoeba, "English, tab, Chinese; the file holds all splits"),
)
