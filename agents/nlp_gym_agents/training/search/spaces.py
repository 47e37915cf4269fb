"""What a search draws: one space for each kind of algorithm.

Spaces are as wide as RL Zoo's, around what was found to work here: small rollouts, larger learning
rates, and discounts from 0, since many of these tasks reward each decision at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sb3_contrib import QRDQN, MaskablePPO, RecurrentPPO
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.base_class import BaseAlgorithm

from nlp_gym.tasks.core.make import task_class
from nlp_gym_agents.algorithms.imitation.aggrevate import AggreVaTe
from nlp_gym_agents.algorithms.imitation.bc import BC
from nlp_gym_agents.algorithms.imitation.dagger import DAgger
from nlp_gym_agents.algorithms.policy_gradient.expected_pg import ExpectedPG
from nlp_gym_agents.algorithms.policy_gradient.rloo import RLOO
from nlp_gym_agents.algorithms.registry import resolve
from nlp_gym_agents.config.signatures import arguments
from nlp_gym_agents.config.train_config import TrainConfig

Drawn = dict[str, Any]
Knob = Callable[[Any], Any]
"""A value of a hyperparameter, drawn from an `optuna.Trial`."""


def _choice(name: str, *values: Any) -> Knob:
    return lambda trial: trial.suggest_categorical(name, list(values))


def _uniform(name: str, low: float, high: float) -> Knob:
    return lambda trial: trial.suggest_float(name, low, high)


def _log(name: str, low: float, high: float) -> Knob:
    return lambda trial: trial.suggest_float(name, low, high, log=True)


_DISCOUNTS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.99, 1.0)

_ANY: dict[str, Knob] = {
    "learning_rate": _log("learning_rate", 1e-5, 1e-2),
    "gamma": _choice("gamma", *_DISCOUNTS),
    "max_grad_norm": _log("max_grad_norm", 0.3, 10.0),
}
_ON_POLICY = {
    **_ANY,
    "gae_lambda": _choice("gae_lambda", 0.8, 0.9, 0.95, 0.98, 1.0),
    "ent_coef": _log("ent_coef", 1e-5, 0.2),
    "vf_coef": _uniform("vf_coef", 0.1, 1.0),
    "normalize_advantage": _choice("normalize_advantage", True, False),
}
_A2C = {
    **_ON_POLICY,
    "n_steps": _choice("n_steps", 2, 4, 8, 16, 32),
    "use_rms_prop": _choice("use_rms_prop", True, False),
}
_PPO = {
    **_ON_POLICY,
    "n_steps": _choice("n_steps", 4, 8, 16, 32, 64),
    "batch_size": _choice("batch_size", 64, 128, 256, 512, 1024, 2048),
    "n_epochs": _choice("n_epochs", 1, 2, 3, 5, 10),
    "clip_range": _choice("clip_range", 0.1, 0.2, 0.3, 0.4),
}
_EXPECTED = {
    **_PPO,
    "temperature": _choice("temperature", 0.02, 0.05, 0.1, 0.3, 1.0),
    "branches": _choice("branches", 2, 4, 8, 16),
}
_Q = {
    **_ANY,
    "batch_size": _choice("batch_size", 64, 128, 256, 512, 1024, 2048),
    "buffer_size": _choice("buffer_size", 50_000, 100_000, 500_000),
    "learning_starts": _choice("learning_starts", 500, 1000, 5000),
    "train_freq": _choice("train_freq", 1, 2, 4, 8),
    "gradient_steps": _choice("gradient_steps", 1, 2, 4),
    "target_update_interval": _choice("target_update_interval", 500, 1000, 5000, 10_000),
    "exploration_fraction": _uniform("exploration_fraction", 0.05, 0.6),
    "exploration_initial_eps": _choice("exploration_initial_eps", 0.3, 0.5, 1.0),
    "exploration_final_eps": _uniform("exploration_final_eps", 0.0, 0.3),
}
_BC = {
    **_ANY,
    "batch_size": _choice("batch_size", 64, 128, 256, 512, 1024, 2048),
    "vf_coef": _uniform("vf_coef", 0.0, 1.0),
}
_DAGGER = {
    **_BC,
    "roll_ins": _choice("roll_ins", 1, 3, 6),
    "first": _choice("first", 0.2, 0.4, 0.6),
    "beta": _choice("beta", 0.0, 0.5),
}
_AGGREVATE = {
    **_DAGGER,
    "loss": _choice("loss", "expected", "cost_sensitive"),
    "cost_scale": _choice("cost_scale", 1.0, 3.0, 5.0, 10.0),
}
_RLOO = {
    **_ANY,
    "texts": _choice("texts", 16, 32, 64, 128),
    "samples": _choice("samples", 4, 8, 16),
    "credit": _choice("credit", "sequence", "decision"),
    "weight_average": _choice("weight_average", 0.9, 0.98, 0.999),
}
_OTHER = {
    **_ON_POLICY,
    "n_steps": _choice("n_steps", 4, 8, 16, 32, 64),
    "batch_size": _choice("batch_size", 64, 128, 256, 512, 1024, 2048),
}
_SPACES: tuple[tuple[type[BaseAlgorithm], Mapping[str, Knob]], ...] = (
    (AggreVaTe, _AGGREVATE),
    (DAgger, _DAGGER),
    (BC, _BC),
    (A2C, _A2C),
    (PPO, _PPO),
    (ExpectedPG, _EXPECTED),
    (MaskablePPO, _PPO),
    (RecurrentPPO, _PPO),
    (RLOO, _RLOO),
    (DQN, _Q),
    (QRDQN, _Q),
    (BaseAlgorithm, _OTHER),
)
"""By what an algorithm derives from; of a space it is given what its class takes."""

_POLICIES: tuple[tuple[type[BaseAlgorithm], Mapping[str, Knob]], ...] = (
    (QRDQN, {"n_quantiles": _choice("n_quantiles", 10, 25, 50, 100, 200)}),
    (RecurrentPPO, {"lstm_hidden_size": _choice("lstm_hidden_size", 64, 128, 256)}),
)
"""Further arguments of policies."""

_READER: dict[str, Knob] = {
    "hidden": lambda trial: [trial.suggest_categorical("hidden", [64, 128, 256, 512])],
    "activation": _choice("activation", "relu", "tanh", "gelu"),
    "dropout": _choice("dropout", 0.0, 0.1, 0.2),
    "input_dropout": _choice("input_dropout", 0.0, 0.1, 0.2),
}
"""Of `networks.features.extractor.NLPExtractor`."""

_WRITER: dict[str, Knob] = {
    "width": _choice("width", 128, 256, 384),
    "layers": _choice("layers", 1, 2, 3, 4),
    "dropout": _choice("dropout", 0.0, 0.1, 0.2),
}
"""Of `networks.decoder.extractor.DecoderExtractor`; widths are multiples of its heads."""


def suggest(
    trial: Any,
    algo: str,
    *,
    writes: bool = False,
    n_envs: int | None = None,
    network: bool = True,
    encoder_learns: bool = False,
) -> Drawn:
    """Draw hyperparameters for one trial.

    Args:
        trial: An `optuna.Trial`, or an `optuna.trial.FixedTrial` of its `params`, which gives the
            same values again.
        algo: As for ``--algo``; a class of another module has the space of the one it derives from.
        writes: Whether the task's actions write a text, which decides the network.
        n_envs: Environments side by side; a batch is then at most a rollout.
        network: Draw the network too; False where weights of another run are loaded.
        encoder_learns: Draw the encoder's learning rate too.

    Returns:
        A nested mapping as in ``hyperparams/<algo>.yml``, to be merged into it.

    Raises:
        UnknownNameError: No such algorithm.
        InvalidArgumentError: Its class cannot be imported.
    """
    cls = resolve(algo).cls
    taken = arguments(cls)
    space = next(space for base, space in _SPACES if issubclass(cls, base))
    drawn: Drawn = {name: knob(trial) for name, knob in space.items() if name in taken}
    if "learning_rate" in drawn:
        schedule = trial.suggest_categorical("lr_schedule", ["constant", "linear"])
        if schedule == "linear":
            drawn["learning_rate"] = f"lin_{drawn['learning_rate']!r}"
    if n_envs is not None and {"n_steps", "batch_size"} <= set(drawn):
        drawn["batch_size"] = min(drawn["batch_size"], drawn["n_steps"] * n_envs)
    if network:
        drawn["policy_kwargs"] = _network(trial, cls, writes=writes)
    if encoder_learns:
        drawn["tuning"] = {"lr": trial.suggest_float("encoder_lr", 1e-6, 3e-4, log=True)}
    return drawn


def _network(trial: Any, cls: type[BaseAlgorithm], *, writes: bool) -> Drawn:
    """The part of a space that is `policy_kwargs`."""
    reader = _WRITER if writes else _READER
    found: Drawn = {
        name: knob(trial)
        for base, space in _POLICIES
        if issubclass(cls, base)
        for name, knob in space.items()
    }
    found["features_extractor_kwargs"] = {name: knob(trial) for name, knob in reader.items()}
    return found


def suggest_for(trial: Any, base: TrainConfig) -> Drawn:
    """`suggest` for merged settings."""
    warm = base.warm_start
    return suggest(
        trial,
        base.algo,
        writes=task_class(base.env).writes,
        n_envs=base.n_envs,
        # A run to start from has its network; "bc" clones the one that is drawn.
        network=warm is None or warm.partition(":")[0] == "bc",
        encoder_learns=base.encoder_mode != "frozen",
    )
