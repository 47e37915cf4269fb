"""Fit the temperature of a run's confidences on dev, once, when training has ended.

A part of a sample is right or wrong by itself: a word, a label, an answer (`Kind.parts`). It is
right where the task's reward ``correctness`` credits the decision that makes it; a transition of a
parser where none costs fewer gold arcs; a written token where the reference has it after the same
text, so that there the model reads the reference and not what it wrote; the first of several ranked
answers where the sample's score is 1. Where no decision is right or wrong by itself, as in a
dialogue that succeeds or fails as a whole, nothing is fitted (`Kind.judged`). The temperature is
the one at which the log loss of the confidences of the parts is lowest (temperature scaling, Guo et
al. 2017, with right or wrong in place of the classes, so that all kinds of tasks are fitted alike).
It changes no decision.
"""

from __future__ import annotations

import numpy as np

from nlp_gym.metrics.base import Score
from nlp_gym.tasks.core.task import Task
from nlp_gym.types import Float64Array
from nlp_gym_agents.models.trained import TrainedModel
from nlp_gym_agents.prediction.kinds import Kind, kind_of, parts_of
from nlp_gym_agents.runs.calibration import COLDEST, HOTTEST, Calibration, Fit

TEMPERATURES = np.geomspace(COLDEST, HOTTEST, 65)
"""What is tried, in steps of 9 %; the one in the middle is 1."""
MOST_SAMPLES = 1000
"""Samples of dev that are played; one number is fitted, to which more would add little."""
BINS = 15
_MOST_SCORES = 20_000_000
"""Scores of actions over all decisions, each of which is taken at every temperature."""
_LEAST = 1e-6  # of a probability in a logarithm


def fit_calibration(agent: TrainedModel, *, progress: bool = False) -> Calibration | None:
    """Play dev and fit the temperature.

    Args:
        agent: A trained run; the corpora it was trained on are found where they were.
        progress: Show bars on stderr.

    Returns:
        What the run's ``calibration.json`` holds; None where dev has no gold, no decision is right
        or wrong by itself, or the algorithm does not say how likely it holds its actions.
    """
    task = agent.task("dev", reward="correctness")
    kind = kind_of(task)
    if not task.has_gold or kind.judged == "not":
        return None
    rows = drawn(task)
    outputs, chances = agent.decided(
        task,
        progress=progress,
        cache=True,
        temperatures=TEMPERATURES,
        rows=rows,
        set_aside=kind.set_aside(task),
        as_oracle=task.writes,
        judge=kind.judge(task),
    )
    found = list[Float64Array]()  # (K, m) confidences
    right = list[Float64Array]()  # (m,) whether, or how far, each is right
    for row, output, held in zip(rows, outputs, chances, strict=True):
        if held is None:
            return None
        if held.answers:
            score: Score = task.score([output], rows=[row], bootstrap=0, report=False)
            found.append(np.minimum(held.answers[0][1][:, None], 1.0))
            right.append(np.array([score.value == 1.0], np.float64))
        elif held.credits is not None:
            found.append(parts_of(held.chosen, kind.parts))
            right.append(_credits(held.credits, kind))
    if not found or not any(map(len, right)):
        return None
    confidences, truth = np.concatenate(found, axis=1), np.concatenate(right).clip(0.0, 1.0)
    fits = [Fit(log_loss=log_loss(p, truth), ece=calibration_error(p, truth)) for p in confidences]
    same = len(TEMPERATURES) // 2
    # Of temperatures that fit alike, as where every part is right, the one that changes least.
    best = min(range(len(fits)), key=lambda k: (round(fits[k]["log_loss"], 6), abs(k - same)))
    return Calibration(
        temperature=float(TEMPERATURES[best]),
        timesteps=agent.settings["timesteps"],
        parts=kind.part,
        n_samples=len(rows),
        n=len(truth),
        accuracy=float(truth.mean()),
        before=fits[same],
        after=fits[best],
    )


def _credits(credits: Float64Array, kind: Kind) -> Float64Array:
    """(m,) credits of the parts, from (n,) those of the decisions."""
    return {"each": credits, "first": credits[:1]}.get(kind.parts, credits[-1:])


def drawn(task: Task) -> list[int]:
    """The samples that are played: all, or always the same ones in random order."""
    beam = task.beam if task.ranks_answers else 1
    order = np.random.default_rng(0).permutation(len(task.corpus))[:MOST_SAMPLES]
    scores = np.cumsum(task.lengths[order] * task.n_actions * beam)
    n = max(int(np.searchsorted(scores, _MOST_SCORES, side="right")), 1)
    rows: list[int] = sorted(order[:n].tolist())
    return rows


def log_loss(confidences: Float64Array, right: Float64Array) -> float:
    """Mean log loss in nats of (m,) confidences, where `right` (m,) is 1 or 0, or between."""
    p = confidences.clip(_LEAST, 1.0 - _LEAST)
    return float(-(right * np.log(p) + (1.0 - right) * np.log1p(-p)).mean())


def calibration_error(confidences: Float64Array, right: Float64Array) -> float:
    """Expected calibration error over `BINS` bins of equal width (Naeini et al. 2015).

    Args:
        confidences: (m,) from 0 to 1.
        right: (m,) 1 where that was right, else 0.
    """
    bins = np.minimum((confidences * BINS).astype(np.int64), BINS - 1)
    gaps = np.bincount(bins, weights=confidences - right, minlength=BINS)
    return float(np.abs(gaps).sum() / len(right))


def calibration_line(calibration: Calibration) -> str:
    """A calibration in one line, for people."""
    before, after = calibration["before"]["ece"], calibration["after"]["ece"]
    return (
        f"confidence: temperature {calibration['temperature']:.2f}, expected calibration error "
        f"{before:.4f} before and {after:.4f} after, on {calibration['n']:,} {calibration['parts']}"
        " of dev"
    )
