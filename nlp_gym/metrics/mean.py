"""The mean of several scores, for mixtures of tasks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nlp_gym.metrics.base import Score


def mean_score(scores: Mapping[str, Score], metric: str) -> Score:
    """Unweighted mean of scores.

    The interval is that of a mean of independent scores, each with the spread of its own bootstrap
    interval; there is none unless every score has one.

    Args:
        scores: At least one score, by the name of its task.
        metric: Name of the mean.
    """
    parts = list(scores.values())
    value = float(np.mean([part.value for part in parts]))
    widths = [part.interval[1] - part.interval[0] for part in parts if part.interval is not None]
    interval = None
    if len(widths) == len(parts):
        half = float(np.sqrt(np.square(widths).sum())) / 2 / len(parts)
        interval = (max(0.0, value - half), min(1.0, value + half))
    report = {
        name: {"metric": part.metric, "value": part.value, "n": part.n, **part.report}
        for name, part in scores.items()
    }
    lines = [f"{name:<28} {part.metric:<14} {part.value:.4f}" for name, part in scores.items()]
    signature = f"{metric}|tasks:{len(parts)}|" + "|".join(part.signature for part in parts)
    n = sum(part.n for part in parts)
    return Score(metric, value, interval, n, signature, {"tasks": report}, "\n".join(lines))
