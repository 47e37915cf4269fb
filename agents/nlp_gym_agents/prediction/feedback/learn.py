"""One round of learning from feedback: corrections, ratings and old training data in turn.

Every update sees some texts of the feedback and, in a stated share, texts that the run was trained
on, so that nothing is forgotten; a penalty on the divergence from the old policy holds the rest in
place. All feedback that was ever kept is learned from again, as what was learned from it last time
is not to be forgotten either.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch as th

from nlp_gym.errors import NLPGymError
from nlp_gym.progress import progress_bar
from nlp_gym.tasks.core.task import Task
from nlp_gym_agents.models.trained import TrainedModel
from nlp_gym_agents.networks.encoder.options import Tuning
from nlp_gym_agents.networks.encoder.trainable import trainable_encoders
from nlp_gym_agents.networks.features.swap_source import clear_caches
from nlp_gym_agents.prediction.feedback.decisions import Batch, Decisions, Reader
from nlp_gym_agents.prediction.feedback.losses import change, correction_loss, own, rating_loss
from nlp_gym_agents.prediction.feedback.material import LearnOptions, Material, rated_texts

_MAX_GRAD_NORM = 1.0


def learn(
    old: TrainedModel, new: TrainedModel, material: Material, options: LearnOptions
) -> tuple[int, float]:
    """Change the weights of `new`, which begins with those of `old`.

    Args:
        old: The agent as it is.
        new: The same run, loaded again.
        material: What to learn from.
        options: How.

    Returns:
        Updates, and the processor seconds that they took.
    """
    began = time.process_time()
    parts = [p for p in (material.corrections, material.ratings, material.replay) if p is not None]
    before, after = (_reader(one, parts[0].task) for one in (old, new))
    updates = _Updates(before, after, material, options, new.tuning)
    with th.random.fork_rng(devices=[]):
        th.manual_seed(options.seed)
        done = updates.run()
    model = after.model
    for target, source in (("q_net_target", "q_net"), ("quantile_net_target", "quantile_net")):
        if hasattr(model.policy, target):
            getattr(model.policy, target).load_state_dict(
                getattr(model.policy, source).state_dict()
            )
    model.policy.set_training_mode(False)
    clear_caches(model.policy)
    return done, time.process_time() - began


def _reader(trained: TrainedModel, task: Task) -> Reader:
    """The model of an agent, which reads `task` first."""
    with trained.reading(task, cache=False) as model:
        pass
    return Reader(model, trained.settings["obs_type"], trainable=trained.tuning is not None)


class _Updates:
    """The loop over the feedback."""

    def __init__(
        self,
        old: Reader,
        new: Reader,
        material: Material,
        options: LearnOptions,
        tuning: Tuning | None,
    ) -> None:
        self.old, self.new, self.material, self.options = old, new, material, options
        self.policy = new.model.policy
        self.draw = np.random.default_rng(options.seed)
        rated = rated_texts(material)
        self.baseline = float(material.rewards[rated].mean()) if rated else 0.0
        self.optimizer = _optimizer(new, options.learning_rate, tuning)

    def run(self) -> int:
        """All passes; gives the number of updates."""
        material, size = self.material, self.options.batch_size
        kinds = [(kind, _texts(kind, material)) for kind in ("corrections", "ratings")]
        units = [(kind, text) for kind, texts in kinds for text in texts]
        n_batches = -(-len(units) // size)
        done, total = 0, self.options.passes * n_batches
        with progress_bar(total, "learning from feedback", unit="updates") as advance:
            for _ in range(self.options.passes):
                order = self.draw.permutation(len(units))
                for part in np.array_split(order, n_batches):
                    self._update([units[i] for i in part])
                    done += 1
                    advance(1)
        return done

    def _update(self, chosen: Sequence[tuple[str, int]]) -> None:
        policy, options = self.policy, self.options
        policy.set_training_mode(True)
        clear_caches(policy)
        losses = list[th.Tensor]()
        n = len(chosen)
        for kind in ("corrections", "ratings"):
            texts = [text for name, text in chosen if name == kind]
            if texts:
                losses += self._feedback(kind, th.tensor(sorted(texts)), len(texts) / n)
        if self.material.replay is not None:
            share = options.replay / (1.0 - options.replay)
            losses += self._replay(max(round(n * share), 1), share)
        self.optimizer.zero_grad()
        th.stack(losses).sum().backward()
        th.nn.utils.clip_grad_norm_(policy.parameters(), _MAX_GRAD_NORM)
        self.optimizer.step()

    def _feedback(self, kind: str, texts: th.Tensor, weight: float) -> list[th.Tensor]:
        """Losses on texts of one kind of feedback, which are `weight` of an update's."""
        material = self.material
        found = material.corrections if kind == "corrections" else material.ratings
        assert found is not None
        if kind == "corrections":
            batch = found.of(texts, self.policy.device)
        else:
            episodes = th.isin(material.texts, texts).nonzero().flatten()
            batch = found.of(episodes, self.policy.device)
        with self.new.reading(found.task):
            logs = self.new.log_probs(batch)
        chosen = own(logs, batch.actions)
        if kind == "corrections":
            losses = [weight * correction_loss(chosen)]
        else:
            place = th.full((len(material.rewards),), -1, dtype=th.int64)
            place[texts] = th.arange(len(texts))
            of_text = place[material.texts[episodes]].to(chosen.device)[batch.samples]
            loss = rating_loss(
                chosen,
                material.logged[batch.index].to(chosen.device),
                of_text,
                material.rewards[texts].to(chosen.device),
                objective=self.options.objective,
                baseline=self.baseline,
                clip=self.options.clip,
            )
            losses = [weight * loss]
        if material.replay is None:
            losses.append(weight * self._change(found, batch, logs))
        return losses

    def _replay(self, n: int, weight: float) -> list[th.Tensor]:
        found = self.material.replay
        assert found is not None
        known = found.samples.unique()
        drawn = self.draw.choice(len(known), min(n, len(known)), replace=False)
        batch = found.of(known[th.from_numpy(np.sort(drawn))], self.policy.device)
        with self.new.reading(found.task, cache=True):  # training has encoded it
            logs = self.new.log_probs(batch)
        loss = correction_loss(own(logs, batch.actions))
        return [weight * loss, self._change(found, batch, logs)]

    def _change(self, found: Decisions, batch: Batch, logs: th.Tensor) -> th.Tensor:
        if not self.options.kl:
            return th.zeros((), device=logs.device)
        self.old.model.policy.set_training_mode(False)
        with th.no_grad(), self.old.reading(found.task):
            before = self.old.log_probs(batch)
        return self.options.kl * change(before, logs, batch.mask)


def _texts(kind: str, material: Material) -> list[int]:
    """The texts (of ratings) or samples (of corrections) that have decisions."""
    found = material.corrections
    if kind == "ratings":
        return rated_texts(material)
    return [] if found is None else found.samples.unique().tolist()


def _optimizer(reader: Reader, rate: float, tuning: Tuning | None) -> th.optim.Optimizer:
    """Adam; an encoder that learned keeps its rate at its highest."""
    model = reader.model
    inner = {p for one in trainable_encoders(model.policy) for p in one.parameters()}
    outer = [p for p in model.policy.parameters() if p not in inner and p.requires_grad]
    groups: list[dict[str, Any]] = [{"params": outer, "lr": rate}]
    if tuning is not None:
        model._current_progress_remaining = 0.0  # nothing of it is on hold
        highest = float(str(tuning.lr).rpartition("_")[2])
        groups.append({"params": [p for p in inner if p.requires_grad], "lr": highest})
    return th.optim.Adam(groups)


def fitted(trained: TrainedModel, found: Decisions, batch: int = 512) -> float:
    """The share of samples whose decisions are all those of `found`, each after the right ones.

    Args:
        trained: Who decides.
        found: The right decisions.
        batch: Samples side by side.
    """
    reader = _reader(trained, found.task)
    reader.model.policy.set_training_mode(False)
    known = found.samples.unique()
    right = th.ones(found.n)
    with th.no_grad(), reader.reading(found.task):
        for start in range(0, len(known), batch):
            chosen = known[start : start + batch]
            one = found.of(chosen, reader.model.policy.device)
            wrong = reader.log_probs(one).argmax(dim=1) != one.actions
            right[chosen[one.samples[wrong].cpu()]] = 0.0
    return float(right[known].mean())


def dev_score(trained: TrainedModel, env_kwargs: Mapping[str, Any]) -> tuple[str, float] | None:
    """Name and value of the metric on the run's own dev split; None: it is not at hand."""
    try:
        task = trained.task("dev", **env_kwargs)
        task.require_gold("score")
    except NLPGymError:
        return None
    score = task.score(trained.outputs(task), bootstrap=0, report=False)
    return task.metric_name, float(score.value)
