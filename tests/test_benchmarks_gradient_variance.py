"""The benchmark of noise in gradients: its figures by hand, and a table of bundled samples."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch as th

from benchmarks.learning.gradient_variance import (
    CASES,
    gradients,
    measure,
    model_of,
    relative_variance,
)
from nlp_gym.tasks.core.make import make_task
from nlp_gym_agents.algorithms.registry import ALGORITHMS

pytestmark = pytest.mark.usefixtures("one_thread")


def test_gradient_variance_by_hand() -> None:
    same = th.tensor([[3.0, 4.0]] * 3, dtype=th.float64)
    assert relative_variance(same) == 0.0
    # Mean (3, 0), variance 2 * 1 / 1; the square of the mean is 9, less 2 / 2.
    found = th.tensor([[2.0, 0.0], [4.0, 0.0]], dtype=th.float64)
    assert relative_variance(found) == pytest.approx(2 / 8)
    assert relative_variance(th.tensor([[-1.0], [1.0]], dtype=th.float64)) == math.inf


def test_gradient_variance_of_expectations_is_below_that_of_samples() -> None:
    case = next(case for case in CASES if case.name == "tags, one decision")
    rows = list(measure(case, 4, 8, 64, corpus="sample", encoder="hashed"))
    table = {tuple(row.split(" | ")[1:3]): float(row.split(" | ")[4]) for row in rows}
    for network in ("fresh", "learned"):
        assert table[network, "expected_pg"] == 0.0
        assert table[network, "maskable_ppo"] > 0.1
        assert table[network, "rloo"] > 0.1


def test_gradients_of_rloo_are_of_the_same_texts_and_of_whole_rollouts() -> None:
    case = next(case for case in CASES if case.name == "tags, correctness")
    task = make_task(case.env, corpus="sample", encoder="hashed")
    model = model_of(ALGORITHMS["rloo"], case, task, 8)
    model._setup_learn(10**9, None)
    model.env.reset()
    texts, begin = [], model.next_texts

    def noted() -> Any:
        texts.append(begin()[0].tolist())
        return begin()

    model.next_texts = noted
    found = list(gradients(model, 2, model.env.venv.snapshot()))
    assert texts[0] == texts[1]
    assert len(texts[0]) * model.samples == 8
    assert model._n_updates == 2
    assert not th.equal(*found)
