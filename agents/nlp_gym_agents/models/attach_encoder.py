"""Encoders that learn with a model: which can, at which rate, and the texts they will need."""

from __future__ import annotations

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

    for encoder in online:
        encoder.on_hold, encoder.upcoming = on_hold, UpcomingTexts(venv, source)
    for encoder in encoders:
        encoder.note_pretrained()  # a target network begins with the online one's low-rank updates


class UpcomingTexts:
    """The texts that a vector environment will show soon.

    Args:
        venv: The environment.
        source: Its corpus; nothing is known of others.
    """

    def __init__(self, venv: TaskVectorEnv, source: FeatureSource) -> None:
        self.venv, self.source = venv, source

    def __call__(self, texts: UnitTexts) -> Int64Array:
        """Texts of the next episodes, or none."""
        if texts.origin is not self.source.unit_texts:
            return np.zeros(0, np.int64)
        return self.source.texts_of(self.venv.upcoming())

    def __deepcopy__(self, memo: object) -> UpcomingTexts:
        """Copies of a policy look at the same environments."""
        return self
