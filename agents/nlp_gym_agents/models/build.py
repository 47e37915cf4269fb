"""A fresh algorithm object on environments of a task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from sb3_contrib import QRDQN, TRPO, MaskablePPO
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.utils import get_device
from torch import nn

from nlp_gym.encode.transformer.encoder import TransformerEncoder
from nlp_gym.envs.vector import TaskVectorEnv
from nlp_gym.errors import InvalidArgumentError, NLPGymError, UnknownNameError
from nlp_gym.tasks.core.task import Task
from nlp_gym_agents.algorithms.buffers import (
    EpisodeReplayBuffer,
    EpisodeRolloutBuffer,
    MaskableEpisodeRolloutBuffer,
)
from nlp_gym_agents.algorithms.encoder_optimizer import split_optimizer
from nlp_gym_agents.algorithms.registry import ALGORITHMS, AlgorithmRow
from nlp_gym_agents.algorithms.vec_env import SB3VecEnv
from nlp_gym_agents.config.devices import check_device
from nlp_gym_agents.config.hyperparams import build_arguments
from nlp_gym_agents.config.validation import extractor_class
from nlp_gym_agents.networks.encoder.options import Tuning
from nlp_gym_agents.networks.encoder.trainable import LiveEncoders, live_encoders
from nlp_gym_agents.networks.encoder.unit_texts import TextBook
from nlp_gym_agents.networks.features.extractor import CorpusExtractor
from nlp_gym_agents.networks.features.source import FeatureSource
from nlp_gym_agents.networks.policies.pointer import (
    PointerActorCriticPolicy,  # MOVED
    PointerDQNPolicy,  # MOVED
    PointerDuelingDQNPolicy,  # MOVED
    PointerMaskablePolicy,  # MOVED
)


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


def source_of(
    task: Task, obs_type: str, device: Any, *, live: bool = False
) -> FeatureSource | None:
    """Where an extractor gathers vectors from; None where the observation carries them."""
    return FeatureSource(task, device, live=live) if obs_type == "index" else None


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
) -> Any:
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

    Raises:
        InvalidArgumentError: A hyperparameter's value is refused by the algorithm, or the encoder
            cannot learn.
    """
    check_obs_type(obs_type)
    check_device(device)
    learns = None
    if tuning is not None:
        check_learns(obs_type)
        if issubclass(row.cls, TRPO):
            raise InvalidArgumentError(
                f"algo={row.name!r} differentiates gradients, which an encoder that learns does "
                "not allow: use ppo, or encoder_mode='frozen'."
            )
        learns = transformer_of(task)
    venv = TaskVectorEnv(task, n_envs, obs_type=obs_type, max_episode_steps=max_episode_steps)
    given = build_arguments(hyperparams)
    if task.tables.candidates is not None or _copies(row, task, given):
        given["policy"] = pointer_policy(row, given.get("policy", "MultiInputPolicy"))
    policy_kwargs = dict(given.pop("policy_kwargs", {}))
    policy_kwargs["features_extractor_class"] = extractor_class(writes=task.writes)
    policy_kwargs["features_extractor_kwargs"] = {
        **(policy_kwargs.get("features_extractor_kwargs") or {}),
        "source": source_of(task, obs_type, device, live=tuning is not None),
        "unit_dim": task.encoder.dim,
    }
    if tuning is not None or task.writes:
        given = {**buffer_arguments(row), **given}
    if tuning is not None and learns is not None:
        live = LiveEncoders(learns, tuning, get_device(device))
        policy_kwargs["features_extractor_kwargs"]["live"] = live
    model = _build(row, hyperparams, given, SB3VecEnv(venv), policy_kwargs, seed, device)
    if task.writes:
        _start_equal(model.policy)
    if tuning is not None:
        attach(model, venv, tuning)
    return model


def _copies(row: AlgorithmRow, task: Task, arguments: Mapping[str, Any]) -> bool:
    """Whether words of the source can be copied, which takes heads of its own."""
    options = (arguments.get("policy_kwargs") or {}).get("features_extractor_kwargs") or {}
    if not task.writes or not options.get("copy"):
        return False
    if row.family == "q":
        raise InvalidArgumentError(
            f"copy=True: words are copied with some probability, and {row.name} has values. Use "
            "bc, ppo, maskable_ppo or a2c, or features_extractor_kwargs copy: false."
        )
    return True


def _start_equal(policy: nn.Module) -> None:
    """Let all tokens be worth 0 at first: what one of thousands earns is less than random values.

    Args:
        policy: Any; those without values by action are left alone.
    """
    for network in policy.modules():
        for name in ("q_net", "quantile_net"):
            head = getattr(network, name, None)
            if isinstance(head, nn.Sequential) and isinstance(head[-1], nn.Linear):
                nn.init.zeros_(head[-1].weight)
                nn.init.zeros_(head[-1].bias)


def _build(
    row: AlgorithmRow,
    hyperparams: Mapping[str, Any],
    given: Mapping[str, Any],
    env: SB3VecEnv,
    policy_kwargs: dict[str, Any],
    seed: int,
    device: str,
) -> Any:
    try:
        return row.cls(
            env=env,
            policy_kwargs=policy_kwargs,
            seed=seed,
            device=device,
            verbose=0,
            **given,
        )
    except MemoryError as error:
        raise InvalidArgumentError(
            f"algo={row.name!r} does not fit into memory ({error}). Make buffer_size (or n_steps "
            f"times n_envs) smaller: {dict(hyperparams)}."
        ) from error
    except (AssertionError, TypeError, ValueError, RuntimeError) as error:
        if isinstance(error, NLPGymError):
            raise
        raise InvalidArgumentError(
            f"algo={row.name!r} refuses its hyperparameters {dict(hyperparams)}: {error}"
        ) from error


_POLICIES: dict[str, type[BasePolicy]] = {
    "maskable_ppo": PointerMaskablePolicy,
    "masked_dqn": PointerDuelingDQNPolicy,
    "dqn": PointerDQNPolicy,
    "bc": PointerActorCriticPolicy,
    "ppo": PointerActorCriticPolicy,
    "a2c": PointerActorCriticPolicy,
}
"""By algorithm, subclasses first."""


def pointer_policy(row: AlgorithmRow, given: Any = "MultiInputPolicy") -> type[BasePolicy]:
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
                f"policy={given!r} does not fit a task whose actions are candidates: use "
                "'MultiInputPolicy'."
            )
    raise InvalidArgumentError(
        f"algo={row.name!r} has no policy for tasks whose actions are candidates that differ from "
        f"state to state. Use one of {', '.join(sorted(_POLICIES))}, or a class derived from one."
    )
