"""How an agent proposes what to label next; `Agent` inherits it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nlp_gym.checks import check_int, check_name
from nlp_gym.errors import InvalidArgumentError, RunError, shown
from nlp_gym.types import Float64Array, Sample
from nlp_gym_agents.models.trained import TrainedModel, load_trained
from nlp_gym_agents.prediction.agent_part import AgentPart
from nlp_gym_agents.prediction.feedback import store
from nlp_gym_agents.prediction.feedback.corrections import last_corrections
from nlp_gym_agents.prediction.feedback.material import check_learns
from nlp_gym_agents.prediction.feedback.rows import key_of, row_of, samples_of
from nlp_gym_agents.prediction.inputs import Input, sample_id
from nlp_gym_agents.prediction.selection import scores as choosing
from nlp_gym_agents.prediction.selection.scores import Selected
from nlp_gym_agents.runs.settings import SETTINGS, SnapshotSettings, read_settings
from nlp_gym_agents.runs.snapshots import steps, verify


class Chooser(AgentPart):
    """The part of `Agent` that chooses what to ask people about."""

    def select(
        self,
        given: Iterable[Any],
        budget: int,
        *,
        strategy: str = "entropy",
        over: str = "mean",
        ensemble: Sequence[str | Path] = (),
        seed: int = 0,
        progress: bool = False,
    ) -> list[Selected]:
        """Propose which texts to label next, the first one first; `selection.scores` has the rules.

        Args:
            given: Texts or samples, as for `predict`; gold is not looked at. Blank texts are left
                out, and of equal ones all but the first; so are those whose answer is kept
                (`observe`).
            budget: Most texts that are proposed.
            strategy: ``"entropy"``, ``"margin"``, ``"least_confidence"``, ``"disagreement"`` or
                ``"random"``.
            over: What a text has of the scores of its decisions: ``"mean"``, ``"sum"``, ``"max"``.
            ensemble: Further run folders of the same task, encoder and network, for
                ``"disagreement"``; the checkpoints of the run itself are always members.
            seed: Of ``"random"``.
            progress: Show bars on stderr.

        Raises:
            InvalidArgumentError: An argument is outside what is allowed, or no two members of the
                ensemble differ.
            RunError: A run of the ensemble cannot be loaded, or the file of feedback not read.
        """
        check_int("budget", budget, 1, 2**31 - 1)
        check_name("strategy", strategy, choosing.STRATEGIES)
        check_name("over", over, choosing.OVER)
        check_int("seed", seed, 0, 2**31 - 1)
        if isinstance(given, str | Mapping) or not isinstance(given, Iterable):
            raise InvalidArgumentError(f"given={shown(given)} must be a list of texts or samples.")
        self.check_reads_lines()
        texts = list(given)
        with self._lock:
            inputs = self._inputs_of(texts)
            episodes = [self._episodes(item) for item in inputs]
            answered = {key_of(one) for one in self._answered_texts()}
            keys = [key_of(samples) if samples else None for samples in episodes]
            keys = [None if key in answered else key for key in keys]
            if strategy == "random":
                scores = np.random.default_rng(seed).random(len(inputs))
            else:
                scores = self._scores(episodes, strategy, over, ensemble, progress=progress)
            chosen = choosing.in_order(scores, budget, keys)
        found = []
        for rank, place in enumerate(chosen, 1):
            item, text = inputs[place], texts[place]
            raw = item.text if isinstance(item, Input) else item.extra.get("text")
            name = item.id if isinstance(item, Input) else sample_id(item)
            row = row_of(text, item, self.family)
            own = {"id": name, "text": None if raw is None else str(raw), "strategy": strategy}
            found.append(
                Selected(rank=rank, index=place, score=float(scores[place]), row=row, **own)
            )
        return found

    def _answered_texts(self) -> list[list[Sample]]:
        """What people have given the right answer of already."""
        kept = last_corrections(store.read(self.feedback_file, self.family), self.family)
        return [samples_of(one.rows, self.family, gold=True) for one in kept]

    def _scores(
        self,
        episodes: list[list[Sample]],
        strategy: str,
        over: str,
        ensemble: Sequence[str | Path],
        *,
        progress: bool,
    ) -> Float64Array:
        """(N,) scores of the texts, from those of their episodes."""
        samples = [sample for each in episodes for sample in each]
        owner = np.repeat(np.arange(len(episodes)), [len(each) for each in episodes])
        found = np.zeros(len(episodes))
        if not samples:
            return found
        task = self._task_of(samples)
        check_learns(self.trained, task)
        members = self._members(ensemble) if strategy == "disagreement" else ()
        scores, _ = choosing.scores_of(
            self.trained, task, strategy, over, members=members, progress=progress
        )
        if over == "max":
            np.maximum.at(found, owner, scores)
            return found
        if over == "sum":
            np.add.at(found, owner, scores)
            return found
        sizes = task.lengths.astype(np.float64)  # sentences count as they are long
        total = np.bincount(owner, weights=scores * sizes, minlength=len(episodes))
        whole = np.bincount(owner, weights=sizes, minlength=len(episodes))
        mean: Float64Array = total / np.maximum(whole, 1.0)
        return mean

    def _members(self, ensemble: Sequence[str | Path]) -> list[choosing.Member]:
        own = self.trained
        others = [
            TrainedModel(own.run, folder, settings, own.device)
            for folder, settings in _snapshots(own, self._trust)
        ]
        for run in ensemble:
            other = load_trained(run, device=own.device, trust=self._trust)
            for key in ("env", "labels", "obs_type", "encoder"):
                if other.settings[key] != own.settings[key]:
                    raise InvalidArgumentError(
                        f"ensemble={shown(run)} has another {key} than {own.run}: members of an "
                        "ensemble differ in their weights alone."
                    )
            others.append(other)
        found = choosing.members_of(own, others)
        if len(found) < 2:
            raise InvalidArgumentError(
                f"strategy='disagreement': {own.run} has no checkpoint whose weights differ from "
                "those it predicts with. Give runs of other seeds with ensemble (--ensemble RUN), "
                "or another strategy."
            )
        return found

    def _episodes(self, item: Input | Sample) -> list[Sample]:
        """What is played of a text: its sentences where words are labelled, else the whole."""
        if not self.tags:
            words = [word for word, _, _ in item.words] if isinstance(item, Input) else item.words
            whole = Sample(tuple(words)) if isinstance(item, Input) else item.unannotated()
            return [whole] if words else []
        if isinstance(item, Sample):
            return [item.unannotated()] if item.words else []
        return [Sample(tuple(word for word, _, _ in one)) for one in item.sentences]


def _snapshots(
    trained: TrainedModel, trust: Sequence[str] | str
) -> list[tuple[Path, SnapshotSettings]]:
    """Complete checkpoints of a run, newest first."""
    found = list[tuple[Path, SnapshotSettings]]()
    for folder in steps(trained.run / "checkpoints"):
        try:
            verify(folder)
        except RunError:
            continue
        found.append((folder, read_settings(folder / SETTINGS, trust=trust)))
    return found
