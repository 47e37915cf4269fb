"""What one round of learning sees: feedback that is played again, and old training data."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch as th

from nlp_gym.checks import check_int, check_name, check_number
from nlp_gym.errors import InvalidArgumentError, NLPGymError, shown
from nlp_gym.tasks.core.task import Task
from nlp_gym.types import Int64Array, Sample
from nlp_gym_agents.models.acting import score_kind
from nlp_gym_agents.models.stages import earlier_corpora
from nlp_gym_agents.models.trained import TrainedModel
from nlp_gym_agents.prediction.feedback import decisions as made
from nlp_gym_agents.prediction.feedback.decisions import Decisions
from nlp_gym_agents.prediction.feedback.losses import OBJECTIVES
from nlp_gym_agents.prediction.feedback.rows import key_of, new_labels, samples_of
from nlp_gym_agents.prediction.feedback.store import Correction, Rating, Record
from nlp_gym_agents.prediction.task_choice import TaskInputs


@dataclass(frozen=True, kw_only=True)
class LearnOptions:
    """How to learn from feedback.

    Attributes:
        passes: Times that all feedback is seen.
        learning_rate: Of Adam; an encoder that learned keeps its own rate.
        batch_size: Texts of the feedback in an update.
        replay: Share of the texts of an update that are of the old training data, below 1.
        replay_texts: Most texts of the old training data that are drawn from.
        kl: Weight of the divergence from the old policy, in nats per decision, on the replayed
            texts; where there are none, on those of the feedback.
        objective: How ratings are learned from: ``"ips"`` or ``"likelihood"``, see `losses`.
        clip: Largest importance weight of ``"ips"``.
        seed: Decides what is drawn and in which order.
    """

    passes: int = 10
    learning_rate: float = 1e-3
    batch_size: int = 32
    replay: float = 0.5
    replay_texts: int = 2000
    kl: float = 0.1
    objective: str = "likelihood"
    clip: float = 10.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Check all values."""
        check_int("passes", self.passes, 1, 10**6)
        check_number("learning_rate", self.learning_rate, 0.0, 1.0)
        check_int("batch_size", self.batch_size, 1, 10**6)
        check_number("replay", self.replay, 0.0, 0.99)
        check_int("replay_texts", self.replay_texts, 1, 10**9)
        check_number("kl", self.kl, 0.0, 1e6)
        check_name("objective", self.objective, OBJECTIVES)
        check_number("clip", self.clip, 1e-6, 1e6)
        check_int("seed", self.seed, 0, 2**31 - 1)


@dataclass(frozen=True)
class Material:
    """What one round learns from.

    Attributes:
        corrections: The right decisions on corrected texts; None: there are none.
        ratings: The decisions that were made on rated texts; None: there are none.
        logged: (m,) log-probabilities of these when they were made.
        texts: (n,) the rated text of each of their episodes.
        rewards: Of each rated text.
        replay: The oracle's decisions on old training data; None: there is none.
        left_out: Why records are not learned from, one line each.
        n_corrections: Texts that were corrected.
    """

    corrections: Decisions | None
    ratings: Decisions | None
    logged: th.Tensor
    texts: th.Tensor
    rewards: th.Tensor
    replay: Decisions | None
    left_out: tuple[str, ...]
    n_corrections: int

    @property
    def n_ratings(self) -> int:
        """Texts whose rating is learned from."""
        return len(rated_texts(self))

    @property
    def n_replayed(self) -> int:
        """Texts of the old training data."""
        return 0 if self.replay is None else len(self.replay.samples.unique())


def rated_texts(material: Material) -> list[int]:
    """Numbers of the rated texts that have decisions."""
    if material.ratings is None:
        return []
    texts: list[int] = material.texts[material.ratings.samples.unique()].unique().tolist()
    return texts


def inventory_of(task: Task) -> str:
    """What the numbers of a task's actions mean, in short."""
    names = "\x1f".join([*task.labels, "\x1e", *task.further_actions])
    return hashlib.sha256(names.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def check_learns(trained: TrainedModel, task: Task) -> None:
    """Refuse an agent that cannot learn from feedback.

    Raises:
        InvalidArgumentError: Its algorithm does not say how likely it holds actions, or has a
            memory.
    """
    with trained.reading(task, cache=False) as model:
        recurrent = getattr(model.policy, "lstm_actor", None) is not None
        if score_kind(model.policy) == "none" or recurrent:
            why = "has a memory" if recurrent else "does not say how likely it holds its actions"
            raise InvalidArgumentError(
                f"algo={trained.settings['algo']!r} {why}, and cannot learn from feedback: use "
                "bc, ppo, maskable_ppo, a2c, rloo, expected_pg, dqn, masked_dqn or qrdqn."
            )


def gather(
    trained: TrainedModel,
    inputs: TaskInputs,
    records: Sequence[Record],
    options: LearnOptions,
    *,
    trust: Sequence[str] | str = (),
) -> Material:
    """Play what was corrected and rated again, and draw old training data.

    A correction takes the place of what was said before of the same text.

    Args:
        trained: The agent that learns.
        inputs: Its task for new input.
        records: What is kept, in order.
        options: How to learn.
        trust: Modules that the run's settings may have imported.

    Raises:
        InvalidArgumentError: Nothing is left to learn from.
    """
    left_out, family = list[str](), inputs.task.family
    last = dict[str, tuple[int, list[Sample]]]()
    rated = list[tuple[str, list[Sample], Rating]]()
    for number, record in enumerate(records, 1):
        try:
            samples = samples_of(record.rows, family, gold=isinstance(record, Correction))
        except NLPGymError as error:
            left_out.append(f"record {number}: {error}")
            continue
        if isinstance(record, Correction):
            last[key_of(samples)] = number, samples
        else:
            rated.append((key_of(samples), samples, record))
    rated = [one for one in rated if one[0] not in last]
    corrected = list[list[Sample]]()
    for number, samples in last.values():
        new = [x for sample in samples for x in new_labels(sample, family, inputs.labels)]
        if new:
            left_out.append(
                f"record {number}: the label {shown(new[0])} is new: write the corrections with "
                "`nlp-gym feedback RUN --export FOLDER`, and train on them with `nlp-gym train "
                "--continue RUN --data FOLDER`"
            )
        else:
            corrected.append(samples)
    found = _Found(trained, inputs, trained.settings["obs_type"], left_out)
    corrections = found.corrections([s for samples in corrected for s in samples])
    ratings = found.ratings(rated)
    if corrections is None and ratings[0] is None:
        said = f" ({left_out[0]})" if left_out else ""
        raise InvalidArgumentError(
            f"{trained.run} has no feedback that can be learned from{said}: give some with "
            "`agent.observe`, `agent.feedback` or `nlp-gym feedback` first."
        )
    replay = found.replay(options, trust) if options.replay else None
    return Material(corrections, *ratings, replay, tuple(left_out), len(corrected))


@dataclass
class _Found:
    """Makes decisions of what is kept.

    Attributes:
        trained: The agent that learns.
        inputs: Its task for new input.
        obs_type: What it reads.
        left_out: Gets a line for each record that cannot be learned from.
    """

    trained: TrainedModel
    inputs: TaskInputs
    obs_type: str
    left_out: list[str]

    def _task(self, samples: list[Sample]) -> Task:
        return self.trained.task("test", **self.inputs.arguments(samples)).settled()

    def corrections(self, samples: list[Sample]) -> Decisions | None:
        if not samples:
            return None
        task = self._task(samples)
        found = made.of_gold(task, np.arange(len(samples)), obs_type=self.obs_type)
        if lost := len(samples) - len(found.samples.unique()):
            self.left_out.append(f"{lost} correction(s) to which no decisions lead")
        return found if len(found) else None

    def ratings(
        self, rated: Sequence[tuple[str, list[Sample], Rating]]
    ) -> tuple[Decisions | None, th.Tensor, th.Tensor, th.Tensor]:
        nothing = None, th.zeros(0), th.zeros(0, dtype=th.int64), th.zeros(0)
        if not rated:
            return nothing
        task = self._task([s.unannotated() for _, samples, _ in rated for s in samples])
        inventory = inventory_of(task)
        texts = [n for n, (_, samples, _) in enumerate(rated) for _ in samples]
        actions = [each for _, _, record in rated for each in record.actions]
        found, fits = made.as_played(task, actions, obs_type=self.obs_type)
        good = np.ones(len(rated), bool)
        for n, (_, samples, record) in enumerate(rated):
            own = [fit for fit, text in zip(fits, texts, strict=True) if text == n]
            if record.inventory != inventory:
                good[n] = False
                self.left_out.append("a rating of decisions among other labels")
            elif len(record.actions) != len(samples) or not all(own):
                good[n] = False
                self.left_out.append("a rating of decisions that cannot be played again")
        if not good.any():
            return nothing
        chances = np.concatenate(
            [np.array(each) for _, _, record in rated for each in record.chances]
        )
        episodes = good[np.array(texts)]
        decided = np.repeat(episodes, [len(each) for each in actions])
        logged = th.from_numpy(np.log(chances[decided]).astype(np.float32))
        rewards = th.tensor([record.reward for _, _, record in rated])
        return made.kept(found, episodes), logged, th.tensor(texts), rewards

    def replay(self, options: LearnOptions, trust: Sequence[str] | str) -> Decisions | None:
        """The oracle's decisions on texts drawn from the training data, of all stages alike."""
        try:
            task = self.trained.task("train", **self.inputs.env_kwargs)
            task.require_gold("replay")
        except NLPGymError as error:
            warnings.warn(
                f"{self.trained.run}: the old training data is not at hand ({error}), so that "
                "nothing is replayed; the divergence from the old policy holds the rest in place.",
                UserWarning,
                stacklevel=2,
            )
            return None
        bounds = np.array([0, len(task.corpus)])
        earlier, missing = earlier_corpora(self.trained, "train", trust=trust)
        if missing:
            warnings.warn(
                f"{self.trained.run}: the data of {len(missing)} earlier stage(s) is not at hand "
                f"({missing[0]}), and is not replayed.",
                UserWarning,
                stacklevel=2,
            )
        if earlier and task.joins_corpora:
            task = self.trained.task("train", **self.inputs.env_kwargs, earlier=earlier)
            assert task.corpus_bounds is not None
            bounds = task.corpus_bounds
        draw = np.random.default_rng(options.seed)
        most = max(options.replay_texts // (len(bounds) - 1), 1)
        rows: Int64Array = np.concatenate(
            [first + draw.permutation(end - first)[:most] for first, end in pairwise(bounds)]
        )
        return made.of_gold(task.settled(), rows, obs_type=self.obs_type)
