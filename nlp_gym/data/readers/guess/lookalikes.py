"""Layouts that look like a format and would be read wrongly: another order, another corpus.

Each function says what a file seems to be instead, with the options that read it; ``""``: nothing.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Sequence

_FEW = 5  # so few rows say little
_TAG = re.compile(r"O|[BEIMSLU][-_]\S+|[BIO]", re.IGNORECASE)
_SLASHED = re.compile(r"[^\s/_|]\S*[/_|][A-Z$.,:'`\"#()-]{1,8}[0-9$]?")
_CELL_AFTER = re.compile(r"[^,;|]*([,;|])[^\s]")
_DECIMAL = re.compile(r"[-+]?\d*[.,]\d+(?:[eE][-+]?\d+)?")
_PENN_MARKS = re.compile(r" (?:[.,;:!?]|''|``|--|n't|'(?:s|re|ve|ll|d|m))(?: |$)|-[lr][rsc]b-")
_AGENCY = re.compile(r"#\d{2,4};|\((?:AP|AFP|Reuters|SPACE\.com|TechWeb)\)|\b(?:Reuters|AP|AFP) - ")
_ID = re.compile(r"[a-z0-9]{7}")
_MIXED = re.compile(r"(?=\w*[a-z])(?=\w*\d)\w{3,12}")
_TABLE = "say which is which: --text-column {text} --label-column {label} (columns from 0)"


def _share(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags) if flags else 0.0


def cells_in_first_words(firsts: Sequence[str]) -> str:
    """Whether the first words of lines (``pos,some``) are cells of a table without a header."""
    found = [_CELL_AFTER.match(word) for word in firsts]
    marks = Counter(match[1] for match in found if match is not None)
    if not marks:
        return ""
    mark, n = marks.most_common(1)[0]
    if n < 0.9 * len(firsts):
        return ""
    fix = _TABLE.format(text=1, label=0)
    return f"it is a table with {mark!r} between its cells and without names that are known: {fix}"


def tagged_text(lines: Sequence[str]) -> str:
    """Whether lines consist of words with tags: ``the/DT dog/NN``."""
    words = [line.split() for line in lines]
    tagged = [_share([_SLASHED.fullmatch(word) is not None for word in line]) for line in words]
    several = [share > 0.8 for share, line in zip(tagged, words, strict=True) if len(line) > 1]
    if _share(several) <= 0.8:
        return ""
    return (
        "each word has its tag behind a mark, as in word/TAG: write one word and its tag on each "
        "line, a blank line between sentences, and read it as conll"
    )


def tag_before_word(words: Sequence[str], labels: Sequence[str], width: int) -> str:
    """Whether what is read as words are tags, and the labels are the words.

    Args:
        words: Cells that would be words.
        labels: Cells that would be labels.
        width: Number of columns: of many, few words may be the labels of texts.
    """
    n, n_words, n_labels = len(words), len(set(words)), len(set(labels))
    tags, others = (
        _share([_TAG.fullmatch(cell) is not None for cell in cells]) for cells in (words, labels)
    )
    typed = any(_TAG.fullmatch(word) and len(word) > 2 for word in words)
    if not (tags > 0.9 and others < 0.5 and typed) and not (
        width == 2 and n > _FEW and 2 * n_words < n_labels and 3 * n_words <= n
    ):
        return ""
    fix = "say which is which: --word-column and --label-column, as in"
    shown = ", ".join(sorted(set(words))[:4])
    return (
        f"the first column seems to hold labels ({shown[:60]}), the last one words: {fix} "
        "--word-column 1 --label-column 0 (columns from 0)"
    )


def scores(labels: Sequence[str]) -> str:
    """Whether what is read as labels are decimal numbers."""
    if _share([_DECIMAL.fullmatch(label) is not None for label in labels]) <= 0.9:
        return ""
    return "the last column holds decimal numbers, not labels: --label-column says which does"


def no_triples(heads: Sequence[str], relations: Sequence[str], tails: Sequence[str]) -> str:
    """Whether three columns are a number, a label and a text, or triples in another order."""
    n, few = len(heads), len(heads) <= _FEW
    distinct = [len(set(cells)) for cells in (heads, relations, tails)]
    apart = not set(heads) & set(tails)
    if n > 2 and apart and _counts_up(heads):
        fix = _TABLE.format(text=2, label=1)
        return f"the first column counts the rows, so they are no triples: {fix}"
    texts = _share([tail.count(" ") > 2 for tail in tails])
    if not few and texts > 0.5 and 10 * distinct[2] > 7 * n and apart:
        fix = _TABLE.format(text=2, label=1)
        return f"the last column holds texts, not names: {fix}"
    if _share([_TAG.fullmatch(relation) is not None for relation in relations]) > 0.9:
        return "the second column holds tags"
    order = "the order that is needed is head, relation, tail"
    shared = set(heads) & set(relations) - {""}
    if 2 * distinct[2] <= distinct[1] and (
        len(shared) > n // 20 or (not few and distinct[1] > max(20, 0.3 * n))
    ):
        return f"the columns seem to be head, tail, relation: {order}"
    shared = set(relations) & set(tails) - {""}
    if 2 * distinct[0] <= distinct[1] and len(shared) > n // 20 and not set(heads) & shared:
        return f"the columns seem to be relation, head, tail: {order}"
    return ""


def _counts_up(cells: Sequence[str]) -> bool:
    """Whether cells are the numbers of their rows, perhaps with letters before them."""
    found = [re.fullmatch(r"([^\W\d]*[-_.]?)(\d{1,12})", cell) for cell in cells]
    if not all(found) or len({match[1] for match in found if match}) > 1:
        return False
    numbers = [int(match[2]) for match in found if match]
    steps = [b - a == 1 for a, b in itertools.pairwise(numbers)]
    return _share(steps) > 0.9


def is_movie_reviews(name: str, texts: Sequence[str]) -> bool:
    """Whether lines with 0 or 1 are SST-2's: in lower case and cut into words as its are."""
    if re.search(r"sst|stsa", name.lower()):
        return True
    lower = _share([not any(char.isupper() for char in text) for text in texts])
    return lower > 0.9 and _share([_PENN_MARKS.search(text) is not None for text in texts]) > 0.3


def is_ag_news(name: str, lines: Sequence[str], n_columns: int) -> bool:
    """Whether rows with a class from 1 to 4 are AG News'.

    It has the names of news agencies and broken entities (``#39;``), or all classes, and title and
    text apart.
    """
    if re.search(r"ag[-_ ]?news", name.lower()):
        return True
    if _share([_AGENCY.search(line) is not None for line in lines]) > 0.1:
        return True
    return n_columns == 3 and len({line.lstrip('"')[:1] for line in lines}) == 4


def is_go_emotions(name: str, numbers: Sequence[str], ids: Sequence[str]) -> bool:
    """Whether label numbers and ids are those of GoEmotions: up to 27, and ids of Reddit."""
    found = [
        [int(part) for part in cell.split(",") if part.strip().isdecimal()] for cell in numbers
    ]
    if any(number > 27 for row in found for number in row):
        return False
    if re.search(r"go[-_ ]?emotions", name.lower()):
        return True
    reddit = _share([_ID.fullmatch(one) is not None for one in ids])
    mixed = _share([_MIXED.fullmatch(one) is not None for one in ids])
    return mixed > 0.5 and (reddit > 0.9 or any(len(row) > 1 for row in found))
