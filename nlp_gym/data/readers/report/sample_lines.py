"""A sample in one or two lines, as a person reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from nlp_gym.errors import shown, visible
from nlp_gym.types import Sample

_WIDTH = 110
_MOST = 4


def sample_lines(sample: Sample, family: str) -> list[str]:
    """What a sample of a family holds, in one or two lines; nothing in them acts on a terminal.

    Args:
        sample: The sample.
        family: Task family, a name in `FAMILIES`.
    """
    return [_cut(visible(line)) for line in _LINES.get(family, _plain)(sample)]


def _cut(text: str) -> str:
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 3]}..."


def _text(words: Iterable[str]) -> str:
    return shown(" ".join(words))


def _raw(sample: Sample) -> str:
    return shown(str(sample.extra.get("text", " ".join(sample.words))))


def _listed(items: Sequence[Any]) -> str:
    more = f", ... ({len(items)})" if len(items) > _MOST else ""
    return ", ".join(map(str, items[:_MOST])) + more


def _plain(sample: Sample) -> list[str]:
    return [_raw(sample)]


def _tagged(sample: Sample) -> list[str]:
    if sample.labels is None:
        return [" ".join(sample.words[:60])]
    pairs = zip(sample.words[:60], sample.labels, strict=False)
    return [" ".join(f"{word}/{label}" for word, label in pairs)]


def _parsed(sample: Sample) -> list[str]:
    if sample.labels is None or sample.gold is None:
        return [" ".join(sample.words[:60])]
    rows = zip(sample.words[:60], sample.labels, sample.gold, strict=False)
    return [" ".join(f"{word}/{label}:{head}" for word, label, head in rows)]


def _labelled(sample: Sample) -> list[str]:
    if sample.labels is None:
        return _plain(sample)
    return [f"{_raw(sample)} -> {_listed(sample.labels) or '(no label)'}"]


def _related(sample: Sample) -> list[str]:
    lines, pairs = [_text(sample.words)], sample.extra.get("pairs", ())
    labels: Sequence[str] = sample.labels or [""] * len(pairs)
    found = []
    for (first, last, start, end), label in zip(pairs[:_MOST], labels, strict=False):
        names = (" ".join(sample.words[a:b]) for a, b in ((first, last), (start, end)))
        found.append(" -> ".join(names) + (f": {label}" if label else ""))
    more = f"; ... ({len(pairs)} pairs)" if len(pairs) > _MOST else ""
    return [*lines, "; ".join(found) + more]


def _span(sample: Sample) -> list[str]:
    answers = [answer[0] for answer in sample.gold or ()]
    asked = f"{shown(str(sample.extra.get('question_text', '')))} in {_raw(sample)}"
    return [asked, *([f"answer: {_listed(list(map(shown, answers)))}"] if answers else [])]


def _choice(sample: Sample) -> list[str]:
    texts = sample.extra.get("choice_texts", ())
    marked = [
        f"{'*' if i == sample.gold else ''}{i}: {visible(text[:40])}"
        for i, text in enumerate(texts[:8])
    ]
    hint = " (* is right)" if sample.gold is not None else ""
    return [_raw(sample), "; ".join(marked) + hint]


def _dialogue(sample: Sample) -> list[str]:
    turns = sample.extra.get("context_texts", ())
    replies = sample.extra.get("candidate_texts", ())
    right = [shown(replies[i]) for i in sample.gold or () if i < len(replies)]
    said = f"{len(turns)} turn(s), the last: {shown(turns[-1]) if turns else ''}"
    found = f"; right: {_listed(right)}" if right else ""
    return [said, f"{len(replies)} candidates{found}"]


def _policy(sample: Sample) -> list[str]:
    lines = []
    for i, text in enumerate(sample.extra.get("turn_texts", ())[:2]):
        acts = f" -> {_listed(sample.gold[i])}" if sample.gold is not None else ""
        lines.append(f"user: {shown(text)}{acts}")
    return lines


def _goal(sample: Sample) -> list[str]:
    return [shown(" ".join(sample.words))]


def _written(sample: Sample) -> list[str]:
    source = shown(" ".join(sample.extra.get("sentence_texts", ())) or _source(sample))
    gold = [shown(text) for text in sample.gold or ()]
    return [source, *([f"-> {_listed(gold)}"] if gold else [])]


def _source(sample: Sample) -> str:
    return str(sample.extra.get("text", " ".join(sample.words)))


def _triple(sample: Sample) -> list[str]:
    parts = [sample.extra.get("head", ""), sample.extra.get("relation", "")]
    return [" | ".join(str(part) for part in (*parts, *(sample.gold or ())))]


_LINES: dict[str, Callable[[Sample], list[str]]] = {
    "tagging": _tagged,
    "classification": _labelled,
    "multilabel": _labelled,
    "relation": _related,
    "spanqa": _span,
    "choice": _choice,
    "dialogue": _dialogue,
    "policy": _policy,
    "goals": _goal,
    "summary": _written,
    "generation": _written,
    "kg": _triple,
    "parsing": _parsed,
}
