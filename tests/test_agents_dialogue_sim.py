"""Agents on a task whose rows share the sentences that states name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch as th
from conftest import as_tensors, oracle_states, tiny_task

from nlp_gym import make_task
from nlp_gym.data.readers.report.sample_lines import sample_lines
from nlp_gym.tasks.core.rollout import rollout
from nlp_gym_agents.evaluation.example import _decided
from nlp_gym_agents.networks.features.source import FeatureSource

ID = "DialogueSim-v0"
SAMPLE: dict[str, Any] = {"corpus": "sample", "encoder": "hashed", "encoder_kwargs": {"dim": 8}}


def test_an_encoder_that_learns_encodes_what_is_said_and_no_more(tiny_bert: Path) -> None:
    task = tiny_task(ID, tiny_bert)
    frozen, live = FeatureSource(task, "cpu"), FeatureSource(task, "cpu", trainable=True)
    assert live.unit_texts is not None
    for state in oracle_states(task):
        obs = as_tensors(task.observe(state, "index"))
        parts = obs["row"], obs["position"], obs["words"]
        units = frozen.context(*parts)
        assert th.equal(units, live.context(*parts))
        assert np.array_equal(units.numpy(), state.said)
        assert not len(live.texts_of(state.row))  # thousands of sentences are of all rows


def test_an_example_is_shown_as_a_dialogue() -> None:
    task = make_task(ID, **SAMPLE)
    (output,) = rollout(task, "oracle", rows=[0])
    lines = _decided(task.sample(0), task.record(0, output), "goals")
    assert lines[0].startswith("user: ")
    assert len(lines) == 4
    assert len(sample_lines(task.sample(0), "goals")) == 1
