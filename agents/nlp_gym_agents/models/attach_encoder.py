"""Encoders that learn with a model: which can, at which rate, and the texts they will need."""

from __future__ import annotations

from typing import Any

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm

from nlp_gym.encode.compact import CompactEncoder
from nlp_gym.encode.transformer.encoder import TransformerEncoder
from nlp_gym.envs.vector import TaskVectorEnv
from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym.tasks.core.task import Task
from nlp_gym.types import Int64Array
from nlp_gym_agents.algorithms.encoder_optimizer import split_optimizer
from nlp_gym_agents.networks.encoder.options import Tuning
from nlp_gym_agents.networks.encoder.trainable import trainable_encoders
from nlp_gym_agents.networks.encoder.unit_texts import UnitTexts
from nlp_gym_agents.networks.features.extractor import CorpusExtractor
from nlp_gym_agents.networks.features.source import FeatureSource


def check_learns(obs_type: str, encoder: object = None) -> None:
    """Refuse observations and encoders with which nothing can be learned, before a task is made.

    Args:
        obs_type: Of the environments.
        encoder: As the task's argument: a name, an encoder or None.

    Raises:
        InvalidArgumentError: Observations carry vectors, or the encoder has no weights.
    """
    if encoder == "hashed":
        raise _no_weights(encoder)
    if obs_type != "index":
        raise InvalidArgumentError(
            f"obs_type={shown(obs_type)} carries the vectors of a frozen encoder; one that learns "
            "needs obs_type='index' (the default)."
        )


def transformer_of(task: Task) -> TransformerEncoder:
    """The task's encoder, which can learn.

    Raises:
        InvalidArgumentError: It cannot.
    """
    encoder = task.encoder
    if isinstance(encoder, TransformerEncoder):
        return encoder
    if isinstance(encoder, CompactEncoder):
        raise InvalidArgumentError(
            "encoder_kwargs: project and storage make the vectors of a frozen encoder smaller, and "
            f"{shown(encoder.name)} is to learn: its vectors are computed anew and never stored. "
            "Leave both out, or give --encoder-mode frozen."
        )
    raise _no_weights(encoder.name)


def _no_weights(encoder: object) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"encoder={shown(encoder)} has no weights to learn: give --encoder minilm or a "
        "transformer's name, or --encoder-mode frozen."
    )


def attach_encoders(model: BaseAlgorithm, venv: TaskVectorEnv, tuning: Tuning) -> None:
    """Give the encoders of a fresh model their learning rate, and the texts they will need soon.

    Args:
        model: An algorithm whose policy has encoders that learn.
        venv: Its environments.
        tuning: The options the encoders were made with.
    """
    encoders = trainable_encoders(model.policy)
    known = {p for group in model.policy.optimizer.param_groups for p in group["params"]}
    # A target network's encoder copies the online one's. Separate actor and critic have one each.
    online = [encoder for encoder in encoders if known.issuperset(encoder.parameters())]
    rate = split_optimizer(
        model,
        [p for encoder in online for p in encoder.parameters()],
        lr=tuning.lr,
        warmup=tuning.warmup,
        hold=tuning.hold,
        weight_decay=tuning.weight_decay,
    )
    source = next(m for m in model.policy.modules() if isinstance(m, CorpusExtractor)).source
    assert source is not None

    def on_hold() -> bool:  # a plain function, which copies of the policy share
        return rate.on_hold(model._current_progress_remaining)

    rollout = Rollout(model, source)
    for encoder in online:
        encoder.on_hold, encoder.upcoming = on_hold, UpcomingTexts(venv, source, rollout)
        encoder.keeps = rollout.keeps
    for encoder in encoders:
        encoder.note_pretrained()  # a target network begins with the online one's low-rank updates


class Rollout:
    """What is known of the rollout that an on-policy algorithm collects.

    Args:
        model: The algorithm; nothing is known where its buffer is none of `algorithms.buffers`.
        source: The corpus it learns from.
    """

    def __init__(self, model: BaseAlgorithm, source: FeatureSource) -> None:
        self.model, self.source = model, source

    @property
    def buffer(self) -> Any:
        """The rollout buffer, or None."""
        return getattr(self.model, "rollout_buffer", None)

    def is_complete(self) -> bool:
        """Whether the rollout is collected, so that what comes next is played with new weights."""
        return bool(getattr(self.buffer, "full", False))

    def keeps(self, texts: UnitTexts) -> bool:
        """Whether the texts are of a rollout that one update will learn from as a whole."""
        if not getattr(self.buffer, "collecting", False) or self.is_complete():
            return False
        size = self.buffer.buffer_size * self.buffer.n_envs
        whole = (getattr(self.model, "batch_size", None) or size) >= size  # a2c has no minibatches
        return whole and texts.origin is self.source.unit_texts

    def __deepcopy__(self, memo: object) -> Rollout:
        """Copies of a policy belong to the same algorithm."""
        return self


class UpcomingTexts:
    """The texts that a vector environment will show soon.

    Args:
        venv: The environment.
        source: Its corpus; nothing is known of others.
        rollout: After its last step nothing is looked ahead; None: there are no rollouts.
    """

    def __init__(
        self, venv: TaskVectorEnv, source: FeatureSource, rollout: Rollout | None = None
    ) -> None:
        self.venv, self.source, self.rollout = venv, source, rollout

    def __call__(self, texts: UnitTexts) -> Int64Array:
        """Texts of the first states of the next episodes, or none."""
        over = self.rollout is not None and self.rollout.is_complete()
        if over or texts.origin is not self.source.unit_texts:
            return np.zeros(0, np.int64)
        return self.source.texts_of(self.venv.upcoming(), first=True)

    def __deepcopy__(self, memo: object) -> UpcomingTexts:
        """Copies of a policy look at the same environments."""
        return self
