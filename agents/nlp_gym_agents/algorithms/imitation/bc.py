"""Behaviour cloning: cross-entropy on the oracle's actions, as a Stable-Baselines3 algorithm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import torch as th
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback, CallbackList, ProgressBarCallback
from stable_baselines3.common.policies import (
    ActorCriticPolicy,
    BasePolicy,
    MultiInputActorCriticPolicy,
)
from torch.nn import functional as F

from nlp_gym.checks import check_name, check_number
from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym_agents.algorithms.adversarial import (
    AdversarialOptions,
    adversarial_backward,
    check_learning_encoder,
)
from nlp_gym_agents.algorithms.imitation.demonstrations import (
    EXITS,
    OracleData,
    collect,
    obs_type_of,
)
from nlp_gym_agents.algorithms.weight_average import with_average
from nlp_gym_agents.networks.features.pointer import real
from nlp_gym_agents.networks.features.swap_source import reads_whole_texts
from nlp_gym_agents.networks.policies.dueling import masked


def logits_and_values(policy: ActorCriticPolicy, batch: OracleData) -> tuple[th.Tensor, th.Tensor]:
    """(B, A) logits, and (B,) values read from the trunk as it is; float32 in any precision.

    Args:
        policy: Any actor-critic policy with one extractor for both heads.
        batch: B decisions on the policy's device.
    """
    latent = BasePolicy.extract_features(policy, batch.observations, policy.pi_features_extractor)
    logits = policy.action_net(policy.mlp_extractor.forward_actor(latent)).float()
    values = policy.value_net(policy.mlp_extractor.forward_critic(latent.detach()))
    return logits, values.float().flatten()


def legal_or_chosen(logits: th.Tensor, actions: th.Tensor, mask: th.Tensor | None) -> th.Tensor:
    """(B, A) logits of which those of illegal actions count for nothing, but for `actions`.

    The repair the environment makes means that even the oracle's action can be masked where gold is
    not well-formed; its own logit stays in.

    Args:
        logits: (B, A).
        actions: (B,) the oracle's.
        mask: (B, A) bool; None: all are legal.
    """
    return masked(logits, None if mask is None else mask.scatter(1, actions[:, None], True))


def cloning_loss(
    policy: ActorCriticPolicy,
    batch: OracleData,
    *,
    mask: th.Tensor | None = None,
    label_smoothing: float = 0.0,
) -> tuple[th.Tensor, th.Tensor, th.Tensor]:
    """Cross-entropy on the oracle's actions, squared error of the value head, accuracy.

    Args:
        policy: Any actor-critic policy with one extractor for both heads.
        batch: B decisions on the policy's device.
        mask: (B, A) bool; the loss is then over legal actions.
        label_smoothing: As in `torch.nn.functional.cross_entropy`, over real candidates.
    """
    logits, values = logits_and_values(policy, batch)
    scores = legal_or_chosen(logits, batch.actions, mask)
    if label_smoothing and not bool(real(scores).all()):
        loss = F.cross_entropy(scores, batch.actions)
        loss = loss + label_smoothing * (_spread_loss(scores) - loss)
    else:
        loss = F.cross_entropy(scores, batch.actions, label_smoothing=label_smoothing)
    accuracy = (scores.argmax(dim=1) == batch.actions).float().mean()
    return loss, F.mse_loss(values, batch.returns), accuracy


def _spread_loss(scores: th.Tensor) -> th.Tensor:
    """Cross-entropy with a target that is spread evenly over the real actions."""
    there = real(scores)
    logs = F.log_softmax(scores, dim=1).masked_fill(~there, 0.0)
    return -(logs.sum(dim=1) / there.sum(dim=1)).mean()


SelfBC = TypeVar("SelfBC", bound="BC")


class BC(BaseAlgorithm):
    """Cross-entropy on the oracle's actions, with the same network as `ppo`.

    It is the supervised ceiling to compare reinforcement learning with, and a start for it: the
    weights fit `PPO`, `MaskablePPO` and `A2C`, the value head included, which is fitted to the
    oracle's return (on the trunk's output as it is: what the text is worth does not shape what the
    labels are read from). States are those on the oracle's own way, so that the history it learns
    from is always right.

    A timestep is one decision learned from; an epoch has as many as the corpus has decisions, in an
    order that the seed and the epoch's number decide.

    Args:
        policy: ``"MultiInputPolicy"`` or a class.
        env: A Stable-Baselines3 `VecEnv` whose environments have a `task` with gold.
        learning_rate: Rate, or schedule over the progress remaining.
        batch_size: Decisions an update.
        gamma: Discount of the returns the value head is fitted to.
        vf_coef: Weight of the value head's loss.
        mask_loss: Normalise over legal actions only. Illegal actions are then never pushed down:
            leave it off for weights that a policy without masks, such as PPO's, starts from.
        label_smoothing: Share of the target spread over all actions, with `mask_loss=False` only.
        exits: Learn which label to commit to in every state of reading, and nothing about when:
            ``"reading"``: after each chunk, where all are read, for an early exit by confidence
            (`nlp_gym_agents.evaluation.reading_curve`); ``"moves"``: where moves are random, some
            of which pass over chunks, for agents that then learn when. None: the oracle's own
            decisions are learned.
        max_grad_norm: Longest gradient.
        warmup: Share of the run over which the rate rises from 0.
        weight_average: Share of a moving average of the weights that an update leaves, below 1,
            such as 0.999; evaluations and ``best/`` then have the average. None: the last weights.
            See `nlp_gym_agents.algorithms.weight_average`.
        adversarial: Learn from embeddings that are moved where the loss rises, too: ``"fgm"`` or
            ``"pgd"``, for an encoder that learns; None: from the texts as they are. See
            `nlp_gym_agents.algorithms.adversarial`.
        adversarial_size: How far, as a share of the norm of a text's embeddings.
        adversarial_steps: Steps of ``"pgd"``.
        adversarial_weight: Share of the loss on moved embeddings.
        mixed_precision: Multiply matrices in bfloat16, which is several times as fast on
            processors that can (AVX-512 BF16, AMX) and on GPUs; weights stay float32.
        seed: Of the weights and the order.
        policy_kwargs: Of the policy.
        tensorboard_log: Folder of TensorBoard files.
        verbose: 0, 1 or 2.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``.
        stats_window_size: As in Stable-Baselines3; unused.

    Raises:
        InvalidArgumentError: The environments have no `task`, or its corpus has no gold.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        "MultiInputPolicy": MultiInputActorCriticPolicy
    }
    policy: ActorCriticPolicy

    def __init__(
        self,
        policy: str | type[BasePolicy],
        env: Any,
        learning_rate: Any = 1e-3,
        *,
        batch_size: int = 1024,
        gamma: float = 0.9,
        vf_coef: float = 0.5,
        mask_loss: bool = False,
        label_smoothing: float = 0.0,
        exits: str | None = None,
        max_grad_norm: float = 1.0,
        warmup: float = 0.0,
        weight_average: float | None = None,
        adversarial: str | None = None,
        adversarial_size: float = 0.1,
        adversarial_steps: int = 3,
        adversarial_weight: float = 0.5,
        mixed_precision: bool = False,
        seed: int | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        tensorboard_log: str | None = None,
        verbose: int = 0,
        device: th.device | str = "auto",
        stats_window_size: int = 100,
        _init_setup_model: bool = True,
    ) -> None:
        super().__init__(
            policy,
            env,
            learning_rate,
            policy_kwargs=policy_kwargs,
            stats_window_size=stats_window_size,
            tensorboard_log=tensorboard_log,
            verbose=verbose,
            device=device,
            support_multi_env=True,
            seed=seed,
        )
        if (mask_loss or exits) and label_smoothing:
            raise InvalidArgumentError(
                f"label_smoothing={shown(label_smoothing)} spreads the target over illegal "
                "actions, whose loss is infinite with mask_loss=True (and with exits, which masks "
                "moves): set mask_loss=False."
            )
        self.batch_size, self.gamma, self.vf_coef = batch_size, gamma, vf_coef
        self.mask_loss, self.label_smoothing = mask_loss, label_smoothing
        self.max_grad_norm, self.exits = max_grad_norm, exits
        if exits is not None:
            check_name("exits", exits, EXITS)
        self.warmup, self.weight_average = check_number("warmup", warmup, 0.0, 1.0), weight_average
        self.mixed_precision = mixed_precision
        self.adversarial: AdversarialOptions | None = None
        if adversarial is not None:
            self.adversarial = AdversarialOptions(
                adversarial, adversarial_size, adversarial_steps, adversarial_weight
            )
        self.policy_kwargs = with_average(self.policy_kwargs, weight_average)
        self._data: OracleData | None = None
        self._pass_length: int | None = None
        # Which decisions of an update this process learns from, where there are several processes.
        self.share: Callable[[OracleData, th.Tensor], th.Tensor] | None = None
        if _init_setup_model:
            self._setup_model()

    def _setup_model(self) -> None:
        self._setup_lr_schedule()
        if self.warmup:
            self.lr_schedule = _Rising(self.lr_schedule, self.warmup)
        self.set_random_seed(self.seed)
        self.policy = self.policy_class(  # type: ignore[assignment]
            self.observation_space, self.action_space, self.lr_schedule, **self.policy_kwargs
        ).to(self.device)
        if self.adversarial is not None:
            check_learning_encoder(self.policy, self.adversarial.method)

    @property
    def data(self) -> OracleData:
        """The oracle's decisions on the training corpus, collected at first use."""
        if self._data is None:
            keys = getattr(self.observation_space, "spaces", {})
            options: dict[str, Any] = {"gamma": self.gamma, "obs_type": obs_type_of(keys)}
            self._data = collect(task_of(self), **options, exits=self.exits, keys=keys)
        return self._data

    @property
    def pass_length(self) -> int:
        """Decisions of a pass over the corpus."""
        if self._pass_length is None:
            self._pass_length = self.data.pass_length(task_of(self).strata)
        return self._pass_length

    def learn(
        self: SelfBC,
        total_timesteps: int,
        callback: Any = None,
        log_interval: int = 1,
        tb_log_name: str = "BC",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> SelfBC:
        """Learn from `total_timesteps` decisions; see `BaseAlgorithm.learn`.

        Callbacks are called once per update, and the logger dumps every `log_interval` epochs.
        """
        total, calls = self._setup_learn(
            total_timesteps, callback, reset_num_timesteps, tb_log_name, progress_bar=False
        )
        if progress_bar:
            calls = CallbackList([calls, _SampleProgress()])
            calls.init_callback(self)
        total_timesteps = total  # the progress bar reads the local of this name
        calls.on_training_start(locals(), globals())
        while self.num_timesteps < total:
            epoch = self.num_timesteps // self.pass_length
            calls.on_rollout_start()
            if not self._epoch(epoch, total, calls):
                break
            calls.on_rollout_end()
            if log_interval and (epoch + 1) % log_interval == 0:
                self.logger.record(
                    "time/total_timesteps", self.num_timesteps, exclude="tensorboard"
                )
                self.logger.dump(self.num_timesteps)
        calls.on_training_end()
        return self

    def _epoch(self, epoch: int, total: int, calls: BaseCallback) -> bool:
        """The rest of an epoch (all of it, unless resumed inside one); False to stop."""
        whole = reads_whole_texts(self.policy)
        strata = task_of(self).strata
        order = self.data.order((self.seed or 0) + epoch, whole_texts=whole, strata=strata)
        start = self.num_timesteps - epoch * self.pass_length
        losses: list[th.Tensor] = []
        go_on = True
        while go_on and start < len(order) and self.num_timesteps < total:
            index = order[start : start + min(self.batch_size, total - self.num_timesteps)]
            self._update_current_progress_remaining(self.num_timesteps, total)
            own = index if self.share is None else self.share(self.data, index)
            losses.append(self._update(self.data.take(own, self.device)))
            start += len(index)
            self.num_timesteps += len(index)
            calls.update_locals(locals())
            go_on = calls.on_step()
        for i, name in enumerate(("loss", "value_loss", "accuracy")):
            self.logger.record(
                f"train/{name}", th.stack([loss[i] for loss in losses]).mean().item()
            )
        return go_on

    def _update(self, batch: OracleData) -> th.Tensor:
        """One step of the optimizer; gives the batch's (loss, value loss, accuracy)."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        self.policy.optimizer.zero_grad()
        told: list[th.Tensor] = []

        def loss() -> th.Tensor:
            with th.autocast(self.device.type, th.bfloat16, enabled=self.mixed_precision):
                own, value_loss, accuracy = cloning_loss(
                    self.policy,
                    batch,
                    mask=batch.masks if self.mask_loss or self.exits else None,
                    label_smoothing=self.label_smoothing,
                )
            told.append(th.stack([own.detach(), value_loss.detach(), accuracy]))
            return own + self.vf_coef * value_loss

        if self.adversarial is None:
            loss().backward()
        else:
            adversarial_backward(self.policy, loss, self.adversarial)
        th.nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
        self.policy.optimizer.step()
        self._n_updates += 1
        return told[0]

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "_data", "_pass_length", "share"]

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        return ["policy", "policy.optimizer"], []


def task_of(model: BaseAlgorithm) -> Any:
    """The task behind a model's environments.

    Raises:
        InvalidArgumentError: They have none.
    """
    try:
        assert model.env is not None
        return model.env.get_attr("task")[0]
    except AttributeError as error:
        raise InvalidArgumentError(
            f"env={shown(model.env)} has no `task` whose oracle could be followed: behaviour "
            "cloning and warm starts need an environment of this package."
        ) from error


@dataclass(frozen=True)
class _Rising:
    """A rate that rises from 0 first.

    Attributes:
        rate: By the progress remaining.
        warmup: Share of the run over which it rises.
    """

    rate: Callable[[float], float]
    warmup: float

    def __call__(self, remaining: float) -> float:
        """The rate, by the progress remaining from 1 to 0."""
        return self.rate(remaining) * min(1.0, (1.0 - remaining) / self.warmup)


class _SampleProgress(ProgressBarCallback):
    """A progress bar in decisions: Stable-Baselines3's counts one step per environment."""

    _shown = 0

    def _on_step(self) -> bool:
        self.pbar.update(self.num_timesteps - self._shown)
        self._shown = self.num_timesteps
        return True

    def _on_training_start(self) -> None:
        super()._on_training_start()
        self._shown = self.num_timesteps
