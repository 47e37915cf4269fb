"""What plain Stable-Baselines3 code passes to an algorithm of its own: ``policy_kwargs``."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper, VecNormalize

from nlp_gym.checks import check_mapping, check_name, check_options
from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym.tasks.core.make import SHELL_ARGUMENTS, make_task
from nlp_gym.tasks.core.task import Task
from nlp_gym_agents.algorithms.encoder_optimizer import OwnRateAdam, check_own_rate
from nlp_gym_agents.algorithms.sb3_env import warn_of_replay
from nlp_gym_agents.algorithms.vec_env import SB3VecEnv
from nlp_gym_agents.config.signatures import arguments
from nlp_gym_agents.models.attach_encoder import check_learns, transformer_of
from nlp_gym_agents.models.stock_extractors import (
    NAMES,
    StockDecoderExtractor,
    StockExtractor,
    scaled_keys,
)
from nlp_gym_agents.networks.encoder.options import MODES, Tuning
from nlp_gym_agents.networks.features.observation_keys import MASK_KEY, POSITION_KEYS
from nlp_gym_agents.networks.features.open_corpora import CORPUS_KEY, PolicyCorpus

_SET_HERE = {"observation_space", "source", "unit_dim", "encoder_factory"}
"""Arguments of extractors that are not the caller's."""


def nlp_policy_kwargs(
    env: Any,
    *,
    encoder_mode: str = "frozen",
    encoder_lr: float = 5e-5,
    encoder_warmup: int = 100,
    tuning: Mapping[str, Any] | None = None,
    **extractor: Any,
) -> dict[str, Any]:
    """The ``policy_kwargs`` of any Stable-Baselines3 or sb3-contrib algorithm on an environment.

    They name the features extractor that reads the environment's observations, bring heads for
    actions that are candidates, and an encoder that learns with a rate of its own::

        env = make_sb3_env("NER-CoNLL-v0", n_envs=64)
        model = PPO("MultiInputPolicy", env, policy_kwargs=nlp_policy_kwargs(env))

    Args:
        env: What `make_sb3_env` or Stable-Baselines3's ``make_vec_env`` gave, or one environment.
        encoder_mode: ``"frozen"``, ``"finetune"``, ``"lora"`` or ``"adapter"``; all but the first
            need ``obs_type="index"`` and an encoder with weights.
        encoder_lr: Learning rate of an encoder that learns. It follows the schedule of the
            algorithm's own rate, to which it keeps its ratio.
        encoder_warmup: Updates over which it rises from 0.
        tuning: More options of an encoder that learns, as `networks.encoder.options.Tuning` has
            them (``freeze_layers``, ``rank``, ``dropout``, ...).
        **extractor: Options of the extractor: `hidden`, `dropout`, `pointer_dim`, ... of
            `NLPExtractor`; `width`, `layers`, `heads`, `copy`, ... of `DecoderExtractor` where
            texts are written.

    Returns:
        ``net_arch`` (empty: the layers are the extractor's), ``features_extractor_class`` and
        ``features_extractor_kwargs``, and an optimizer where the encoder learns. They hold no
        corpus, and can be pickled.

    Raises:
        InvalidArgumentError: Observations that the extractor cannot read, an environment of
            another suite, or an option outside what is allowed.
    """
    learns = _tuning(encoder_mode, tuning)
    check_own_rate(encoder_lr, encoder_warmup)
    space, task, spec = look_into(env)
    check_not_scaled(space, env)
    _check_not_stacked(space, task)
    by_index = set(POSITION_KEYS) <= set(space.spaces)
    if "input_ids" in space.spaces:
        raise InvalidArgumentError(
            "env has obs_type='tokens', which is for code that brings its own encoder: use "
            "obs_type='index' with encoder_mode='finetune', or obs_type='features'."
        )
    if task.writes and not by_index:
        raise InvalidArgumentError(
            "env has obs_type='features', and a policy that writes texts reads 'index' "
            "observations: use make_sb3_env(id), or obs_type='index' and wrapper_class=NameCorpus."
        )
    if learns is not None:
        check_learns("index" if by_index else "features")
        transformer_of(task)
    if not isinstance(env, SB3VecEnv):  # of which `make_sb3_env` has warned
        warn_of_replay(space, "env")
    cls = StockDecoderExtractor if task.writes else StockExtractor
    known = set(arguments(cls.__mro__[2])) - _SET_HERE
    check_options("nlp_policy_kwargs", extractor, sorted(known))
    corpus = None
    if by_index:
        corpus = PolicyCorpus.of(
            task,
            named=CORPUS_KEY in space.spaces,
            made_with=None if spec is None else (spec.id, _task_arguments(spec.kwargs)),
            trainable=learns is not None,
        )
        if not corpus.named:
            warnings.warn(
                "env shows obs_type='index' without saying of which corpus: the policy takes all "
                "rows for those of this environment's split. Use make_sb3_env, or pass "
                "wrapper_class=nlp_gym_agents.NameCorpus to make_vec_env, to evaluate on others.",
                UserWarning,
                stacklevel=2,
            )
    options = {**extractor, "corpus": corpus, "tuning": learns, "unit_dim": task.encoder.dim}
    cls(space, **_tried(options))  # options are refused here rather than inside the algorithm
    kwargs: dict[str, Any] = {
        "net_arch": [],
        "features_extractor_class": cls,
        "features_extractor_kwargs": options,
    }
    if learns is not None:
        kwargs["optimizer_class"] = OwnRateAdam
        kwargs["optimizer_kwargs"] = {
            "eps": 1e-5,
            "encoder_lr": encoder_lr,
            "encoder_warmup": encoder_warmup,
            "encoder_weight_decay": learns.weight_decay,
        }
    return kwargs


def _tried(options: Mapping[str, Any]) -> dict[str, Any]:
    """Without the encoder that learns, which takes a second to make."""
    return {**options, "tuning": None}


def _tuning(mode: str, options: Mapping[str, Any] | None) -> Tuning | None:
    check_name("encoder_mode", mode, MODES)
    given = check_mapping("tuning", options)
    if mode == "frozen":
        if given:
            raise InvalidArgumentError(
                f"tuning={shown(given)} is for an encoder that learns: give encoder_mode="
                "'finetune', 'lora' or 'adapter' too."
            )
        return None
    return Tuning.of({**given, "mode": mode})


def check_not_scaled(space: spaces.Dict, env: object) -> None:
    """Refuse an environment that rescales masks and row numbers.

    Raises:
        InvalidArgumentError: Naming the keys that may be rescaled.
    """
    touched: set[str] = set()
    while isinstance(env, VecEnvWrapper):
        if isinstance(env, VecNormalize) and env.norm_obs:
            touched |= set(env.norm_obs_keys or space.spaces) & set(NAMES)
        env = env.venv
    if touched:
        raise scaled_keys(space, touched)


def _check_not_stacked(space: spaces.Dict, task: Task) -> None:
    """Refuse stacked observations where the shapes of keys have a meaning."""
    row, mask = space.spaces.get("row"), space.spaces.get(MASK_KEY)
    stacked = row is not None and row.shape != (1,)
    if task.tables.candidates is not None and mask is not None:
        stacked = stacked or mask.shape != (task.n_actions,)
    if stacked:
        raise InvalidArgumentError(
            "env stacks observations (VecFrameStack), but rows, masks and candidates of several "
            "steps cannot be read as one. An observation holds the whole state; where you want "
            "more of the past, make it with a longer history (history_length=), or stack "
            "obs_type='features' of a task whose actions are labels."
        )


def look_into(env: Any) -> tuple[spaces.Dict, Task, Any]:
    """Observation space of one environment, its task, and what it was made with (or None)."""
    space = getattr(env, "single_observation_space", None) or getattr(
        env, "observation_space", None
    )
    inner = env
    while isinstance(inner, VecEnvWrapper):
        inner = inner.venv
    if isinstance(inner, SB3VecEnv):
        inner = inner.venv
    inner = inner.envs[0] if getattr(inner, "envs", None) else inner
    core = getattr(inner, "unwrapped", inner)
    task, spec = getattr(core, "task", None), getattr(core, "spec", None)
    if task is None and isinstance(inner, VecEnv):  # environments in other processes
        spec = inner.get_attr("spec")[0]
        if spec is not None and "task" in spec.kwargs:
            task = make_task(spec.id, **_task_arguments(spec.kwargs))
    if not isinstance(task, Task) or not isinstance(space, spaces.Dict):
        raise InvalidArgumentError(
            f"env={shown(env)} is no environment of this suite with Dict observations: give what "
            "make_sb3_env(id), make_vec_env(id) or gymnasium.make(id) returned, with no wrapper "
            "that flattens."
        )
    return space, task, spec


def _task_arguments(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `make_task` among those of an environment."""
    return {k: v for k, v in kwargs.items() if k not in (*SHELL_ARGUMENTS, "task")}
