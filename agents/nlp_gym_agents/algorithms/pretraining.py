"""Warm start: teach a model the oracle's behaviour before it learns from rewards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, cast

import torch as th
from gymnasium import spaces
from sb3_contrib import QRDQN
from stable_baselines3 import DQN
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.utils import ConstantSchedule

from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym.progress import progress_bar
from nlp_gym_agents.algorithms.imitation.bc import task_of
from nlp_gym_agents.algorithms.imitation.demonstrations import OracleData, collect, obs_type_of
from nlp_gym_agents.algorithms.parallel.data_parallel import parallel_of
from nlp_gym_agents.algorithms.pretraining_loss import imitation_loss
from nlp_gym_agents.networks.encoder.schedule import schedule_value
from nlp_gym_agents.networks.encoder.trainable import TrainableEncoder, trainable_encoders
from nlp_gym_agents.networks.features.swap_source import reads_whole_texts

DEFAULT_EPOCHS = 2
SMALL, SMALL_EPOCHS = 4000, 20
"""Over a corpus of fewer decisions there are more passes: two would be eight updates."""

_ENCODER = ".encoder."  # in the names of its weights, whatever network it is in


@dataclass
class Passes:
    """How far the passes of a warm start are, and what they go on with besides the model.

    Attributes:
        optimizer: Their own.
        total: Updates in all.
        done: Updates so far.
    """

    optimizer: th.optim.Optimizer
    total: int
    done: int = 0


class Watch(Protocol):
    """Who saves a warm start and goes on with one that was stopped."""

    def begin(self, passes: Passes) -> None:
        """Called before the first update; may set `done` and restore model and optimizer."""

    def update(self, passes: Passes) -> None:
        """Called after each update; may stop by raising an exception."""


def warm_start(
    model: BaseAlgorithm,
    teacher: BasePolicy | int = DEFAULT_EPOCHS,
    *,
    learning_rate: float = 1e-3,
    batch_size: int | None = None,
    weight_decay: float = 1e-4,
    seed: int = 0,
    n_timesteps: int | None = None,
    watch: Watch | None = None,
) -> None:
    """Teach `model` the oracle's behaviour, in place.

    Actor-critic models copy the weights of a `BC` policy, or are cloned for some epochs. Q-learning
    models cannot copy logits, which are no values: they take over the trunk, if a policy is given,
    and regress their values on the oracle's states (see `q_targets`). They then explore at their
    final rate from the first step: random actions would only bury what was taught.

    Args:
        model: An algorithm of this package, Stable-Baselines3 or sb3-contrib that was just built.
        teacher: The policy of a trained `BC`, or a number of passes over the corpus (from 1).
        learning_rate: At the start of the passes; it falls linearly to 0. An encoder that learns
            has its own, and both rise first over its warm-up.
        batch_size: Decisions an update; None: 1,024, or 512 where the encoder learns.
        weight_decay: Of the passes (AdamW).
        seed: Of the order of the passes.
        n_timesteps: Decisions of the training to come, from which, and from the corpus, the number
            of passes follows (`default_epochs`); None: it is `teacher`, or `DEFAULT_EPOCHS`.
        watch: Told of the passes; None: nobody.

    Raises:
        InvalidArgumentError: `teacher` is neither a policy nor a number from 1, the model is of
            another family, or its environments have no oracle.
    """
    is_q = isinstance(model, DQN | QRDQN)
    _check(model, teacher, is_q=is_q)
    if isinstance(teacher, BasePolicy):
        _copy(teacher, model.policy, trunk_only=is_q)
        if not is_q:
            return
    keys = cast("spaces.Dict", model.observation_space).spaces
    gamma: float = model.gamma  # type: ignore[attr-defined]  # all have it but the base class
    data = collect(task_of(model), gamma=gamma, obs_type=obs_type_of(keys), keys=keys)
    epochs = DEFAULT_EPOCHS if isinstance(teacher, BasePolicy) else teacher
    whole = reads_whole_texts(model.policy)
    if n_timesteps is not None:
        epochs = default_epochs(len(data), n_timesteps, learns=whole)
    _fit(
        model,
        data,
        epochs,
        batch_size or (512 if whole else 1024),
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        seed=seed,
        watch=watch,
    )
    if isinstance(model, DQN | QRDQN):
        _after_q(model)


def default_epochs(decisions: int, n_timesteps: int, *, learns: bool) -> int:
    """Passes of a warm start where nobody said how many.

    Args:
        decisions: Those of the oracle on the corpus.
        n_timesteps: Decisions of the training to come; one pass is enough for one that is shorter
            than a tenth of it.
        learns: Whether the encoder learns too, so that a pass takes long.
    """
    if decisions < SMALL:
        return DEFAULT_EPOCHS if learns else SMALL_EPOCHS
    return 1 if n_timesteps < decisions // 10 else DEFAULT_EPOCHS


def _fit(
    model: BaseAlgorithm,
    data: OracleData,
    epochs: int,
    batch_size: int,
    *,
    learning_rate: float,
    weight_decay: float,
    seed: int,
    watch: Watch | None,
) -> None:
    """Passes over the oracle's decisions with an optimizer of their own."""
    encoders = trainable_encoders(model.policy)
    groups = _groups(model.policy, learning_rate)
    peaks = [group["lr"] for group in groups]
    optimizer = th.optim.AdamW(groups, lr=learning_rate, weight_decay=weight_decay)
    strata = task_of(model).strata
    length = data.pass_length(strata)
    updates = -(-length // batch_size)  # in a pass
    passes = Passes(optimizer, epochs * updates)
    rising = int(passes.total * encoders[0].tuning.warmup) if encoders else 0
    margin = data.rewards.mean().to(model.device)
    whole = reads_whole_texts(model.policy)
    parallel = parallel_of(model)
    if watch is not None:
        watch.begin(passes)
    model.policy.set_training_mode(True)
    bar = progress_bar(passes.total, "cloning the oracle", unit="updates", done=passes.done)
    with _off_hold(encoders), bar as advance:
        while passes.done < passes.total:
            epoch, first = divmod(passes.done, updates)
            order = data.order(seed + epoch, whole_texts=whole, strata=strata)
            for place in range(first * batch_size, length, batch_size):
                index = order[place : place + batch_size]
                own = index if parallel is None else parallel.share_of(data, index)
                batch = data.take(own, model.device)
                for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                    group["lr"] = peak * _share_of_rate(passes, rising)
                optimizer.zero_grad()
                imitation_loss(model, batch, margin).backward()
                if parallel is not None:
                    parallel.average()
                th.nn.utils.clip_grad_norm_(model.policy.parameters(), 1.0)
                optimizer.step()
                passes.done += 1
                advance(1)
                if watch is not None:
                    watch.update(passes)


def _share_of_rate(passes: Passes, rising: int) -> float:
    """The share of its peak that a rate has: it rises for `rising` updates, then falls to 0."""
    falling = (passes.total - passes.done) / max(passes.total - rising, 1)
    return min((passes.done + 1) / max(rising, 1), falling)


@contextmanager
def _off_hold(encoders: Sequence[TrainableEncoder]) -> Iterator[None]:
    """Within it encoders learn, also those that the training to come puts on hold at first."""
    before = [encoder.on_hold for encoder in encoders]
    for encoder in encoders:
        encoder.on_hold = bool
    try:
        yield
    finally:
        for encoder, on_hold in zip(encoders, before, strict=True):
            encoder.on_hold = on_hold


def _groups(policy: BasePolicy, learning_rate: float) -> list[dict[str, Any]]:
    """Parameter groups: the head's, and those of an encoder that learns (in no target network)."""
    encoders = trainable_encoders(policy)
    theirs = {p for encoder in encoders for p in encoder.parameters()}
    groups = [{"params": [p for p in policy.parameters() if p not in theirs], "lr": learning_rate}]
    if encoders:
        tuning, own = encoders[0].tuning, list(encoders[0].parameters())
        peak, _ = schedule_value("encoder_lr", tuning.warm_lr or tuning.lr)
        groups.append({"params": own, "lr": peak, "weight_decay": tuning.weight_decay})
    return groups


def _after_q(model: DQN | QRDQN) -> None:
    online, target = (
        (model.q_net, model.q_net_target)
        if isinstance(model, DQN)
        else (model.quantile_net, model.quantile_net_target)
    )
    target.load_state_dict(online.state_dict())
    keep_exploration(model)


def keep_exploration(model: BaseAlgorithm) -> None:
    """Let a Q-learning model explore at its final rate; a run that is resumed repeats it."""
    if isinstance(model, DQN | QRDQN):
        model.exploration_schedule = ConstantSchedule(model.exploration_final_eps)


def _check(model: BaseAlgorithm, teacher: object, *, is_q: bool) -> None:
    whole = isinstance(teacher, int) and not isinstance(teacher, bool) and teacher >= 1
    if not (whole or isinstance(teacher, BasePolicy)):
        raise InvalidArgumentError(
            f"teacher={shown(teacher)} must be a policy, or a number of passes from 1."
        )
    policy = getattr(model, "policy", None)
    # A recurrent policy's heads read its memory, which single decisions do not teach.
    plain = hasattr(policy, "action_net") and not hasattr(policy, "lstm_actor")
    if not (is_q or plain):
        raise InvalidArgumentError(
            f"model={type(model).__name__} cannot be warm started. Algorithms that can: those with "
            "a feed-forward actor-critic policy, and DQN, QRDQN and what derives from them."
        )


def _copy(teacher: BasePolicy, policy: BasePolicy, *, trunk_only: bool) -> None:
    """Copy weights by name; Q-networks keep their heads.

    Raises:
        InvalidArgumentError: The networks differ in shape.
    """
    weights, own = teacher.state_dict(), policy.state_dict()
    lost = sorted(_of_encoders(weights) - _of_encoders(own))
    if lost:
        raise InvalidArgumentError(
            f"teacher: its encoder learned, and {len(lost)} of its weights ({lost[0]}, ...) have "
            "no place in the model's. Give both the same --encoder-mode and tuning options."
        )
    if trunk_only:  # of as many networks as the model has
        prefix = "features_extractor."
        own = {k: v for k, v in own.items() if prefix in k}
        trunk = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
        before = {k.partition(prefix)[0] for k in own}
        weights = {f"{name}{prefix}{rest}": v for name in before for rest, v in trunk.items()}
    wanted = sorted({k for k in (*own, *weights) if _ENCODER not in k or k in weights})
    shapes = [[tuple(w[k].shape) if k in w else "absent" for w in (weights, own)] for k in wanted]
    for name, (theirs, shape) in zip(wanted, shapes, strict=True):
        if theirs != shape:
            raise InvalidArgumentError(
                f"teacher: its weights do not fit the model's ({name}: {theirs} against {shape}). "
                "Train both with the same policy_kwargs, history and encoder."
            )
    policy.load_state_dict(weights, strict=False)


def _of_encoders(weights: Mapping[str, th.Tensor]) -> set[str]:
    """Names of the weights of encoders that learn, whatever network they are in."""
    return {name.partition(_ENCODER)[2] for name in weights if _ENCODER in name}
