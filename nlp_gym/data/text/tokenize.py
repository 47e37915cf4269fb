"""Rule-based tokenization of raw text into words and sentences, in any script.

Words are cut as in the CoNLL and Penn Treebank corpora: punctuation stands alone, ``'s`` and
``n't`` are split off, hyphenated words and numbers stay whole. Web addresses, mentions, hashtags
and emoji (with skin tones, joined sequences and flags) stay whole. A Chinese character or Japanese
kana is a word by itself: these scripts do not mark words, and tagging by character is usual.

Every character is first replaced by a letter for its class. The rules are regular expressions over
these letters, so that they need no lists of characters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from sys import intern

from nlp_gym.errors import DataError

Span = tuple[str, int, int]
"""A piece of text and its position: (piece, start, end) in characters, end exclusive."""

# Classes: w letter or mark, d digit, c CJK (a word by itself), e emoji, m emoji modifier,
# j joiner, v variation selector, k keycap, r regional indicator, f other format character,
# h hyphen, a apostrophe, b ampersand, t full stop, n number's inner mark, s space, p any other.
_SPECIAL = {
    "\u200d": "j", "\ufe0f": "v", "\ufe0e": "v", "\u20e3": "k", "-": "h", "\u2010": "h",
    "\u2011": "h", "'": "a", "\u2019": "a", ".": "t", ",": "n", ":": "n", "/": "n", "_": "w",
    "&": "b", "\u200b": "s", "\ufeff": "s", "\u2060": "s",
}  # fmt: skip
_CJK = (
    (0x3040, 0x30FF), (0x31F0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF),
    (0xFF66, 0xFF9D), (0x20000, 0x323AF),
)  # fmt: skip
_EMOJI = ((0x2600, 0x27BF), (0x2B00, 0x2BFF), (0x1F000, 0x1FAFF))

_WORD = re.compile(
    r"""
      rr                                        # a flag
    | [dp]v?k                                   # a keycap
    | e[vm]*(?:j[ep][vm]*)*                     # emoji, perhaps joined to others
    | c[vm]*
    | (?:wt){2,}(?:h[wd]+|w)?(?!w)              # U.S.  e.g.  U.S.A  U.S.-based
    | d+(?:[nth]d+)*(?![wd]|[ha][wd])              # 1,000.5  10:30  1996-08-22
    | [wd](?:[wdmjfkv]|[hatb]+(?=[wd]))*        # letters; hyphens and the like inside
    | t{2,} | h{2,}                             # ...  --
    | .
    """,
    re.VERBOSE | re.DOTALL,
)
# What an address, a mention or a hashtag cannot do without. Few texts have it.
_MARK = re.compile(r"[@#]|://|www\.", re.IGNORECASE)
_LINK = re.compile(r"(?:https?://|www\.)\S+|[@#]\w+", re.IGNORECASE)
_NAME = re.compile(r"[\w.+-]+", re.IGNORECASE)
_DOMAIN = re.compile(r"@\w[\w-]*(?:\.\w[\w-]*)+", re.IGNORECASE)
_CLOSING = ".,;:!?'\"\u2019\u201d\u00bb\u3002\uff0c\uff01\uff1f)]}>"
_CLITIC = re.compile(r"(?i)(?<=\w)(?:n['\u2019]t|['\u2019](?:s|m|d|re|ve|ll))\Z")
_ABBREVIATIONS = frozenset(
    re.findall(
        r"\w+",
        "mr mrs ms dr prof sen rep gov gen col capt lt sgt st jr sr inc corp co ltd vs fig etc mt "
        "rev hon jan feb mar apr jun jul aug sept sep oct nov dec",
    )
)


@lru_cache(maxsize=4096)
def _class(char: str) -> str:
    """Return the class of a character, one letter."""
    if char in _SPECIAL:
        return _SPECIAL[char]
    code, category = ord(char), unicodedata.category(char)
    if 0x1F1E6 <= code <= 0x1F1FF:
        return "r"
    if 0x1F3FB <= code <= 0x1F3FF or 0xE0020 <= code <= 0xE007F:
        return "m"
    if any(low <= code <= high for low, high in _EMOJI) and category[0] == "S":
        return "e"
    if any(low <= code <= high for low, high in _CJK) and category[0] == "L":
        return "c"
    if char.isspace() or category == "Cc":
        return "s"
    by_category = {"L": "w", "M": "w", "N": "d" if category == "Nd" else "w"}
    return "f" if category == "Cf" else by_category.get(category[0], "p")


def split_words(text: str) -> list[Span]:
    """Cut a text into words.

    Every character but white space and invisible ones is in exactly one word; the joined words are
    the text without its white space.

    Args:
        text: Any text.

    Returns:
        (word, start, end) of each word, in order; empty for a text of white space.

    Raises:
        DataError: The text holds half of a surrogate pair, which no encoding can write.
    """
    classes = "".join(map(_class, text))
    if not text.isascii() and (lone := re.search("[\ud800-\udfff]", text)):
        raise DataError(
            f"the text holds half of a surrogate pair at character {lone.start()}: it was not "
            "decoded as UTF-8"
        )
    words: list[Span] = []
    marked = _MARK.search(text) is not None
    for chunk in re.finditer("[^s]+", classes):
        position, end = chunk.span()
        for start, stop in _find_addresses(text, position, end) if marked else ():
            words += _plain_words(text, classes, position, start)
            words.append((text[start:stop], start, stop))
            position = stop
        words += _plain_words(text, classes, position, end)
    return words


def _find_addresses(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """Find web and mail addresses, mentions and hashtags between `start` and `end`."""
    found = []
    for first, last in _raw_addresses(text, start, end):
        if first > start and (text[first - 1].isalnum() or text[first - 1] in "@#"):
            continue
        while last > first + 1 and text[last - 1] in _CLOSING:
            last -= 1  # the sentence's punctuation, not the address's
        found.append((first, last))
    return found


def _raw_addresses(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Addresses with the punctuation that ends them, from left to right; none overlap.

    They are the matches of ``LINK|MAIL``, where a link comes first of those that begin alike. One
    regular expression for a mail address would look for its ``@`` from every letter of a long run.
    """
    mails = _mails(text, start, end)
    mail = next(mails, None)
    link = _LINK.search(text, start, end)
    while mail is not None or link is not None:
        if link is not None and (mail is None or link.start() <= mail[0]):
            position = link.end()
            yield link.span()
        else:
            assert mail is not None
            position = mail[1]
            yield mail[0], position
        while mail is not None and mail[0] < position:
            # What is left of the run before the ``@`` may be the name in a mail address.
            mail = (position, *mail[1:]) if position < mail[2] else next(mails, None)
        if link is not None and link.start() < position:
            link = _LINK.search(text, position, end)


def _mails(text: str, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """(start, end, place of the ``@``) of each run of letters that can be a mail address."""
    if text.find("@", start, end) < 0:
        return
    for run in _NAME.finditer(text, start, end):
        domain = _DOMAIN.match(text, run.end(), end)
        if domain is not None:
            yield run.start(), domain.end(), run.end()


def _plain_words(text: str, classes: str, start: int, end: int) -> list[Span]:
    """Words between `start` and `end`, where there are neither white space nor addresses."""
    words: list[Span] = []
    position = start
    while position < end:
        match = _WORD.match(classes, position, end)
        assert match is not None  # the last alternative takes anything
        first, last = match.span()
        if last < end and classes[last] == "t" and text[first:last].lower() in _ABBREVIATIONS:
            last += 1
        position = last
        if not classes[first:last].strip("jvf"):
            continue  # invisible by itself
        if classes[first] in "wd" and (clitic := _CLITIC.search(text[first:last])):
            middle = first + clitic.start()
            words += [(text[first:middle], first, middle), (text[middle:last], middle, last)]
        else:
            words.append((intern(text[first:last]), first, last))
    return words


# The look-behind keeps a run of full stops that ends nothing from being tried at each of them.
_END = re.compile(
    r"""
      (?P<cjk>[\u3002\uff01\uff1f]+[\u201d\u2019\u300d\u300f\uff09)\"']*)
    | (?<![.!?\u2026])(?P<point>[.!?\u2026]+)[\"'\u201d\u2019)\]\u00bb]*(?=\s)
    | (?P<blank>\n[^\S\n]*\n)
    """,
    re.VERBOSE,
)
_FILLED = re.compile(r"\S")


def split_sentences(text: str) -> list[Span]:
    """Cut a text into sentences.

    A sentence ends at ``. ! ? …`` (with closing quotes) before white space, unless a lower-case
    letter follows or the stop belongs to an abbreviation or initial; at ``。！？``; and at a blank
    line.

    Returns:
        (sentence, start, end) of each sentence, without the white space around it.
    """
    sentences: list[Span] = []
    start = 0
    for match in _END.finditer(text):
        if match["point"] is not None and not _ends_sentence(
            text, match.start(), match["point"], match.end()
        ):
            continue
        _append(sentences, text, start, match.end())
        start = match.end()
    _append(sentences, text, start, len(text))
    return sentences


def _ends_sentence(text: str, at: int, mark: str, after: int) -> bool:
    """Whether the punctuation `mark` at position `at`, quoted up to `after`, ends a sentence."""
    following = _FILLED.search(text, after)
    if following is not None and following[0].islower():
        return False
    if mark != ".":
        return True
    before = re.search(r"\S*\Z", text[max(0, at - 40) : at])
    word = before[0].lstrip("(\"'\u201c\u2018[") if before else ""
    initial = len(word) == 1 and word.isupper() and word != "I"
    dotted = re.fullmatch(r"(?:[^\W\d]+\.)+[^\W\d]+", word)
    return not (initial or dotted or word.lower() in _ABBREVIATIONS)


def _append(sentences: list[Span], text: str, start: int, end: int) -> None:
    """Append the text between `start` and `end` without white space around it, if any is left."""
    piece = text[start:end]
    left = start + len(piece) - len(piece.lstrip())
    stripped = piece.strip()
    if stripped:
        sentences.append((stripped, left, left + len(stripped)))
