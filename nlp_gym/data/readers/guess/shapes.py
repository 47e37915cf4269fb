"""How likely a file without keys, header or other marks is of a format: by what would be read.

Each function looks at the words, texts and labels that its format would find in the first lines.
"""

from __future__ import annotations

import enum
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from nlp_gym.data.readers.classification.fasttext import PREFIX
from nlp_gym.data.readers.guess import lookalikes
from nlp_gym.data.readers.shared.base import Parsed
from nlp_gym.data.readers.shared.head import Head
from nlp_gym.data.readers.tagging.conll_layout import find_layout
from nlp_gym.errors import InvalidArgumentError

_FEW = 5  # so few labels may all be different, and say little
_LONGEST = 200  # longer names of relations are cut off
_TAG = re.compile(r"O|[BEIMSLU](?:[-_:/]\S+)?|\S+[-_:/][BEIMSLU]")
_UNTYPED = {"B", "I", "O"}
_POS = re.compile(r"[A-Z][A-Z0-9$*+._:|=-]{0,14}|[^\w\s]{1,5}")
_NUMBER = re.compile(r"[-+]?\d+(?:[.,]\d+)*")
_RELATION = re.compile(r"[^\s.]*[a-z][_/:][^\s]*|_\w+|[a-z]+(?:[A-Z][a-z]+)+|[PQ]\d+|/\S+")
_NUMBERS = re.compile(r"\d{1,4}(?: *, *\d{1,4})*")
_SENTENCE_ENDS = tuple(".!?\u2026\u3002\uff01\uff1f")
_COLUMN = re.compile(
    r"#?\d? ?(?:gold|sent|text|sentence|premise|hypothesis|question|answer|id|idx|index|label|"
    r"score|class|category|split|source|target|title|string|quality|similarity|tokens?|words?|tags?|pos)"
    r"(?:[ _-]?(?:label|id|text|tag|[0-9ab]))?"
)
_WORDS = """
a about after all also an and any are as at be because been before but by can could did do does
don't for from get give go had has have he her here his how i i'd i'll i'm i've if in is it it's
let's like make me my name need no not now of on one or our out please set she should show so
some tell that that's the their them then there there's these they this those three to turn two
want was we were what what's when where which while who who's why will with would you your
da das dem den der des die dos ein eine el en er es est et etwas eu ich il ils je la las le les
los man na não nous o on os ou para pas per por qu'est-ce que qui se sie sind su sur um un una
und une uno von was wie wo y zu zum zwei è
"""
_COMMON = frozenset(_WORDS.split())
"""Words that many sentences begin with, and no usual labels."""
_HEADER = "the first line seems to name columns, but none that are known"


class Fit(enum.IntEnum):
    """How likely a file is of a format.

    Attributes:
        NO: It is not, although its reader may find something.
        PARTLY: Much is wrong with it if it is one: only an ending of the format's own can say so.
        POSSIBLE: Nothing speaks for it, nor against it.
        WEAK: It may be, where nothing else fits better.
        LIKELY: It looks like it.
        CERTAIN: It has marks that no other format has.
    """

    NO = 0
    PARTLY = 1
    POSSIBLE = 2
    WEAK = 3
    LIKELY = 4
    CERTAIN = 5


@dataclass(frozen=True)
class Found:
    """How likely a file is of a format, and why.

    Attributes:
        fit: How likely.
        reason: Why, or why not, in words.
        asks: Whether the reason is what a user must be told: the file is of another layout, which
            the options can name, so that no other format is taken without asking.
    """

    fit: Fit
    reason: str
    asks: bool = False


Shape = Callable[[Head], Found]


def _asking(fault: str) -> Found:
    """That a file is not of a format, for a reason that a user is told."""
    return Found(Fit.NO, fault, asks=True)


def _share(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags) if flags else 0.0


def tagged_words(head: Head) -> Found:
    """One word per line and its label, between tabs or spaces; blank lines between sentences."""
    word, label, skipped = _word_columns(head)
    words, labels, n_texts, bad, width = _word_rows(head, word, label, skipped)
    n = len(words)
    if not n:
        return Found(Fit.PARTLY, "there are no rows")
    if fault := lookalikes.tagged_text(head):
        return _asking(fault)
    if n < bad:
        return Found(Fit.NO, "most lines do not have the same number of columns")
    if not labels:
        found = Found(Fit.PARTLY, "one column only: there is none of labels")
        if not head.options.gold and n_texts > 1:
            return Found(Fit.WEAK, "one word per line")
        return found
    if _share([" " in word for word in words]) > 0.3:
        return Found(Fit.NO, "the first column holds texts, not words")
    if head.options.gold and _share([" " in label for label in labels]) > 0.3:
        return Found(Fit.NO, "the last column holds texts, not labels")
    asked = head.options.word_column is not None
    if head.options.gold and not asked and head.options.column is None:
        fault = lookalikes.tag_before_word(words, labels, width)
        if fault := fault or lookalikes.scores(words, labels):
            return _asking(fault)
    if (
        not asked
        and n > _FEW
        and _share([_NUMBER.fullmatch(word) is not None for word in words]) > 0.9
    ):
        return Found(Fit.PARTLY, "the first column holds numbers, not words")
    if any(line.startswith("-DOCSTART-") for line in head):
        return Found(Fit.CERTAIN, "there are -DOCSTART- lines")
    found = _by_labels(labels, n_texts=n_texts, bad=bad)
    if word and not asked:
        return replace(found, reason=f"{found.reason}, the word in column {word} (from 0)")
    return found


def _by_labels(labels: list[str], *, n_texts: int, bad: int) -> Found:
    """How likely labels of words are ones, from the labels alone."""
    n, distinct = len(labels), len(set(labels))
    spelled = [unicodedata.normalize("NFKC", label).upper() for label in labels]
    tags = _share([_TAG.fullmatch(label) is not None for label in spelled])
    if tags > 0.6 and (len(_UNTYPED & set(spelled)) > 1 or any(len(tag) > 2 for tag in spelled)):
        shown = ", ".join(sorted(set(labels))[:4])
        return Found(Fit.CERTAIN, f"a word and a tag ({shown}) on each line")
    if set(spelled) == {"O"}:
        return Found(Fit.LIKELY, "a word and the tag O on each line")
    what = f"a word and one of {distinct} labels on each line"
    few = distinct <= max(_FEW, n // 4) and distinct < n
    if n == 1:
        return Found(Fit.NO, "there is one row only, and its last column is no tag")
    if bad > n // 5:
        return Found(Fit.PARTLY, "many lines do not have the same number of columns")
    if distinct < 2:
        return Found(Fit.POSSIBLE, "all labels are the same")
    if _share([_POS.fullmatch(label) is not None for label in labels]) > 0.9:
        likely = few or (n_texts > 1 and distinct < n)
        return Found(Fit.LIKELY if likely else Fit.WEAK if distinct < n else Fit.POSSIBLE, what)
    if few and (n_texts > 1 or n >= 2 * distinct):
        return Found(Fit.LIKELY if n_texts > 1 and n > 2 * distinct else Fit.WEAK, what)
    return Found(Fit.POSSIBLE, "the last column holds no labels that occur again")


def _word_rows(
    head: Head, word: int, label: int, skipped: frozenset[int]
) -> tuple[list[str], list[str], int, int, int]:
    """Words, labels (none for one column), number of texts, of other rows, and of columns.

    Args:
        head: The first lines.
        word: Column of the words.
        label: Column of the labels.
        skipped: Numbers of the lines that are no rows.
    """
    texts = [[]]  # type: list[list[list[str]]]
    for number, line in enumerate(head.raw, 1):
        if not line.strip() or line.startswith("-DOCSTART-"):
            texts.append([])
        elif number not in skipped and not re.match(r"#\s", line):
            cells = line.split("\t") if "\t" in line else line.split()
            texts[-1].append([cell.strip() for cell in cells])
    rows = [cells for text in texts for cells in text]
    width = Counter(map(len, rows)).most_common(1)[0][0] if rows else 0
    fitting = [cells for cells in rows if len(cells) == width]
    words = [cells[word if word < width else 0] for cells in fitting]
    labels = [cells[label if label < width else -1] for cells in fitting] if width > 1 else []
    return words, labels, sum(map(bool, texts)), len(rows) - len(fitting), width


def _word_columns(head: Head) -> tuple[int, int, frozenset[int]]:
    """Columns of word and label, and the lines that are no rows, as the reader finds them."""
    try:
        layout = find_layout(head.raw, head.options, Parsed())
    except InvalidArgumentError:  # a column that the file does not have: the reader says so
        layout = None
    if layout is None:
        return 0, -1, frozenset()
    return layout.word, layout.label if head.options.gold else -1, layout.skipped


def label_first(head: Head) -> Found:
    """A label, a space or tab, and a text on each line."""
    lines, rows = head.spread, [line.split(None, 1) for line in head.spread]
    if _share([line[0] in " \t" for line in lines]) > 0.1:
        return Found(Fit.NO, "lines begin with white space, where a label is needed")
    if 3 * sum(len(row) < 2 for row in rows) > len(rows):
        return Found(Fit.NO, "many lines have one word only: a label and a text are needed")
    if _share([line.startswith(PREFIX) for line in lines]) > 0.9:
        return Found(Fit.NO, f"lines begin with {PREFIX}")
    tabs = Counter(line.strip().count("\t") for line in lines).most_common(1)[0][0]
    if tabs > 1:
        return Found(Fit.NO, f"it is a table of {tabs + 1} columns")
    if tabs:
        rows = [line.split("\t", 1) for line in lines]
    rows = [row for row in rows if len(row) == 2]
    firsts, texts = [row[0] for row in rows], [row[1] for row in rows]
    fault = "" if tabs else lookalikes.cells_in_first_words(firsts, texts)
    fault = fault or lookalikes.table_of_labels(head.table) or lookalikes.tagged_text(lines)
    if fault:
        return _asking(fault)
    firsts, texts = [word.strip() for word in firsts], [text.strip() for text in texts]
    fault = _no_labels(firsts, texts) or (_HEADER if tabs and _has_header(head) else "")
    if fault:
        return Found(Fit.NO, fault)
    return _by_first_words(firsts, texts, tabs=bool(tabs))


def _no_labels(firsts: list[str], texts: list[str]) -> str:
    """Why the first words of lines are no labels of the texts; ``""`` if they may be."""
    n, distinct = len(firsts), set(firsts)
    if _share([" " in word for word in firsts]) > 0.3:
        return "the first column holds texts, not labels"
    if _share([re.search(r"\w", word) is None for word in firsts]) > 0.3:
        return "lines begin with a mark, not a label"
    if _share([word[:1] in "\"'" for word in firsts]) > 0.3:
        return "lines begin with a quotation mark, not a label"
    if _share([word[-1:] in ":,;.!?" for word in firsts]) > 0.3:
        return "lines begin with a word and a mark, not a label"
    if _share([re.match(r"\[?\d+[-/:.]\d+", word) is not None for word in firsts]) > 0.3:
        return "lines begin with dates, times or sizes, not labels"
    if _share([set(text.split()) <= distinct for text in texts]) > 0.5:
        return "the words after the first one are labels, too"
    stems = {re.sub(r"\d+", "", word) for word in firsts}
    if 1 < n == len(distinct) and len(stems) == 1:
        return "lines begin with their numbers, not with labels"
    if n > 2 and 5 * len(distinct) > 4 * n:
        return "lines begin with different words, not with labels that occur again"
    if len(distinct) == 1 and n > _FEW:
        return f"all lines begin with {firsts[0][:40]!r}"
    return ""


def _by_first_words(firsts: list[str], texts: list[str], *, tabs: bool) -> Found:
    """How likely the first words of lines are labels of the texts after them."""
    n, distinct = len(firsts), len(set(firsts))
    pairs = list(zip(firsts, texts, strict=True))
    sentences = _share([" " in text or not text.isascii() for text in texts])
    apart = tabs and sentences >= 0.5
    if apart or _share([_unlike_text(word, text) for word, text in pairs]) > 0.8:
        likely = distinct < n and sentences >= 0.5
        what = f"each line begins with one of {distinct} labels, then a text"
        return Found(Fit.LIKELY if likely else Fit.WEAK, what)
    if n == 1:
        return Found(Fit.POSSIBLE, "there is one line only")
    if _share([_begins_sentence(word, text) for word, text in pairs]) > 0.5:
        return Found(Fit.NO, "lines are sentences, whose first word is no label")
    inside = Counter(word for text in texts for word in set(text.lower().split()))
    usual = [word.lower() in _COMMON for word in firsts]
    if distinct > _FEW:
        usual = [u or 10 * inside[w.lower()] >= n for u, w in zip(usual, firsts, strict=True)]
    if _share(usual) > 0.2:
        return Found(Fit.NO, "lines begin with words that texts consist of, not with labels")
    if 2 * distinct > n:
        return Found(Fit.POSSIBLE, "lines begin with words of which few occur again")
    if sentences < 0.5:
        return Found(Fit.WEAK, "a label and a word on each line")
    what = f"each line begins with one of {distinct} labels, then a text"
    return Found(Fit.LIKELY if 3 * distinct <= n else Fit.WEAK, what)


def _unlike_text(word: str, text: str) -> bool:
    """Whether a first word is written as labels are, and as the text after it is not."""
    if re.search(r"[\d_:/]|\w-\w", word) or (len(word) > 1 and word.isupper()):
        return not re.search(r"[a-z]", word) or not text.isupper()
    return word.islower() and text[:1].isupper()


def _begins_sentence(word: str, text: str) -> bool:
    """Whether a first word with a capital letter goes on in the text after it."""
    return word[:1].isupper() and not word[1:].isupper() and text[:1].islower()


def movie_reviews(head: Head) -> Found:
    """SST-2: 0 or 1, a space, and a sentence."""
    lines = head.spread
    texts = _share([" " in line[2:].strip() for line in lines])
    if _share([line[:2] in ("0 ", "1 ") for line in lines]) < 0.9:
        return Found(Fit.NO, "lines do not begin with 0 or 1 and a space")
    if texts < 0.5:
        return Found(Fit.WEAK, "0 or 1 and a word on each line")
    if head.options.gold and not lookalikes.is_movie_reviews(
        _name(head), [line[2:] for line in lines]
    ):
        return Found(Fit.NO, "the texts are not cut into words in lower case, as SST-2's are")
    if len({line[0] for line in lines}) == 1 and len(lines) > _FEW:
        return Found(Fit.POSSIBLE, f"all lines begin with {lines[0][0]}")
    return Found(Fit.LIKELY, "each line begins with 0 or 1, then a text")


def _name(head: Head) -> str:
    """Names of a file and its folder, which may be those of a corpus."""
    return f"{head.path.parent.name}/{head.name}"


def news(head: Head) -> Found:
    """AG News: a class from 1 to 4, title and description."""
    fitting = _share([re.match(r'"?[1-4]"?,', line) is not None for line in head])
    texts = _share([len(re.findall(r"[^\W\d]{2,}", line)) > 2 for line in head])
    if fitting < 0.9 or texts < 0.5:
        return Found(Fit.NO, "lines do not begin with a class from 1 to 4")
    width = 0 if head.table is None else len(head.table.header)
    if head.options.gold and not lookalikes.is_ag_news(_name(head), head.spread, width):
        return _asking(
            "each row is a number from 1 to 4 and a text, but nothing says that the numbers are "
            "the classes of AG News: give --format ag-csv if they are, else the columns "
            "--text-column 1 --label-column 0 (from 0)"
        )
    fit = Fit.CERTAIN if head.options.gold else Fit.LIKELY
    return Found(fit, "each row is a class from 1 to 4 and a text")


def _has_header(head: Head) -> bool:
    """Whether the first line names columns, though none that are known."""
    cells = [cell.strip(' "').lower() for cell in head[0].split("\t")]
    return sum(_COLUMN.fullmatch(cell) is not None for cell in cells) > 1


def _columns(head: Head) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("\t")] for line in head]


def emotions(head: Head) -> Found:
    """GoEmotions: a text, numbers of labels, and the id of a comment."""
    rows = [cells for cells in _columns(head) if len(cells) == 3]
    if 10 * len(rows) < 9 * len(head):
        return Found(Fit.NO, "there are not three columns: text, label numbers, id")
    numbers = _share([_NUMBERS.fullmatch(cells[1]) is not None for cells in rows])
    texts = _share([" " in cells[0] for cells in rows])
    ids = {cells[2] for cells in rows if re.fullmatch(r"\w{1,12}", cells[2])}
    if numbers < 0.9 or texts < 0.5 or 2 * len(ids) <= len(rows):
        return Found(Fit.NO, "the columns are not a text, label numbers and an id")
    if head.options.gold and not lookalikes.is_go_emotions(
        _name(head), [cells[1] for cells in rows], [cells[2] for cells in rows]
    ):
        return _asking(
            "each row is a text, a number and something else, but nothing says that the numbers "
            "are the labels of GoEmotions: give --format goemotions if they are, else the columns "
            "--text-column 0 --label-column 1 (from 0)"
        )
    return Found(Fit.LIKELY, "three columns: a text, label numbers, an id")


def triples(head: Head) -> Found:
    """Head, relation and tail between tabs."""
    gold = head.options.gold
    rows = [cells for cells in _columns(head) if len(cells) in ((3,) if gold else (2, 3))]
    if 2 * len(rows) < len(head):
        return Found(Fit.NO, "most lines do not have three columns")
    if _has_header(head):
        return Found(Fit.NO, _HEADER)
    heads, relations, tails = (
        [cells[i] if i < len(cells) else "" for cells in rows] for i in range(3)
    )
    if _share([_NUMBERS.fullmatch(relation) is not None for relation in relations]) > 0.5:
        return Found(Fit.POSSIBLE, "the second column holds numbers")
    if gold and _share([_TAG.fullmatch(tail) is not None for tail in tails]) > 0.5:
        return Found(Fit.NO, "the last column holds tags")
    if _share([_is_text(text) for text in (*heads, *relations)]) > 0.3:
        return Found(Fit.NO, "the columns hold sentences, not names")
    if gold and (fault := lookalikes.no_triples(heads, relations, tails)):
        return _asking(fault) if "tags" not in fault else Found(Fit.NO, fault)
    again = 2 * len(set(relations)) <= len(relations)
    shared = len(set(heads) & set(tails)) > len(rows) // 20 and len(set(tails)) > 1
    named = _share([_RELATION.fullmatch(relation[:_LONGEST]) is not None for relation in relations])
    if (
        gold
        and len(rows) > _FEW
        and _share([_POS.fullmatch(tail) is not None for tail in tails]) > 0.9
    ):
        return Found(Fit.WEAK, "three columns, of which the last may be tags")
    if again or named > 0.9 or (shared and len(set(relations)) < len(relations)):
        fit = Fit.WEAK if _blank_between(head) else Fit.LIKELY
        return Found(fit, "three columns: names, relations, names")
    if _blank_between(head):
        return Found(Fit.NO, "there are blank lines between rows")
    few = len(rows) <= _FEW or len(set(relations)) < 0.8 * len(relations)
    return Found(Fit.WEAK if few else Fit.POSSIBLE, "three columns that may be triples")


def _is_word(text: str) -> bool:
    """Whether a cell is one word of a script that puts spaces between words."""
    return (
        " " not in text and not text.endswith(_SENTENCE_ENDS) and max(text, default="") < "\u0e00"
    )


def _is_text(text: str) -> bool:
    """Whether a cell is a sentence rather than a name."""
    return text.count(" ") > 1 and text.endswith(_SENTENCE_ENDS)


def _blank_between(head: Head) -> bool:
    """Whether there is a blank line between others."""
    inside = "\n".join(line.strip() for line in head.raw).strip("\n")
    return "\n\n" in inside


def text_pairs(head: Head) -> Found:
    """A text, a tab and another text on each line; perhaps an attribution after another tab."""
    rows = _columns(head)
    if 2 * sum(len(cells) > 1 for cells in rows) <= len(rows):
        return Found(Fit.NO, "most lines have no tab")
    attributed = [cells for cells in rows if len(cells) == 3 and "CC-BY" in cells[2]]
    pairs = [cells for cells in rows if len(cells) == 2] + attributed
    if 2 * len(pairs) <= len(rows):
        return Found(Fit.NO, "most lines have more than one tab")
    texts = sum(" " in first or first.endswith(_SENTENCE_ENDS) for first, *_ in pairs)
    distinct = len({second for _, second, *_ in pairs})
    if _has_header(head):
        return Found(Fit.NO, _HEADER)
    for one, other, which in ((0, 1, "first"), (1, 0, "second")):
        words = _share([_is_word(cells[one]) for cells in pairs])
        if words > 0.8 and _share([cells[other].count(" ") > 1 for cells in pairs]) > 0.5:
            return Found(Fit.NO, f"the {which} column holds single words, the other one texts")
    if _share([_NUMBER.fullmatch(second) is not None for _, second, *_ in pairs]) > 0.5:
        return Found(Fit.NO, "the second column holds numbers")
    if 10 * distinct < 7 * len(rows):
        return Found(Fit.NO, "the second column holds few different texts")
    if 2 * texts > len(rows):
        return Found(Fit.LIKELY, "two columns of texts")
    return Found(Fit.WEAK, "two columns that may be texts and their translations")


def fasttext(head: Head) -> Found:
    """FastText: a text and its label, which begins with ``__label__``."""
    return _fasttext(head, several=False)


def fasttext_sets(head: Head) -> Found:
    """FastText: a text and its labels, which begin with ``__label__``."""
    return _fasttext(head, several=True)


def _fasttext(head: Head, *, several: bool) -> Found:
    lines = head.spread
    counts = [sum(word.startswith(PREFIX) for word in line.split()) for line in lines]
    if _share([count > 0 for count in counts]) < 0.9:
        return Found(Fit.NO, f"lines have no words that begin with {PREFIX}")
    fit = Fit.CERTAIN if (max(counts) > 1) is several else Fit.LIKELY
    what = "some texts have several labels" if max(counts) > 1 else "each text has one label"
    return Found(fit, f"{what}, marked with {PREFIX}")


SHAPES: dict[tuple[str, str], Shape] = {
    ("tagging", "conll"): tagged_words,
    ("classification", "sst2"): movie_reviews,
    ("classification", "ag-csv"): news,
    ("classification", "label-first"): label_first,
    ("classification", "fasttext"): fasttext,
    ("multilabel", "fasttext"): fasttext_sets,
    ("multilabel", "goemotions"): emotions,
    ("kg", "triples"): triples,
    ("generation", "pairs"): text_pairs,
}
"""By family and format; any other format has keys, a header, marks or an ending of its own."""
