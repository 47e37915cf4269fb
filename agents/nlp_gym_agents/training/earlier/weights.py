"""The earlier run that a run continues: its weights in the new model, and its data."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from nlp_gym import make_task
from nlp_gym.errors import RunError, shown
from nlp_gym_agents.algorithms.pretraining import keep_exploration
from nlp_gym_agents.models.grow import Growth, check_grows, grown
from nlp_gym_agents.runs.files.weights import POLICY, read_tensors
from nlp_gym_agents.runs.folder import find_snapshot
from nlp_gym_agents.runs.settings import SnapshotSettings
from nlp_gym_agents.training.start.setup import Setup


def load_earlier(setup: Setup, trust: Sequence[str] | str = ()) -> None:
    """Put the best weights of the run that is continued into a model that was just built.

    Args:
        setup: Of a run with `continue_from`.
        trust: Modules that the settings of the earlier run may have imported.

    Raises:
        RunError: The weights cannot be read or do not fit, or the encoder gives other vectors.
    """
    folder, saved = find_snapshot(setup.config.continue_from or "", trust=trust)
    _check_encoder(setup, saved)
    weights = read_tensors(folder / POLICY, saved["aliases"])
    growth = growth_since(setup, saved["labels"])
    check_grows(setup.model, growth)
    setup.model.policy.load_state_dict(grown(weights, setup.model, growth))
    keep_exploration(setup.model)


def growth_since(setup: Setup, known: Sequence[str]) -> Growth:
    """What new labels added to a model.

    Args:
        setup: The model, and its task.
        known: Labels before.
    """
    task, labels = setup.train_task, list(known)
    if list(task.labels) == labels or not labels:
        return Growth(len(labels), (task.n_actions, task.n_actions))
    kwargs = {**setup.config.task_kwargs, "encoder": task.encoder, "encoder_kwargs": None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # gold that is not among the old labels
        before = make_task(setup.config.env, split="dev", **{**kwargs, "labels": labels})
    return Growth.of(setup.model, task, before, setup.obs_type)


def _check_encoder(setup: Setup, saved: SnapshotSettings) -> None:
    own, theirs = setup.train_task.encoder.fingerprint, saved["encoder"]["fingerprint"]
    if own != theirs:
        raise RunError(
            f"continue_from={shown(setup.config.continue_from)} was trained with the encoder "
            f"{theirs[:12]}, and this one is {own[:12]}: its weights, options or the release "
            "differ, and so do its vectors. Use what the run's versions.json names."
        )
