"""Signs that a metric rises for the wrong reasons."""

from __future__ import annotations

from typing import Any

import pytest

from nlp_gym.metrics.base import Score
from nlp_gym_agents.training.callbacks.reward_hacking import alarms, watched


def score(value: float, **report: float) -> dict[str, Any]:
    chrf = {"chrf": {"value": report.pop("chrf", 0.4)}}
    habits = {"length_ratio": 1.0, "repetition": 0.01, "copied": 0.0, "empty": 0.0, **report}
    tables = {"bleu": {"value": value}, "gleu": {"value": report.pop("gleu", value)}, **chrf}
    found = watched(Score("bleu", value, None, 10, "", {**tables, **habits}))
    return {"metric": "bleu", "value": value, **found}


@pytest.mark.parametrize(
    ("now", "word"),
    [
        ({"length_ratio": 1.3}, "length ratio"),
        ({"length_ratio": 0.7}, "length ratio"),
        ({"repetition": 0.2}, "repetition"),
        ({"copied": 0.1}, "copied"),
        ({"empty": 0.1}, "empty"),
        ({"chrf": 0.35}, "chrF"),
    ],
)
def test_alarms_name_what_a_better_metric_does_not_explain(
    now: dict[str, float], word: str
) -> None:
    told = alarms([score(0.2)], score(0.3, **now))
    assert len(told) == 1
    assert word in told[0]


def test_what_falls_while_the_metric_of_rewards_rises_is_named() -> None:
    first = score(0.3, gleu=0.3)
    assert not alarms([first], score(0.35, gleu=0.35), "gleu")
    told = alarms([first], score(0.28, gleu=0.35), "gleu")
    assert told == ["BLEU fell by 0.020 while GLEU rose: it is gamed, not bettered"]
    assert "chrF fell" in alarms([first], score(0.35, gleu=0.35, chrf=0.35), "gleu")[0]
    assert not alarms([first], score(0.28, gleu=0.29), "gleu")  # worse, not gamed
    # chrF itself is rewarded: its fall is no sign, but that of BLEU while it rises.
    assert not alarms([first], score(0.35, chrf=0.35), "chrf")
    assert "BLEU fell" in alarms([first], score(0.28, chrf=0.45), "chrf")[0]


def test_alarms_are_silent_where_texts_get_better() -> None:
    assert not alarms([score(0.2)], score(0.3, chrf=0.45))
    assert not alarms([score(0.2, length_ratio=0.7)], score(0.3, length_ratio=0.98))
    assert not alarms([score(0.01)], score(0.3, repetition=0.5))  # nothing was written at first
    assert not alarms([score(0.3)], score(0.2, chrf=0.3))  # worse, not gamed
    tagging = {"metric": "entity_f1", "value": 0.9}
    assert watched(Score("entity_f1", 0.9, None, 3, "")) == {}
    assert not alarms([tagging], tagging)
