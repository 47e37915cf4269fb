"""Alarms for reward hacking: signs, at an evaluation on dev, that a metric of texts is gamed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nlp_gym.metrics.base import Score
from nlp_gym.metrics.text.corpus import VALUES

WATCHED = ("length_ratio", "repetition", "copied", "empty", *VALUES.values())
"""Figures of a score's report that go into ``metrics.jsonl`` and the log."""

_SHIFT = 0.15
"""Alarm when the length ratio is further than this from where it began, and from 1."""
_RISE = {
    "repetition": (0.05, "texts repeat themselves"),
    "copied": (0.05, "texts copy their source"),
    "empty": (0.02, "texts have no word"),
}
_WRITES = 0.02
"""A policy whose metric is below this has not learned to write; nothing is compared with it."""
_FALL = 0.01
"""Alarm when an unrewarded metric falls by more than this while the rewarded one rises."""
_NAMES = {"bleu": "BLEU", "gleu": "GLEU", "chrf": "chrF"}


def watched(score: Score) -> dict[str, float]:
    """The figures of a score that alarms depend on; none where no text is written."""
    report = score.report
    if "length_ratio" not in report:
        return {}
    found = {name: report[name] for name in WATCHED if name in report}
    return {name: float(_value(figure)) for name, figure in found.items()}


def _value(figure: Any) -> Any:
    return figure["value"] if isinstance(figure, Mapping) else figure


def alarms(
    before: Sequence[Mapping[str, Any]], now: Mapping[str, Any], trained: str | None = None
) -> list[str]:
    """Alarms for changes since the policy began to write that a better metric does not explain.

    Args:
        before: Evaluations of the run so far, as in ``metrics.jsonl``.
        now: This one.
        trained: The metric of rewards, as reports name it; None: that of the score.
    """
    writing = (row for row in before if "length_ratio" in row and row["value"] >= _WRITES)
    first = next(writing, None)
    return [] if first is None else _changes(first, now, trained or now["metric"])


def _changes(first: Mapping[str, Any], now: Mapping[str, Any], trained: str) -> list[str]:
    told = []
    old, new = first["length_ratio"], now["length_ratio"]
    if abs(new - old) > _SHIFT and abs(new - 1) > max(abs(old - 1), _SHIFT):
        told.append(f"length ratio {old:.2f} -> {new:.2f}: texts grow too long or too short")
    for name, (most, meaning) in _RISE.items():
        if now.get(name, 0.0) - first.get(name, 0.0) > most:
            told.append(f"{name} {first[name]:.1%} -> {now[name]:.1%}: {meaning}")
    if now.get(trained, 0.0) > first.get(trained, 0.0):
        others = dict.fromkeys((now["metric"], "bleu" if trained == "chrf" else "chrf"))
        for name in others:
            fall = first.get(name, 0.0) - now.get(name, 0.0)
            if name != trained and fall > _FALL:
                told.append(
                    f"{_NAMES.get(name, name)} fell by {fall:.3f} while "
                    f"{_NAMES.get(trained, trained)} rose: it is gamed, not bettered"
                )
    return told
