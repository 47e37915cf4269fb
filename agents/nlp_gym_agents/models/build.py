"""A fresh algorithm object on environments of a task."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch as th
from sb3_contrib import QRDQN, TRPO, MaskablePPO
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.utils import get_device
from torch import nn

from nlp_gym.envs.vector import TaskVectorEnv
from nlp_gym.errors import InvalidArgumentError, NLPGymError, UnknownNameError, shown
from nlp_gym.memory import check_memory, observation_bytes, readable_size
from nlp_gym.tasks.core.task import Task
from nlp_gym.tasks.labels.label_text import LabelText
from nlp_gym_agents.algorithms.buffers import (
    EpisodeReplayBuffer,
    EpisodeRolloutBuffer,
    MaskableEpisodeRolloutBuffer,
)
from nlp_gym_agents.algorithms.policy_gradient.advantages import normalise_only_several
from nlp_gym_agents.algorithms.policy_gradient.all_actions import AllActionsEpisodeRolloutBuffer
from nlp_gym_agents.algorithms.policy_gradient.expected_pg import ExpectedPG
from nlp_gym_agents.algorithms.q_learning.masked_dqn import STATE_OPTIONS, MaskedDQN
from nlp_gym_agents.algorithms.q_learning.transitions import state_bytes
from nlp_gym_agents.algorithms.registry import ALGORITHMS, AlgorithmRow
from nlp_gym_agents.algorithms.vec_env import SB3VecEnv
from nlp_gym_agents.config.devices import check_device
from nlp_gym_agents.config.hyperparams import Params, build_arguments
from nlp_gym_agents.config.validation import extractor_class
from nlp_gym_agents.models.attach_encoder import attach_encoders, check_learns, transformer_of
from nlp_gym_agents.models.size_limit import SizeLimit
from nlp_gym_agents.networks.encoder.options import Tuning
from nlp_gym_agents.networks.encoder.trainable import EncoderFactory
from nlp_gym_agents.networks.features.source import FeatureSource
from nlp_gym_agents.networks.policies.pointer import (
    PointerActorCriticPolicy,
    PointerDQNPolicy,
    PointerDuelingDQNPolicy,
    PointerMaskablePolicy,
)


def buffer_arguments(row: AlgorithmRow) -> Params:
    """The buffer whose batches hold few texts, as arguments of an algorithm that has one."""
    if issubclass(row.cls, ExpectedPG):
        return {"rollout_buffer_class": AllActionsEpisodeRolloutBuffer}
    if issubclass(row.cls, MaskablePPO):
        return {"rollout_buffer_class": MaskableEpisodeRolloutBuffer}
    if issubclass(row.cls, PPO):
        return {"rollout_buffer_class": EpisodeRolloutBuffer}
    if issubclass(row.cls, DQN | QRDQN):
        return {"replay_buffer_class": EpisodeReplayBuffer}
    return {}


OBS_TYPES = ("index", "features")


def encode(task: Task, *, progress: bool = False, cache: bool = True) -> None:
    """Encode a task's units now, with a progress bar, rather than at its first observation.

    Args:
        task: Gets its `encoded`, unless it has it.
        progress: Show a bar where it takes longer and stderr is a terminal.
        cache: False for texts that will not be seen again.
    """
    if "encoded" not in vars(task):
        task.encode(progress=None if progress else False, cache=cache)


def check_obs_type(obs_type: str) -> None:
    """Refuse observations that the agents cannot read.

    Raises:
        InvalidArgumentError: Naming those they can.
    """
    if obs_type == "tokens":
        raise InvalidArgumentError(
            "obs_type='tokens' is for code that brings its own encoder; the agents read "
            f"{' or '.join(OBS_TYPES)} observations."
        )
    if obs_type not in OBS_TYPES:
        raise UnknownNameError("obs_type", obs_type, OBS_TYPES)


def feature_source(
    task: Task, obs_type: str, device: th.device | str, *, trainable: bool = False
) -> FeatureSource | None:
    """Where an extractor gathers vectors from; None where the observation carries them."""
    return FeatureSource(task, device, trainable=trainable) if obs_type == "index" else None


def build_model(
    row: AlgorithmRow,
    task: Task,
    hyperparams: Mapping[str, Any],
    *,
    n_envs: int = 1,
    obs_type: str = "index",
    max_episode_steps: int | None = None,
    seed: int = 0,
    device: str = "auto",
    tuning: Tuning | None = None,
    weights: Path | None = None,
    learns: bool = True,
) -> BaseAlgorithm:
    """A fresh algorithm object on `n_envs` environments of `task`.

    Args:
        row: Which algorithm.
        task: Its corpus should be encoded.
        hyperparams: As in ``hyperparams/<algo>.yml``.
        n_envs: Environments side by side.
        obs_type: ``"index"`` or ``"features"``.
        max_episode_steps: Truncate longer episodes.
        seed: Seeds weights, exploration and environments.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``.
        tuning: How the encoder learns; None: it is frozen.
        weights: File of the policy's weights that the model will load; a network that is larger is
            refused before it is built.
        learns: Whether it will be trained; one with a frozen encoder that only acts has no
            optimizer.

    Raises:
        InvalidArgumentError: A hyperparameter's value is refused by the algorithm, or the encoder
            cannot learn.
        RunError: The network is larger than `weights`.
    """
    check_obs_type(obs_type)
    check_device(device)
    factory = None
    if tuning is not None:
        check_learns(obs_type)
        if issubclass(row.cls, TRPO):
            raise InvalidArgumentError(
                f"algo={shown(row.name)} differentiates gradients, which an encoder that learns "
                "does not allow: use ppo, or encoder_mode='frozen'."
            )
        factory = EncoderFactory(transformer_of(task), tuning, get_device(device))
    venv = TaskVectorEnv(task, n_envs, obs_type=obs_type, max_episode_steps=max_episode_steps)
    arguments = build_arguments(hyperparams)
    if factory is not None or task.writes:
        arguments = {**buffer_arguments(row), **arguments}
    policy_kwargs: Params = arguments["policy_kwargs"]
    extractor_kwargs: Params = policy_kwargs.get("features_extractor_kwargs") or {}
    commits = _commits(row, task, extractor_kwargs)
    if task.tables.candidates is not None or _own_heads(row, task, extractor_kwargs) or commits:
        arguments["policy"] = pointer_policy(row, arguments.get("policy", "MultiInputPolicy"))
    policy_kwargs["features_extractor_class"] = extractor_class(writes=task.writes)
    policy_kwargs["features_extractor_kwargs"] = {
        **extractor_kwargs,
        "source": feature_source(task, obs_type, device, trainable=factory is not None),
        "unit_dim": task.encoder.dim,
        "encoder_factory": factory,
    }
    if commits:
        policy_kwargs["features_extractor_kwargs"]["n_labels"] = len(task.labels)
    if not learns and tuning is None:
        policy_kwargs |= {"optimizer_class": NoOptimizer, "optimizer_kwargs": {}}
    check_buffer(row, venv, arguments)
    arguments |= {"env": SB3VecEnv(venv), "seed": seed, "device": device, "verbose": 0}
    limit = SizeLimit.of_memory(hyperparams)
    if weights is not None:
        limit = SizeLimit.of_weights(weights, pretrained=tuning is not None)
    with limit:
        model = _construct(row, arguments, hyperparams)
    normalise_only_several(model)
    if task.writes:
        _zero_value_heads(model.policy)
    if tuning is not None:
        attach_encoders(model, venv, tuning)
    return model


class NoOptimizer:
    """Stands where an optimizer would, in a model that only acts.

    The first of torch's optimizers imports its compiler, which takes a second; and a model that was
    read from a run has no state of one.
    """

    def __init__(self, params: Iterable[Any], **options: Any) -> None:
        self.param_groups = [{"params": list(params), **options}]


def check_buffer(row: AlgorithmRow, venv: TaskVectorEnv, arguments: Mapping[str, Any]) -> None:
    """Refuse a replay buffer or a rollout that memory cannot hold, before it is allocated.

    Args:
        row: The algorithm.
        venv: Its environments.
        arguments: What the algorithm is made with; defaults are those of its class.

    Raises:
        InvalidArgumentError: Naming the argument and the smaller observation.
    """
    space, defaults = venv.single_observation_space, inspect.signature(row.cls).parameters
    for name, copies in (("buffer_size", 2), ("n_steps", venv.num_envs)):
        value = arguments.get(name, defaults[name].default if name in defaults else None)
        if not isinstance(value, int):
            continue
        if name == "buffer_size" and keeps_states(row, arguments):
            each = state_bytes(venv.task)
            check_memory(name, value, value * each, f"states of {readable_size(each)} each")
            continue
        # A replay buffer has each observation and the next one as they are; a rollout, as float32.
        each = observation_bytes(space, np.float32 if name == "n_steps" else None)
        what = f"observations of {readable_size(each)} each"
        if venv.obs_type != "index":
            what += f" (with obs_type='index' they are of {_index_bytes(venv.task)})"
        check_memory(name, value, value * copies * each, what)


def keeps_states(row: AlgorithmRow, arguments: Mapping[str, Any]) -> bool:
    """Whether replay keeps states instead of observations; see `MaskedDQN`."""
    if not issubclass(row.cls, MaskedDQN):
        return False
    several = arguments.get("n_steps", 1) > 1
    return several or any(arguments.get(name) for name in STATE_OPTIONS)


def _index_bytes(task: Task) -> str:
    return readable_size(observation_bytes(task.observation_space("index")))


def _own_heads(row: AlgorithmRow, task: Task, extractor_kwargs: Mapping[str, Any]) -> bool:
    """Whether the model writes with heads of its own: it copies words, or ties embeddings."""
    asked = [name for name in ("copy", "tie") if extractor_kwargs.get(name)]
    if not task.writes or not asked:
        return False
    if row.policy_kind == "q":
        raise InvalidArgumentError(
            f"{asked[0]}=True: the head gives probabilities of tokens, and {row.name} has values. "
            f"Use bc, rloo, ppo, maskable_ppo or a2c, or features_extractor_kwargs {asked[0]}: "
            "false."
        )
    return True


def _commits(row: AlgorithmRow, task: Task, extractor_kwargs: Mapping[str, Any]) -> bool:
    """Whether when to commit is decided by heads of its own; see `networks.features.commit`."""
    if not extractor_kwargs.get("commit_head"):
        return False
    if row.policy_kind == "q" or not (isinstance(task, LabelText) and task.reading):
        raise InvalidArgumentError(
            f"commit_head={shown(extractor_kwargs['commit_head'])} is for bc, ppo, maskable_ppo, "
            "a2c and expected_pg on classification that reads chunk by chunk (reading=True): set "
            "features_extractor_kwargs commit_head: 0."
        )
    return True


def _zero_value_heads(policy: nn.Module) -> None:
    """Begin with a value of 0 for every token: what one of thousands earns is less than noise.

    Args:
        policy: Any; those without values by action are left alone.
    """
    for network in policy.modules():
        for name in ("q_net", "quantile_net"):
            head = getattr(network, name, None)
            if isinstance(head, nn.Sequential) and isinstance(head[-1], nn.Linear):
                nn.init.zeros_(head[-1].weight)
                nn.init.zeros_(head[-1].bias)


def _construct(
    row: AlgorithmRow, arguments: Params, hyperparams: Mapping[str, Any]
) -> BaseAlgorithm:
    """Call the algorithm's class.

    Raises:
        InvalidArgumentError: It refuses its arguments; names the hyperparameters.
    """
    try:
        return row.cls(**arguments)
    except MemoryError as error:
        raise InvalidArgumentError(
            f"algo={shown(row.name)} does not fit into memory ({error}). Make buffer_size (or "
            f"n_steps times n_envs) smaller: {shown(dict(hyperparams))}."
        ) from error
    except _REFUSALS as error:
        if isinstance(error, NLPGymError):
            raise
        raise InvalidArgumentError(
            f"algo={shown(row.name)} refuses its hyperparameters {shown(dict(hyperparams))}: "
            f"{error}"
        ) from error


_REFUSALS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What the classes of algorithms and networks raise about arguments that they cannot take."""

_POLICIES: dict[str, type[BasePolicy]] = {
    "maskable_ppo": PointerMaskablePolicy,
    "rloo": PointerMaskablePolicy,
    "masked_dqn": PointerDuelingDQNPolicy,
    "dqn": PointerDQNPolicy,
    "bc": PointerActorCriticPolicy,
    "ppo": PointerActorCriticPolicy,
    "a2c": PointerActorCriticPolicy,
}
"""By algorithm, subclasses first."""


def pointer_policy(row: AlgorithmRow, given: object = "MultiInputPolicy") -> type[BasePolicy]:
    """The policy of an algorithm on a task whose actions are candidates.

    Args:
        row: The algorithm; one of another module takes the policy of the one it derives from.
        given: What its hyperparameters say; ``"MultiInputPolicy"`` is replaced.

    Raises:
        InvalidArgumentError: It has none, or `given` is another policy's name.
    """
    for name, policy in _POLICIES.items():
        if issubclass(row.cls, ALGORITHMS[name].cls):
            if given == "MultiInputPolicy":
                return policy
            if isinstance(given, type):
                return given
            raise InvalidArgumentError(
                f"policy={shown(given)} does not fit a task whose actions are candidates: use "
                "'MultiInputPolicy'."
            )
    raise InvalidArgumentError(
        f"algo={shown(row.name)} has no policy for tasks whose actions are candidates that differ "
        f"from state to state. Use one of {', '.join(sorted(_POLICIES))}, or a class derived from "
        "one."
    )
