"""Layouts that look like a format and would be read wrongly: another order, another corpus.

Each function says what a file seems to be instead, with the options that read it; ``""``: nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from nlp_gym.data.readers.shared.head import HeadTable

_FEW = 5  # so few rows say little
_TAG = re.compile(r"O|[BEIMSLU][-_]\S+|[BIO]", re.IGNORECASE)
_SLASHED = re.compile(r"[^\s/_|]\S*(?:[/_|][A-Z$.,:'`\"#()-]{1,8}[0-9$]?|[/|][a-z]{1,5})")
_CELL_AFTER = re.compile(r"[^,;|]*([,;|])[^\s]")
_DECIMAL = re.compile(r"[-+]?\d*[.,]\d+(?:[eE][-+]?\d+)?")
_PENN_MARKS = re.compile(r" (?:[.,;:!?]|''|``|--|n't|'(?:s|re|ve|ll|d|m))(?: |$)|-[lr][rsc]b-")
_AGENCY = re.compile(r"#\d{2,4};|\((?:AP|AFP|Reuters|SPACE\.com|TechWeb)\)|\b(?:Reuters|AP|AFP) - ")
_ID = re.compile(r"[a-z0-9]{7}")
_MIXED = re.compile(r"(?=\w*[a-z])(?=\w*\d)\w{3,12}")
_COLUMNS = "say which columns hold what: --text-column and --label-column (columns from 0)"
_TABLE = "say which is which: --text-column {text} --label-column {label} (columns from 0)"


def _share(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags) if flags else 0.0


def cells_in_first_words(firsts: Sequence[str], texts: Sequence[str]) -> str:
    """Whether the first words of lines (``pos,some``) are cells of a table without a header.

    A colon may be part of a label (``LOC:city``), unless what follows it is a word of the texts.

    Args:
        firsts: The first words.
        texts: What follows them.
    """
    parts = [word.split(":", 1) for word in firsts if ":" in word.strip(":")]
    if len(parts) > 0.9 * len(firsts) and len(firsts) > _FEW:
        known = {word for text in texts for word in text.split()}
        if _share([rest in known for _, rest in parts]) > 0.8:
            return "a colon stands between the labels and the texts, where a space or tab is needed"
    found = [_CELL_AFTER.match(word) for word in firsts]
    marks = Counter(match[1] for match in found if match is not None)
    if not marks:
        return ""
    mark, n = marks.most_common(1)[0]
    if n < 0.9 * len(firsts):
        return ""
    several = _share([word.count(mark) > 1 for word in firsts]) > 0.5
    fix = _TABLE.format(text=1, label=0) if not several else _COLUMNS
    return f"it is a table with {mark!r} between its cells and without names that are known: {fix}"


def table_of_labels(table: HeadTable | None) -> str:
    """Whether one of two columns between commas, semicolons or bars holds few labels."""
    if table is None or table.delimiter == "\t" or not table.regular or len(table.header) != 2:
        return ""
    for label in (0, 1):
        cells, texts = table.column(label), table.column(1 - label)
        few = len(cells) > _FEW and 4 * len(set(cells)) <= len(cells)
        if few and 2 * len(set(texts)) > len(texts):
            fix = _TABLE.format(text=1 - label, label=label)
            return f"it is a table with {table.delimiter!r} between a text and a label: {fix}"
    return ""


def tagged_text(lines: Sequence[str]) -> str:
    """Whether lines consist of words with tags: ``the/DT dog/NN``."""
    words = [line.split() for line in lines if "\t" not in line]
    tagged = [_share([_SLASHED.fullmatch(word) is not None for word in line]) for line in words]
    several = [share > 0.8 for share, line in zip(tagged, words, strict=True) if len(line) > 1]
    if 2 * len(several) < len(lines) or _share(several) <= 0.8:
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


def scores(words: Sequence[str], labels: Sequence[str]) -> str:
    """Whether what is read as words or labels are decimal numbers."""
    for cells, which, option in ((words, "first", "word"), (labels, "last", "label")):
        if _share([_DECIMAL.fullmatch(cell) is not None for cell in cells]) > 0.9:
            what = f"the {which} column holds decimal numbers, not {option}s"
            return f"{what}: --word-column and --label-column say which columns do"
    return ""


def no_triples(heads: Sequence[str], relations: Sequence[str], tails: Sequence[str]) -> str:
    """Whether three columns are a number, a label and a text, or triples in another order."""
    n, few = len(heads), len(heads) <= _FEW
    distinct = [len(set(cells)) for cells in (heads, relations, tails)]
    apart = not set(heads) & set(tails)
    if n > 2 and apart and _counts_up(heads):
        text = 2 if distinct[2] >= distinct[1] else 1
        fix = _TABLE.format(text=text, label=3 - text)
        return f"the first column counts the rows, so they are no triples: {fix}"
    for column, (cells, which) in enumerate(
        ((heads, "first"), (relations, "second"), (tails, "last"))
    ):
        texts = _share([cell.count(" ") > 2 for cell in cells])
        if not few and texts > 0.5 and 10 * distinct[column] > 7 * n and apart:
            others = {i: distinct[i] for i in range(3) if i != column}
            fix = _TABLE.format(text=column, label=min(others, key=others.__getitem__))
            return f"the {which} column holds texts, not names: {fix}"
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
    steps = [b - a == 1 for a, b in pairwise(numbers)]
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
