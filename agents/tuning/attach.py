"""Connect learning encoders with the model around them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sb3_contrib import QRDQN, MaskablePPO
from stable_baselines3 import DQN, PPO

from agents.algorithms import AlgorithmRow
from agents.buffers import (
    EpisodeReplayBuffer,
    EpisodeRolloutBuffer,
    MaskableEpisodeRolloutBuffer,
)
from agents.extractors import CorpusExtractor
from agents.sources import FeatureSource
from agents.tuning.book import TextBook
from agents.tuning.live import live_encoders
from agents.tuning.optimizer import split_optimizer
from agents.tuning.options import Tuning
from nlp_gym.encode.transformer import TransformerEncoder
from nlp_gym.envs.vector import TaskVectorEnv
from nlp_gym.errors import InvalidArgumentError
from nlp_gym.tasks.base import Task


def check_live(obs_type: str, encoder: object = None) -> None:
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
            f"obs_type={obs_type!r} carries the vectors of a frozen encoder; one that learns needs "
            "obs_type='index' (the default)."
        )


def transformer_of(task: Task) -> TransformerEncoder:
    """The task's encoder, which can learn.

    Raises:
        InvalidArgumentError: It cannot.
    """
    if isinstance(task.encoder, TransformerEncoder):
        return task.encoder
    raise _no_weights(task.encoder.name)


def _no_weights(encoder: object) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"encoder={encoder!r} has no weights to learn: give --encoder minilm or a transformer's "
        "name, or --encoder-mode frozen."
    )


def buffer_arguments(row: AlgorithmRow) -> dict[str, Any]:
    """Buffers whose batches hold few texts, for the algorithms that take one."""
    if issubclass(row.cls, MaskablePPO):
        return {"rollout_buffer_class": MaskableEpisodeRolloutBuffer}
    if issubclass(row.cls, PPO):
        return {"rollout_buffer_class": EpisodeRolloutBuffer}
    if issubclass(row.cls, DQN | QRDQN):
        return {"replay_buffer_class": EpisodeReplayBuffer}
    return {}


def attach(model: Any, venv: TaskVectorEnv, tuning: Tuning) -> None:
    """Give the encoders of a fresh model their learning rate, and sight of what comes next.

    Args:
        model: A Stable-Baselines3 algorithm whose policy has learning encoders.
        venv: Its environments.
        tuning: As the encoders were made with.
    """
    encoders = live_encoders(model.policy)
    known = {p for group in model.policy.optimizer.param_groups for p in group["params"]}
    # A target network's copies the online one's. Separate actor and critic have one each.
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

    def held() -> bool:  # a plain function, which copies of the policy share
        return rate.held(model._current_progress_remaining)

    for encoder in online:
        encoder.held, encoder.ahead = held, _Upcoming(venv, source)
    for encoder in encoders:
        encoder.settle()  # a target network begins with the online one's low-rank updates


class _Upcoming:
    """The texts that a vector environment will show soon.

    Args:
        venv: The environment.
        source: Its corpus; nothing is known of others.
    """

    def __init__(self, venv: TaskVectorEnv, source: FeatureSource) -> None:
        self.venv, self.source = venv, source

    def __call__(self, book: TextBook) -> npt.NDArray[np.int64]:
        """Texts of the next episodes, or none."""
        if book is not self.source.book:
            return np.zeros(0, np.int64)
        return self.source.texts_of(self.venv.upcoming())

    def __deepcopy__(self, memo: Any) -> _Upcoming:
        """Copies of a policy look at the same environments."""
        return self
