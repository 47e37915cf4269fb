"""Spans of a text at offsets: what unit the offsets of a file count, checked against the text.

Tools count characters (Python), UTF-16 code units (JavaScript, Java) or bytes of UTF-8. Where a row
says which text a span has, that decides; else a span has to begin and end where words do. The
reading that fits every row of the file is taken, characters before any other.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from nlp_gym.data.readers.shared.base import Parsed
from nlp_gym.data.readers.shared.decoding import Problem
from nlp_gym.errors import shown

Span = tuple[int, int]
"""Start and end, exclusive, in characters."""
_NEAR = 1000
"""Characters on each side in which a span's own text is looked for, and most blanks inside of a
span that its own text lacks: so no span costs more than its own text."""
_BLANKS = 100
"""Most blanks that are left out at an edge of a span."""
_SHOWN = 50  # characters of a long span in a message
_Resolved = Span | str
"""The span of a mark, or why it is none."""


@dataclass(slots=True)
class Mark:
    """A span of a text.

    Attributes:
        start: Its start, from 0; in characters after `settle_offsets`, as in the file before.
        end: Its end, exclusive.
        label: What it is.
        text: The text it has according to the file; None: the file does not say.
        line: Line that gives it; None: the one on which its text begins.
        fault: Set by `settle_offsets`: why it is no span of its text; None: it is one.
    """

    start: int
    end: int
    label: str = ""
    text: str | None = None
    line: int | None = None
    fault: str | None = None


@dataclass(slots=True)
class MarkedText:
    """A text with spans.

    Attributes:
        text: The text.
        marks: Its spans; `settle_offsets` corrects them.
        line: Line on which it begins.
        words: (start, end) of its words where spans have to be whole words; None: they may begin
            and end anywhere.
    """

    text: str
    marks: list[Mark]
    line: int
    words: Sequence[Span] | None = None

    @property
    def fault(self) -> str | None:
        """What is wrong with the first of the spans that are none of the text."""
        return next((mark.fault for mark in self.marks if mark.fault is not None), None)


@dataclass(frozen=True)
class _Reading:
    """A way to count.

    Attributes:
        name: What is counted, for messages.
        size: Number of units of a character; None: each character is one.
        first: Offset of the first unit.
        inclusive: Whether the end is the last unit rather than the one after it.
    """

    name: str
    size: Callable[[str], int] | None = None
    first: int = 0
    inclusive: bool = False

    def positions(self, text: str) -> Callable[[int], int | None] | None:
        """A function from an offset to the character there (None: it is inside of one).

        None for characters from 0 with exclusive ends, which need none.
        """
        if self.size is None:
            return (lambda offset: offset) if self.first or self.inclusive else None
        sizes = list(map(self.size, text))
        if sum(sizes) == len(text):
            return lambda offset: offset
        starts = {unit: at for at, unit in enumerate(accumulate(sizes, initial=0))}
        return starts.get

    def span(self, mark: Mark, position: Callable[[int], int | None]) -> Span | None:
        """Start and end of a mark in characters."""
        start = position(mark.start - self.first)
        end = position(mark.end - self.first + self.inclusive)
        return None if start is None or end is None else (start, end)


def _utf16(char: str) -> int:
    return 2 if char > "\uffff" else 1


def _utf8(char: str) -> int:
    return 1 if char < "\x80" else 2 if char < "\u0800" else 3 if char < "\U00010000" else 4


def _crlf(char: str) -> int:
    return 2 if char == "\n" else 1


_CHARACTERS = _Reading("characters from 0 with exclusive ends")
_UTF16 = _Reading("UTF-16 code units, as in JavaScript", _utf16)
_OTHERS = (
    _UTF16,
    _Reading("bytes of UTF-8", _utf8),
    _Reading("characters, where a line's end has two", _crlf),
    _Reading("UTF-16 code units, where a line's end has two", lambda c: _utf16(c) + (c == "\n")),
)
"""Units that also the edges of words may decide on."""
_PROVED = (
    _Reading("characters with inclusive ends", inclusive=True),
    _Reading("characters from 1 with inclusive ends", first=1, inclusive=True),
    _Reading("characters from 1 with exclusive ends", first=1),
)
"""Ways to count that only the rows' own texts can prove: they differ in the edges."""


def settle_offsets(rows: Sequence[MarkedText], parsed: Parsed) -> None:
    """Turn the offsets of the spans of a file into characters, without blanks at their edges.

    Args:
        rows: The texts of the file. Their `marks` are corrected; one that does not fit its text
            gets a `fault` in place of that.
        parsed: Gets a note if the offsets do not count characters, and a warning where only the
            edges of words say so.
    """
    found = [_resolved(row, _CHARACTERS) for row in rows]
    misfit = [row for row, spans in zip(rows, found, strict=True) if _is_faulty(spans)]
    if misfit:
        proved = all(mark.text is not None for row in rows for mark in row.marks)
        for reading in (*_OTHERS, *(_PROVED if proved else ())):
            # The rows that characters do not fit come first: most readings end there.
            if _fits(misfit, reading) and _fits(rows, reading):
                found = [_resolved(row, reading) for row in rows]
                _say(reading, misfit, parsed)
                break
    else:
        warn_if_doubtful(rows, parsed)
    for row, spans in zip(rows, found, strict=True):
        for mark, span in zip(row.marks, spans, strict=True):
            if isinstance(span, str):
                mark.fault = span
            else:
                mark.start, mark.end = span


def settle_plain(row: MarkedText) -> bool:
    """Do what `settle_offsets` does for a single row; False, and nothing, where it would not fit.

    It is for rows that are read one after the other: as long as all of them fit, no other reading
    is considered, except by `warn_if_doubtful`.
    """
    spans = list[Span]()
    for found in _resolved(row, _CHARACTERS):
        if isinstance(found, str):
            return False
        spans.append(found)
    for mark, span in zip(row.marks, spans, strict=True):
        mark.start, mark.end = span
    return True


def is_doubtful(row: MarkedText) -> bool:
    """Whether UTF-16 code units would be other characters in the text of a row with spans."""
    return not row.text.isascii() and bool(row.marks) and max(row.text) > "\uffff"


def _is_faulty(spans: Iterable[_Resolved]) -> bool:
    return any(isinstance(span, str) for span in spans)


def _fits(rows: Sequence[MarkedText], reading: _Reading) -> bool:
    return not any(_is_faulty(_resolved(row, reading)) for row in rows)


def _resolved(row: MarkedText, reading: _Reading) -> list[_Resolved]:
    """The span in characters of each mark of a row, or why it is none."""
    if not row.marks:
        return []
    position = reading.positions(row.text)
    resolved = list[_Resolved]()
    for mark in row.marks:
        span = (mark.start, mark.end) if position is None else reading.span(mark, position)
        if span is None or not 0 <= span[0] < span[1] <= len(row.text):
            resolved.append(f"{_named(mark)} lies outside the text of {len(row.text)} characters")
        elif mark.text is not None and not _same(row.text, span, mark.text):
            resolved.append(_other_text(row.text, span, mark))
        else:
            whole = _trimmed(row.text, span) if row.words is None else _words(row, span)
            if whole is None or whole[0] == whole[1]:
                fault = "is blank" if whole else "does not begin and end with a word"
                resolved.append(f"{_named(mark)} ({shown_span(row.text, span)}) {fault}")
            else:
                resolved.append(whole)
    return resolved


def covered(words: Sequence[Span], span: Span) -> Span:
    """First and one past the last of the words that a span of whole words covers.

    Args:
        words: (start, end) of the words, in order.
        span: (start, end) in the same unit, from the start of a word to the end of one.
    """
    return bisect_left(words, (span[0],)), bisect_left(words, (span[1],))


def _words(row: MarkedText, span: Span) -> Span | None:
    """The span of whole words that a span is but for blanks at its edges; None: it is none."""
    words = row.words
    assert words is not None
    first, stop = covered(words, span)
    if first < stop and words[first][0] == span[0] and words[stop - 1][1] == span[1]:
        return span
    start, end = _trimmed(row.text, span)
    # The word in which each edge is; one that ends with a mark of direction ends before it too.
    first, last = bisect_right(words, (start, len(row.text))) - 1, bisect_left(words, (end,)) - 1
    if start == end or not 0 <= first <= last:
        return None
    if start != _trimmed(row.text, words[first])[0] or end != _trimmed(row.text, words[last])[1]:
        return None
    return words[first][0], words[last][1]


def _trimmed(text: str, span: Span) -> Span:
    """A span without white space and characters without width at its edges, `_BLANKS` at most."""
    start, end = span
    first, last = start + _BLANKS, end - _BLANKS
    while start < end and start < first and _is_blank(text[start]):
        start += 1
    while start < end and end > last and _is_blank(text[end - 1]):
        end -= 1
    return start, end


def _is_blank(char: str) -> bool:
    return (
        char.isspace()
        or char in "\ufe0e\ufe0f"
        or (not char.isascii() and unicodedata.category(char) == "Cf")
    )


def _same(text: str, span: Span, own: str) -> bool:
    """Whether a span has its own text, but for what cannot be seen."""
    if span[1] - span[0] > 4 * len(own) + _NEAR:  # one character stands for four at most
        return False
    found = text[slice(*span)]
    return found == own or _folded(found) == _folded(own)


def _folded(text: str) -> str:
    """A text such that only what can be seen counts."""
    seen = "".join(char for char in text if char.isspace() or not _is_blank(char))
    return unicodedata.normalize("NFC", " ".join(seen.split()))


def _named(mark: Mark) -> str:
    offsets = (str(x) if abs(x) < 10**12 else "(huge)" for x in (mark.start, mark.end))
    return f"entity {'..'.join(offsets)}"


def _other_text(text: str, span: Span, mark: Mark) -> str:
    assert mark.text is not None
    at = text.find(mark.text, max(0, span[0] - _NEAR), span[0] + _NEAR + len(mark.text))
    place = f", which is at {at}..{at + len(mark.text)}" if at >= 0 else ""
    return (
        f"{_named(mark)} is {shown_span(text, span)}, but its own text is {shown(mark.text)}{place}"
    )


def shown_span(text: str, span: Span) -> str:
    """The text of a span, for a message; of a long one only the beginning is copied."""
    start, end = span
    if end - start <= _NEAR:
        return shown(text[start:end])
    return f"{text[start : start + _SHOWN]!r}... ({end - start:,} characters)"


def _say(reading: _Reading, misfit: Sequence[MarkedText], parsed: Parsed) -> None:
    proved = all(mark.text is not None for row in misfit for mark in row.marks)
    reason = "their own texts fit" if proved else "the entities begin and end with words"
    message = (
        f"the offsets count {reading.name}: so {reason} in every row, and in {_CHARACTERS.name} "
        f"they do not ({len(misfit)} row(s))"
    )
    (parsed.notes if proved else parsed.warnings).append(Problem(misfit[0].line, message))


def warn_if_doubtful(rows: Iterable[MarkedText], parsed: Parsed) -> None:
    """Warn where UTF-16 code units fit as well as characters do, and give other spans.

    Args:
        rows: Texts with their spans as the file gives them, all of which characters fit.
        parsed: Gets the warning.
    """
    first: tuple[MarkedText, str, str] | None = None
    for row in filter(is_doubtful, rows):
        resolved = (_resolved(row, reading) for reading in (_CHARACTERS, _UTF16))
        for span, other in zip(*resolved, strict=True):
            if isinstance(span, str) or isinstance(other, str):
                return
            if first is None and other != span:
                first = (row, shown_span(row.text, span), shown_span(row.text, other))
    if first is not None:
        row, one, two = first
        message = (
            f"the offsets are read as characters ({one} here), but {_UTF16.name}, would fit too "
            f"({two}): give each entity its own text, in a key 'text'"
        )
        parsed.warnings.append(Problem(row.line, message))
