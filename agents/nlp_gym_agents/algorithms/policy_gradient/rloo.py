"""REINFORCE with a leave-one-out baseline: several samples of a text are each other's baseline."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, ClassVar, TypeVar, cast

import numpy as np
import numpy.typing as npt
import torch as th
from sb3_contrib.common.maskable.policies import (
    MaskableActorCriticPolicy,
    MaskableMultiInputActorCriticPolicy,
)
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import MaybeCallback
from torch import nn
from typing_extensions import override

from nlp_gym.checks import check_int, check_name
from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym.tasks.core.rollout import play
from nlp_gym.tasks.core.task import Task
from nlp_gym.types import BoolArray, Float64Array, Int64Array, Observation
from nlp_gym_agents.algorithms.imitation.bc import task_of
from nlp_gym_agents.algorithms.imitation.demonstrations import obs_type_of, shuffled
from nlp_gym_agents.algorithms.policy_gradient.sampled_texts import SampledTexts
from nlp_gym_agents.algorithms.weight_average import with_average
from nlp_gym_agents.networks.encoder.trainable import trainable_encoders
from nlp_gym_agents.networks.features.open_corpora import with_corpus
from nlp_gym_agents.networks.features.swap_source import clear_caches
from nlp_gym_agents.networks.policies.dueling import action_scores, masked
from nlp_gym_agents.networks.policies.pointer import scoring_legal

BASELINES = ("leave_one_out", "greedy")
"""What the samples of a text are compared with."""
CREDITS = ("sequence", "decision")
"""What a decision is credited with."""

SelfRLOO = TypeVar("SelfRLOO", bound="RLOO")


class RLOO(OnPolicyAlgorithm):
    """REINFORCE with K samples of each text (Ahmadian et al. 2024; Kool et al. 2019).

    Each rollout plays a batch of texts K times, each episode to its end. What an episode earned in
    all, less what the other samples of the same text earned on average, is the advantage of each of
    its decisions: no value is learned, and nothing is bootstrapped. It suits rewards that come
    from the whole text, such as BLEU. Where decisions have rewards of their own, as tags have,
    ``credit="decision"`` leaves out what was earned before a decision, and compares samples step by
    step. Texts whose samples all earned the same are not learned from, and cost nothing.

    The loss is divided by the standard deviation of the rollout's advantages. There is no ratio of
    old and new probabilities: with a `batch_size` the later updates of a rollout are slightly
    off-policy.

    The K samples share the encoder's work: in the rollout as in the update each text is encoded
    once.

    A timestep is one decision that was played, those of a greedy baseline included. Texts are taken
    in an order that the seed decides, each once before any is played again.

    References: Ahmadian et al. 2024, "Back to Basics: Revisiting REINFORCE Style Optimization for
    Learning from Human Feedback in LLMs"; Kool et al. 2019, "Buy 4 REINFORCE Samples, Get a
    Baseline for Free!"; Rennie et al. 2017, "Self-critical Sequence Training for Image Captioning".

    Args:
        policy: ``"MultiInputPolicy"`` or a class for masks.
        env: A Stable-Baselines3 `VecEnv` whose environments have a `task`. The task's samples are
            played side by side whatever the number of environments.
        learning_rate: Rate, or schedule over the progress remaining.
        texts: Texts N of a rollout.
        samples: Samples K of each, at least two; from one with ``baseline="greedy"``.
        baseline: ``"leave_one_out"``, or ``"greedy"`` for what the policy's most likely actions
            earn (self-critical), which takes one more episode a text.
        credit: ``"sequence"``: each decision is credited with all that its episode earned;
            ``"decision"``: with what was earned from it on.
        gamma: Discount of later rewards, with ``credit="decision"``.
        batch_size: Decisions of an update, of whole groups; None: all of a rollout.
        max_grad_norm: Longest gradient.
        weight_average: See `nlp_gym_agents.algorithms.imitation.bc.BC`.
        mixed_precision: As for `BC`, in rollouts too.
        seed: Of weights, texts and samples.
        policy_kwargs: Of the policy.
        tensorboard_log: Folder of TensorBoard files.
        verbose: 0, 1 or 2.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``.
        stats_window_size: Episodes that logged means are taken over.

    Raises:
        InvalidArgumentError: A value outside what is allowed, or environments without a `task`.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        "MultiInputPolicy": MaskableMultiInputActorCriticPolicy
    }
    policy: MaskableActorCriticPolicy  # type: ignore[assignment]
    rollout_buffer: SampledTexts  # type: ignore[assignment]

    def __init__(
        self,
        policy: str | type[BasePolicy],
        env: Any,
        learning_rate: Any = 3e-4,
        *,
        texts: int = 32,
        samples: int = 4,
        baseline: str = "leave_one_out",
        credit: str = "sequence",
        gamma: float = 1.0,
        batch_size: int | None = None,
        max_grad_norm: float = 1.0,
        weight_average: float | None = None,
        mixed_precision: bool = False,
        seed: int | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        tensorboard_log: str | None = None,
        verbose: int = 0,
        device: th.device | str = "auto",
        stats_window_size: int = 100,
        _init_setup_model: bool = True,
    ) -> None:
        check_name("baseline", baseline, BASELINES)
        check_name("credit", credit, CREDITS)
        self.texts = check_int("texts", texts, 1, 2**20)
        least = 1 if baseline == "greedy" else 2
        self.samples = check_int("samples", samples, least, 2**16)
        if batch_size is not None:
            check_int("batch_size", batch_size, 1, 2**31 - 1)
        self.baseline, self.credit, self.batch_size = baseline, credit, batch_size
        self.weight_average, self.mixed_precision = weight_average, mixed_precision
        self.texts_begun = 0  # which texts come next depends on it, so checkpoints hold it
        super().__init__(
            cast("Any", policy),
            env,
            learning_rate=learning_rate,
            n_steps=1,
            gamma=gamma,
            gae_lambda=1.0,
            ent_coef=0.0,
            vf_coef=0.0,
            max_grad_norm=max_grad_norm,
            use_sde=False,
            sde_sample_freq=-1,
            policy_kwargs=with_average(policy_kwargs or {}, weight_average),
            stats_window_size=stats_window_size,
            tensorboard_log=tensorboard_log,
            verbose=verbose,
            seed=seed,
            device=device,
            _init_setup_model=_init_setup_model,
        )

    def _setup_model(self) -> None:
        self._setup_lr_schedule()
        self.set_random_seed(self.seed)
        made: Any = self.policy_class(
            self.observation_space, self.action_space, self.lr_schedule, **self.policy_kwargs
        )
        self.policy = made.to(self.device)
        if not isinstance(self.policy, MaskableActorCriticPolicy):
            raise InvalidArgumentError(
                f"policy={shown(type(self.policy).__name__)} takes no masks: use "
                "'MultiInputPolicy', or a class derived from sb3-contrib's "
                "MaskableActorCriticPolicy."
            )
        for head in (self.policy.action_net, self.policy.value_net):
            head.register_forward_hook(_in_float32)
        self.rollout_buffer = SampledTexts(
            self.samples,
            self.device,
            gamma=self.gamma,
            by_decision=self.credit == "decision",
        )

    @property
    def task(self) -> Task:
        """The task that is played.

        Raises:
            InvalidArgumentError: The environments have none.
        """
        task: Task = task_of(self)
        return task

    def next_texts(self) -> tuple[Int64Array, Int64Array]:
        """Samples (N,) of the next rollout, and the setting (N,) of the task's dial in each.

        They are those that environments draw from (`Task.drawn`), see `texts_begun`. A sample has
        another setting in each pass.
        """
        task, strata = self.task, self.task.strata
        every = np.arange(len(task.corpus)) if task.drawn is None else task.drawn
        size = len(every) if strata is None else int(strata.counts(every).sum())
        numbers = np.arange(self.texts_begun, self.texts_begun + self.texts)
        passes, places = np.divmod(numbers, size)
        rows = np.empty(len(numbers), np.int64)
        for number in np.unique(passes).tolist():
            seed = (self.seed or 0) + number
            order = shuffled(size, seed).numpy() if strata is None else strata.order(every, seed)
            rows[passes == number] = every[order[places[passes == number]]]
        return rows, (rows + passes) % task.dials

    @override
    def learn(
        self: SelfRLOO,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int = 1,
        tb_log_name: str = "RLOO",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> SelfRLOO:
        """Learn until `total_timesteps` decisions were played; see `OnPolicyAlgorithm.learn`."""
        for encoder in trainable_encoders(self.policy):
            encoder.upcoming = None  # the texts that the environments draw are not played
        return super().learn(
            total_timesteps, callback, log_interval, tb_log_name, reset_num_timesteps, progress_bar
        )

    @override
    def collect_rollouts(  # type: ignore[override]
        self,
        env: Any,
        callback: BaseCallback,
        rollout_buffer: SampledTexts,
        n_rollout_steps: int,
    ) -> bool:
        """Play K samples of each of N texts to their ends.

        Args:
            env: Unused but for its task.
            callback: Called once a step of all episodes.
            rollout_buffer: Filled.
            n_rollout_steps: Unused: episodes are whole.

        Returns:
            False where the callback stops the training.
        """
        self.policy.set_training_mode(False)
        rollout_buffer.reset()
        callback.on_rollout_start()
        rows, dial = self.next_texts()
        baseline = None
        with self._precision():
            if self.baseline == "greedy":
                baseline = self._play(rows, dial, callback, None)
                if baseline is None:
                    return False
            k = self.samples
            played = self._play(np.repeat(rows, k), np.repeat(dial, k), callback, rollout_buffer)
        if played is None:
            return False
        self.texts_begun += len(rows)
        rollout_buffer.complete(len(rows), baseline)
        self._note(rollout_buffer)
        callback.update_locals(locals())
        with self._precision():
            callback.on_rollout_end()
        return True

    def _play(
        self,
        rows: Int64Array,
        dial: Int64Array,
        callback: BaseCallback,
        buffer: SampledTexts | None,
    ) -> Float64Array | None:
        """(B, T) rewards of episodes by step; None where the callback stops.

        Args:
            rows: (B,) samples to play.
            dial: (B,) setting of the task's dial.
            callback: Called once a step.
            buffer: Gets the decisions, which are then sampled; None: they are greedy.
        """
        task, limit = self.task, self._limit
        keys = getattr(self.observation_space, "spaces", {})
        kind, seen = obs_type_of(keys), dict[str, Any]()

        def decide(state: Any, place: Int64Array) -> Int64Array:
            observations, mask = task.views.observe_with_mask(state, kind)
            observations = with_corpus(observations, task, keys)
            actions, log_probs = self._act(observations, mask, sample=buffer is not None)
            seen.update(observations=observations, mask=mask, log_probs=log_probs)
            return actions

        earned: list[Float64Array] = []
        for number, step in enumerate(play(task, rows, decide, dial=dial), 1):
            earned.append(np.zeros(len(rows)))
            earned[-1][step.place] = step.rewards
            self.num_timesteps += len(step.place)
            callback.update_locals(locals())
            if not callback.on_step():
                return None
            if buffer is not None:
                buffer.add(step.place, actions=step.actions, rewards=step.rewards, **seen)
            if number == limit:
                step.ended = np.ones(len(step.place), bool)
        return np.stack(earned, axis=1)

    @property
    def _limit(self) -> int | None:
        """Most steps of an episode, by the environments; None: there is no such limit."""
        assert self.env is not None
        try:
            limit: int | None = self.env.get_attr("max_episode_steps")[0]
        except AttributeError:  # single environments: the wrapper that counts steps is the spec's
            limit = self.env.get_attr("spec")[0].max_episode_steps
        return limit

    @th.no_grad()
    def _act(
        self, observations: Observation, mask: BoolArray, *, sample: bool
    ) -> tuple[Int64Array, npt.NDArray[np.float32]]:
        """(B,) actions, sampled or the most likely ones, and their log-probabilities."""
        given = {
            key: th.as_tensor(value, device=self.device) for key, value in observations.items()
        }
        logs = self._log_probs(given, th.as_tensor(mask, device=self.device))
        chosen = drawn(logs.exp()) if sample else logs.argmax(dim=1, keepdim=True)
        return chosen[:, 0].cpu().numpy(), logs.gather(1, chosen)[:, 0].cpu().numpy()

    def _log_probs(self, observations: dict[str, th.Tensor], mask: th.Tensor) -> th.Tensor:
        """(B, A) logarithms of the policy's probabilities; minus infinity for illegal actions."""
        with scoring_legal(self.policy, wanted=True):
            scores = action_scores(self.policy, observations)
        assert scores is not None
        return masked(scores, mask).log_softmax(dim=1)

    def _precision(self) -> AbstractContextManager[Any]:
        return th.autocast(self.device.type, th.bfloat16, enabled=self.mixed_precision)

    def _note(self, buffer: SampledTexts) -> None:
        """Returns and lengths of the last episodes, for the log."""
        lengths = np.bincount(buffer.episode, minlength=buffer.returns.size)
        ended = zip(buffer.returns.flat, lengths.tolist(), strict=True)
        assert self.ep_info_buffer is not None
        self.ep_info_buffer.extend({"r": float(r), "l": n, "t": 0.0} for r, n in ended)

    @override
    def train(self) -> None:
        """Ascend the gradient of what the rollout's texts earned beyond their baselines."""
        buffer = self.rollout_buffer
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        spread = max(float(buffer.advantages.std()), 1e-8)
        batches = list(buffer.batches(self.batch_size))
        losses = [0.0]
        if not batches:  # what a resumed run would not have is used no further
            clear_caches(self.policy)
        for parts in batches:
            self.policy.optimizer.zero_grad()
            for index in parts:
                loss = self._loss(buffer, index, spread * len(buffer) / len(batches))
                loss.backward()
                losses.append(loss.item())
            nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
            self.policy.optimizer.step()
            self._n_updates += 1
        self.logger.record("train/policy_gradient_loss", sum(losses))
        self.logger.record("train/return", float(buffer.returns.mean()))
        self.logger.record("train/advantage_std", spread)
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")

    def _loss(self, buffer: SampledTexts, index: Int64Array, weight: float) -> th.Tensor:
        """Minus the sum of advantage times log-probability, divided by `weight`."""
        batch = buffer.take(index)
        with self._precision():
            logs = self._log_probs(batch.observations, batch.masks)
        taken = logs.gather(1, batch.actions[:, None])[:, 0]
        return -(batch.advantages * taken).sum() / weight

    @override
    def predict(
        self,
        observation: np.ndarray | dict[str, np.ndarray],
        state: tuple[np.ndarray, ...] | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
        action_masks: np.ndarray | None = None,
    ) -> tuple[np.ndarray, tuple[np.ndarray, ...] | None]:
        """As `MaskablePPO.predict`."""
        return self.policy.predict(
            observation, state, episode_start, deterministic, action_masks=action_masks
        )

    @override
    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "rollout_buffer"]


def drawn(shares: th.Tensor) -> th.Tensor:
    """(B, 1) actions, each drawn with its share of (B, A); `torch.multinomial` takes 18 times this.

    An action without a share is never drawn.
    """
    upto = shares.cumsum(dim=1)
    total = upto[:, -1:].contiguous()
    places = th.searchsorted(upto, th.rand_like(total) * total, right=True)
    return places.minimum(th.searchsorted(upto, total))  # where rounding gave all of the total


def _in_float32(module: nn.Module, given: object, scores: th.Tensor) -> th.Tensor:
    """A hook of heads: logarithms of probabilities need more digits than bfloat16 has."""
    return scores.float()
