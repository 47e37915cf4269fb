"""Reader of Label Studio's exports of text spans: JSON and JSON-MIN."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from nlp_gym.data.readers.shared.base import Parsed
from nlp_gym.data.readers.shared.decoding import Problem
from nlp_gym.data.readers.shared.json_tools import (
    RowError,
    checked_list,
    checked_object,
)
from nlp_gym.data.readers.shared.offsets import Mark
from nlp_gym.data.readers.shared.options import Options
from nlp_gym.data.readers.tagging.exports.rows import first_objects, is_objects, read_rows
from nlp_gym.data.readers.tagging.jsonl import with_id
from nlp_gym.data.readers.tagging.marked_texts import MarkedTexts, checked_marks, raw_text
from nlp_gym.errors import shown

_ANNOTATIONS = ("annotations", "completions")
"""Keys of a task's annotations; the second one is that of versions before 1.0."""
_OTHER_LABELS = ("hypertextlabels", "paragraphlabels", "timeserieslabels", "rectanglelabels")
_MINIMAL = frozenset((
    "id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "agreement",
    "file_upload",
))  # fmt: skip
"""Keys that JSON-MIN adds to those of the data."""


def is_label_studio(lines: list[str]) -> bool:
    """Whether lines look like an export of Label Studio."""
    return any(
        any(is_objects(row.get(key), "result") for key in _ANNOTATIONS)
        or _is_results(row.get("result"))
        or any(map(_is_spans, row.values()))
        for row in first_objects(lines)
    )


def _is_results(value: Any) -> bool:
    return is_objects(value, "from_name", "value")


def _is_spans(value: Any) -> bool:
    return is_objects(value, "start", "end", "labels")


def parse(lines: list[str], name: str, options: Options) -> Parsed:
    """Read a list of tasks, one task per line, or a single one.

    A task of the JSON export has ``data`` and ``annotations``; JSON-MIN has the spans beside the
    text. `options.text_column` names the key of the text, which is needed where there are several
    texts. `options.column` names the labels (`from_name`), where there are several.

    A task has one annotation: that which is marked as ground truth, or the only one, or one of
    several equal ones. Annotations that were cancelled do not count, and a task without annotation
    is left out. Results that are no spans (choices, relations, ...) are not read; a file without
    any span but with such results is an export of another kind, and a problem.
    """
    lines_of = {True: list[int](), False: list[int]()}  # of results that are spans, and others

    def add(value: Any, line: int, texts: MarkedTexts) -> None:
        task = checked_object(value, "the task")
        whole = any(isinstance(task.get(key), list) for key in _ANNOTATIONS) or "result" in task
        marks = list[Mark]()
        if whole:
            data = checked_object(_data(task), "'data'")
            results = _results(task, options) if options.gold else []
            if results is None:
                texts.count("task(s) without an annotation are left out", line)
                return
            marks = _marks_of_results(results, options, texts, line)
            lines_of[True] += [line] * len(marks)
            lines_of[False] += [line] * (len(results) - len(marks))
        else:
            data = {key: task[key] for key in task if key not in _MINIMAL}
            if options.gold:
                marks = _marks_of_minimal(data, options)
        key = _text_key(data, options)
        found = with_id(raw_text(data[key], key, line), task)
        if options.gold:
            texts.add_marked(found, marks)
        else:
            texts.add(found)

    parsed = read_rows(lines, name, options, add)
    if lines_of[False] and not lines_of[True]:
        message = (
            "no annotation is a span of the text with a label: this is an export of choices or of "
            "other results, which are not read as tags"
        )
        parsed.problems.insert(0, Problem(lines_of[False][0], message))
        parsed.samples = []
    return parsed


def _data(task: dict[str, Any]) -> Any:
    """The data of a task; an annotation that was stored alone has its task inside."""
    inner = task.get("task")
    return inner.get("data") if isinstance(inner, dict) and "data" not in task else task.get("data")


def _text_key(data: dict[str, Any], options: Options) -> str:
    names = options.text_names(("text",))
    known = next((name for name in names if isinstance(data.get(name), str)), None)
    if known is not None:
        return known
    texts = [key for key, value in data.items() if isinstance(value, str)]
    if options.text_column is None and len(texts) == 1:
        return texts[0]
    keys = ", ".join(map(shown, texts[:8])) or "none"
    raise RowError(
        f"there is no text {' or '.join(map(repr, names))} (texts: {keys}): text_column= names it"
    )


def _results(task: dict[str, Any], options: Options) -> list[Any] | None:
    """The results of the annotation of a task; None if it has none that counts."""
    if "result" in task:
        return checked_list(task["result"], "result")
    key = next(key for key in _ANNOTATIONS if isinstance(task.get(key), list))
    found = [checked_object(item, "an annotation") for item in task[key]]
    found = [item for item in found if not item.get("was_cancelled") and not item.get("skipped")]
    found = [item for item in found if item.get("ground_truth")] or found
    if not found:
        return None
    results = [checked_list(item.get("result"), "result") for item in found]
    spans = [_comparable(items, options) for items in results]
    if any(other != spans[0] for other in spans):
        raise RowError(
            f"{len(found)} annotations of one task differ: mark one of them as ground truth in "
            "Label Studio, or leave the others out"
        )
    return results[0]


def _comparable(results: Iterable[Any], options: Options) -> list[tuple[int, int, str]]:
    marks = checked_marks(_spans(results, options), "result")
    return sorted((mark.start, mark.end, mark.label) for mark in marks)


def _marks_of_results(
    results: Sequence[Any], options: Options, texts: MarkedTexts, line: int
) -> list[Mark]:
    spans = _spans(results, options)
    for _ in range(len(results) - len(spans)):
        texts.count("result(s) that are no spans with labels are not read", line)
    return checked_marks(spans, "result")


def _spans(results: Iterable[Any], options: Options) -> list[dict[str, Any]]:
    """The values of those results that are spans of the text."""
    found, sources = list[dict[str, Any]](), set[str]()
    for item in results:
        result = checked_object(item, "a result")
        value = result.get("value")
        if not isinstance(value, dict):
            continue
        other = next((key for key in _OTHER_LABELS if key in value), None)
        if other is not None or isinstance(value.get("startOffset"), int):
            raise RowError(
                f"a result is of the type {shown(result.get('type', other))}, whose offsets are "
                "those of a page or dialogue: export spans of plain text (the tag <Text> with "
                "<Labels>)"
            )
        if "labels" not in value or "start" not in value:
            continue
        source = str(result.get("from_name"))
        if options.column is None or source == str(options.column):
            found.append({**value, "text": _own_text(value)})
            sources.add(source)
    _check_one(sources)
    return found


def _check_one(sources: set[str]) -> None:
    if len(sources) > 1:
        names = ", ".join(map(shown, sorted(sources)))
        raise RowError(f"there are spans of several kinds ({names}): column= names one of them")


def _own_text(value: dict[str, Any]) -> Any:
    text = value.get("text")
    # Line breaks are written so in the text of a span.
    return text.replace("\\n", "\n") if isinstance(text, str) else text


def _marks_of_minimal(data: dict[str, Any], options: Options) -> list[Mark]:
    """The spans of JSON-MIN, under the name of the labels; none where that key is missing."""
    if options.column is not None:
        spans = data.get(str(options.column), [])
    else:
        keys = {key for key, value in data.items() if _is_spans(value)}
        _check_one(keys)
        spans = data[next(iter(keys))] if keys else []
        nested = [item for value in data.values() if isinstance(value, list) for item in value]
        for item in nested:
            if isinstance(item, dict) and any(key in item for key in _OTHER_LABELS):
                raise RowError(
                    "the spans are those of a page or dialogue: export spans of plain text (the "
                    "tag <Text> with <Labels>)"
                )
    items = (checked_object(item, "a span") for item in checked_list(spans, "the spans"))
    return checked_marks([{**item, "text": _own_text(item)} for item in items], "the spans")
