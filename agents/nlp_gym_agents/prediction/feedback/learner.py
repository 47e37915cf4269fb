"""What an agent does with what people say of its predictions; `Agent` inherits it."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nlp_gym.checks import check_int, check_name, check_number, check_options
from nlp_gym.errors import InvalidArgumentError, RunError, listed, shown
from nlp_gym.tasks.core.task import Task
from nlp_gym.types import Sample, text_key
from nlp_gym_agents.models.trained import TrainedModel, load_trained
from nlp_gym_agents.prediction.feedback import learn as learning
from nlp_gym_agents.prediction.feedback import select as choosing
from nlp_gym_agents.prediction.feedback import store
from nlp_gym_agents.prediction.feedback.learn import LearnOptions
from nlp_gym_agents.prediction.feedback.rows import (
    annotated_row,
    answered_row,
    input_row,
    samples_of,
    sentence_rows,
    tagged_rows,
    unknown_label,
)
from nlp_gym_agents.prediction.feedback.select import Selected
from nlp_gym_agents.prediction.feedback.stages import (
    checkpoint_of,
    parent_of,
    read_learned,
    write_stage,
)
from nlp_gym_agents.prediction.feedback.store import Correction, Rating
from nlp_gym_agents.prediction.inputs import Input, sample_id
from nlp_gym_agents.prediction.results import Result
from nlp_gym_agents.prediction.task_choice import TaskInputs
from nlp_gym_agents.runs.settings import SETTINGS, SnapshotSettings, read_settings
from nlp_gym_agents.runs.snapshots import steps, verify

_THUMBS = {True: 1.0, False: 0.0}


@dataclass(frozen=True)
class FeedbackCount:
    """How much feedback is kept.

    Attributes:
        corrections: Texts with their answers.
        ratings: Texts whose prediction was rated.
    """

    corrections: int = 0
    ratings: int = 0


@dataclass(frozen=True, kw_only=True)
class LearnReport:
    """What one call of `learn` did.

    Attributes:
        run: The new run folder.
        parent: The run folder that it came from, which is as it was.
        corrections: Corrected texts that were learned from.
        ratings: Rated texts that were learned from.
        left_out: Why records were not learned from, one line each.
        replayed: Texts of the old training data that were drawn from; 0: it is not at hand.
        updates: Steps of the optimizer.
        seconds: Processor seconds that these took.
        corrected_before: Share of the corrected texts (sentences, where words are labelled) whose
            decisions were all right; None: there are none.
        corrected_after: The same, after.
        metric: Name of the dev metric; None: dev is not at hand, or was not asked for.
        before: Its value on the run's own dev split.
        after: The same, after.
    """

    run: Path
    parent: Path
    corrections: int
    ratings: int
    left_out: tuple[str, ...]
    replayed: int
    updates: int
    seconds: float
    corrected_before: float | None = None
    corrected_after: float | None = None
    metric: str | None = None
    before: float | None = None
    after: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-able fields."""
        found = asdict(self)
        return {**found, "run": str(self.run), "parent": str(self.parent)}

    def lines(self) -> list[str]:
        """What it says, for people."""
        found = [
            f"learned from {self.corrections} corrections and {self.ratings} ratings in "
            f"{self.updates} updates ({self.seconds:.1f} processor seconds), with "
            f"{self.replayed} texts of the old training data between them"
        ]
        if self.left_out:
            found.append(f"left out {len(self.left_out)} records: {self.left_out[0]}")
        if self.corrected_before is not None:
            found.append(
                f"corrected texts right: {self.corrected_before:.1%} before, "
                f"{self.corrected_after:.1%} after"
            )
        if self.metric is not None:
            found.append(f"dev {self.metric}: {self.before:.4f} before, {self.after:.4f} after")
        return found


class Learner:
    """The part of `Agent` that learns from use.

    Attributes:
        feedback_file: Where feedback is kept; by default ``feedback.jsonl`` of the run folder.
    """

    trained: TrainedModel
    family: str
    bio: bool
    feedback_file: Path
    policy: str
    _inputs: TaskInputs
    _lock: threading.RLock
    _inventories: dict[str, str]
    _trust: Sequence[str] | str

    @property
    def tags(self) -> bool:
        """Whether it labels every word."""
        raise NotImplementedError

    def predict(self, given: Iterable[Any], *, progress: bool = False) -> list[Result]:
        """Decide on texts or samples."""
        raise NotImplementedError

    def check_reads_lines(self) -> None:
        """Refuse a mixture of which no task was chosen."""
        raise NotImplementedError

    def _inputs_of(self, given: list[Any]) -> list[Input | Sample]:
        raise NotImplementedError

    def _load(self, run: Path, checkpoint: str) -> None:
        raise NotImplementedError

    def observe(self, text: Any, correct: Any, *, new_labels: bool = False) -> None:
        """Keep the right answer of a text, to learn from later; it is on the disk on return.

        Args:
            text: A text or sample, as for `predict`.
            correct: The answer, as the results of `predict` give it: a typed result, its fields, or
                the plain value (a label, a list of labels or entities, words of the passage, the
                index of a choice, ...; see the page on feedback). Or a row of the family's JSON
                Lines with its answer.
            new_labels: Keep answers with labels that the agent does not know, too. `learn` leaves
                them out; they are for a training that goes on with them (`corrections`).

        Raises:
            InvalidArgumentError: It is no answer of the family, does not fit the text, or has a
                label that the agent does not know.
            RunError: It cannot be kept.
        """
        rows = self._answered(text, correct)
        samples = samples_of(rows, self.family, gold=True)
        if not new_labels:
            self._check_labels(samples)
        store.append(self.feedback_file, [Correction(tuple(rows))], self.family)

    def observe_samples(self, samples: Sequence[Sample], *, new_labels: bool = False) -> int:
        """Keep the right answers of samples that are annotated, as `nlp_gym.data` reads them.

        Args:
            samples: Of the family, with gold.
            new_labels: As for `observe`.

        Returns:
            How many are kept: all, or none where this fails.

        Raises:
            InvalidArgumentError: A sample has no gold, cannot be written as a row of its family, or
                has a label that the agent does not know.
            RunError: They cannot be kept.
        """
        self.check_reads_lines()
        if not new_labels:
            self._check_labels(samples)
        records = [Correction((annotated_row(sample, self.family),)) for sample in samples]
        if records:
            store.append(self.feedback_file, records, self.family)
        return len(records)

    def feedback(
        self,
        text: Any,
        prediction: Result | Mapping[str, Any] | None = None,
        reward: float | bool | None = None,
    ) -> None:
        """Keep what a prediction was held worth, to learn from later: bandit feedback.

        What is kept with it are the decisions behind the prediction and their probabilities, so
        that the policy that made them gets the credit, whatever has been learned since.

        Args:
            text: What was predicted on.
            prediction: The prediction: a result of `predict` (of this agent, or one that learned
                since), its fields, or None for that of now.
            reward: From 0 to 1; True and False are 1 and 0.

        Raises:
            InvalidArgumentError: `reward` is none, or the prediction is not one of this agent.
            RunError: It cannot be kept.
        """
        if reward is None:
            raise InvalidArgumentError(
                "reward=None must be a number from 0 (wrong) to 1 (right), or True or False."
            )
        worth = _THUMBS[reward] if isinstance(reward, bool) else reward
        worth = check_number("reward", worth, 0.0, 1.0)
        self.check_reads_lines()
        (item,) = self._inputs_of([text])
        result = prediction if isinstance(prediction, Result) else None
        if result is None or result.played is None:
            (result,) = self.predict([item])
            _check_same(result, prediction)
        if not result.played:
            raise InvalidArgumentError(
                f"text={shown(text)}: nothing was decided on it whose probability is known, so "
                "that there is nothing to rate. Give the right answer with `observe`."
            )
        rows = self._rows(text, item)
        if len(rows) != len(result.played):
            raise InvalidArgumentError(
                f"prediction={shown(prediction)} is not one of text={shown(text)}."
            )
        samples = samples_of(rows, self.family, gold=False)
        if self.policy not in self._inventories:
            self._inventories[self.policy] = learning.inventory_of(self._task_of(samples))
        record = Rating(
            tuple(rows),
            float(worth),
            tuple(tuple(one.actions) for one in result.played),
            tuple(tuple(one.chances) for one in result.played),
            result.policy,
            self._inventories[self.policy],
        )
        store.append(self.feedback_file, [record], self.family)

    def count_feedback(self) -> FeedbackCount:
        """How many corrections and ratings are kept.

        Raises:
            RunError: The file cannot be read.
        """
        records = store.read(self.feedback_file, self.family)
        ratings = sum(isinstance(record, Rating) for record in records)
        return FeedbackCount(len(records) - ratings, ratings)

    def corrections(self) -> list[dict[str, Any]]:
        """The rows of all corrections, with their answers, as files of the family have them."""
        found = store.read(self.feedback_file, self.family)
        return [row for one in found if isinstance(one, Correction) for row in one.rows]

    def learn(
        self,
        run_dir: str | Path | None = None,
        *,
        evaluate: bool = True,
        **options: Any,
    ) -> LearnReport:
        """Learn from all feedback that is kept, into a new run folder; then predict with that.

        The old folder stays as it is, and `revert` goes back to it. The new one has a copy of the
        feedback, and gets the feedback from now on.

        Args:
            run_dir: The new folder; None: the next free ``RUN-learned_<k>`` beside the run.
            evaluate: Score the run's dev split before and after, where it is at hand.
            **options: Fields of `LearnOptions`.

        Raises:
            InvalidArgumentError: There is no feedback, an option is unknown, or the algorithm
                cannot learn from feedback.
            RunError: A folder or file cannot be read or written.
        """
        how = _options(options)
        with self._lock:
            data = store.content(self.feedback_file)
            records = store.parse(data, self.feedback_file, self.family)
            self.check_reads_lines()
            material = learning.gather(self.trained, self._inputs, records, how)
            first = material.corrections or material.ratings
            assert first is not None
            learning.check_learns(self.trained, first.task)
            new = _again(self.trained)
            before = learning.dev_score(self.trained, self._dev_arguments()) if evaluate else None
            updates, seconds = learning.learn(self.trained, new, material, how)
            after = None if before is None else learning.dev_score(new, self._dev_arguments())
            shares = [_fitted(one, material) for one in (self.trained, new)]
            n_replayed = 0 if material.replay is None else len(material.replay.samples.unique())
            n_ratings = (
                0
                if material.ratings is None
                else len(material.texts[material.ratings.samples.unique()].unique())
            )
            facts = {
                "corrections": material.n_corrections,
                "ratings": n_ratings,
                "left_out": len(material.left_out),
                "replayed": n_replayed,
                "updates": updates,
                "seconds": round(seconds, 3),
                "metric": None if before is None else before[0],
                "before": None if before is None else before[1],
                "after": None if after is None else after[1],
                "options": learning.as_options(how),
            }
            with new.reading(first.task, cache=False) as model:
                parent = self.trained.run
                run = write_stage(
                    self.trained, model, data, facts, run_dir=run_dir, trust=self._trust
                )
            self._load(run, "best")
        kept = {key: value for key, value in facts.items() if key not in ("left_out", "options")}
        return LearnReport(
            run=run,
            parent=parent,
            left_out=material.left_out,
            corrected_before=shares[0],
            corrected_after=shares[1],
            **kept,  # type: ignore[arg-type]
        )

    def revert(self) -> Path:
        """Predict with the run that this one was learned from again; gives its folder.

        Raises:
            RunError: This run was not learned from another, or that one is gone or was changed.
        """
        with self._lock:
            learned = read_learned(self.trained.run)
            parent = parent_of(self.trained.run)
            assert learned is not None
            self._load(parent, checkpoint_of(parent, learned, self._trust))
        return parent

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
        """Propose which texts to label next, the first one first; see `prediction.feedback.select`.

        Args:
            given: Texts or samples, as for `predict`; gold is not looked at. Blank texts are left
                out, and of equal ones all but the first.
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
            RunError: A run of the ensemble cannot be loaded.
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
            keys = [_key_of(samples) for samples in episodes]
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
            row = input_row(text if isinstance(text, str | Mapping) else item, self.family)
            own = {"id": name, "text": None if raw is None else str(raw), "strategy": strategy}
            found.append(
                Selected(rank=rank, index=place, score=float(scores[place]), row=row, **own)
            )
        return found

    def _scores(
        self,
        episodes: list[list[Sample]],
        strategy: str,
        over: str,
        ensemble: Sequence[str | Path],
        *,
        progress: bool,
    ) -> Any:
        """(N,) scores of the texts, from those of their episodes."""
        samples = [sample for each in episodes for sample in each]
        owner = np.repeat(np.arange(len(episodes)), [len(each) for each in episodes])
        found = np.zeros(len(episodes))
        if not samples:
            return found
        task = self._task_of(samples)
        learning.check_learns(self.trained, task)
        members = self._members(ensemble) if strategy == "disagreement" else ()
        scores, _ = choosing.scores_of(
            self.trained, task, strategy, over, members=members, progress=progress
        )
        if over == "max":
            np.maximum.at(found, owner, scores)
            return found
        if over == "sum":
            return np.bincount(owner, weights=scores, minlength=len(episodes))
        sizes = task.lengths.astype(np.float64)  # sentences count as they are long
        total = np.bincount(owner, weights=scores * sizes, minlength=len(episodes))
        whole = np.bincount(owner, weights=sizes, minlength=len(episodes))
        return total / np.maximum(whole, 1.0)

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

    def _rows(self, text: Any, item: Input | Sample) -> list[dict[str, Any]]:
        """The episodes of a text as rows without answers."""
        if self.tags:
            if isinstance(item, Sample):
                return [{"words": list(item.words)}]
            return sentence_rows(item)
        if isinstance(text, str | Mapping):
            return [input_row(text, self.family)]
        if isinstance(item, Input) and isinstance(text, list | tuple):
            return [input_row(Sample(tuple(text)), self.family)]
        return [input_row(item, self.family)]

    def _answered(self, text: Any, correct: Any) -> list[dict[str, Any]]:
        """The episodes of a text as rows with their answers."""
        self.check_reads_lines()
        (item,) = self._inputs_of([text])
        if not item.words:
            raise InvalidArgumentError(
                f"text={shown(text)} has no words: there is no answer to it."
            )
        if self.tags:
            if isinstance(item, Sample):
                spans, start = [], 0
                for word in item.words:
                    spans.append((word, start, start + len(word)))
                    start += len(word) + 1
                item = Input(" ".join(item.words), (tuple(spans),))
            return tagged_rows(item, correct, bio=self.bio)
        (row,) = self._rows(text, item)
        return [answered_row(row, correct, self.family)]

    def _check_labels(self, samples: Sequence[Sample]) -> None:
        for sample in samples:
            label = unknown_label(sample, self.family, self._inputs.labels)
            if label is not None:
                raise InvalidArgumentError(
                    f"correct: the label {shown(label)} is none of the agent's "
                    f"({listed(self._inputs.labels)}). Where it is meant, keep it with "
                    "new_labels=True (--new-labels), for a training that has it."
                )

    def _task_of(self, samples: list[Sample]) -> Task:
        return self.trained.task("test", **self._inputs.arguments(samples)).settled()

    def _dev_arguments(self) -> Mapping[str, Any]:
        return self._inputs.env_kwargs


def _fitted(trained: TrainedModel, material: learning.Material) -> float | None:
    found = material.corrections
    return None if found is None else learning.fitted(trained, found)


def _options(given: Mapping[str, Any]) -> LearnOptions:
    check_options("learn", list(given), [*LearnOptions.__dataclass_fields__])
    return LearnOptions(**given)


def _again(trained: TrainedModel) -> TrainedModel:
    """The same policy, loaded anew."""
    return TrainedModel(trained.run, trained.folder, trained.settings, trained.device)


def _check_same(result: Result, prediction: Result | Mapping[str, Any] | None) -> None:
    """Refuse a prediction that is given by its fields and is not that of now."""
    if prediction is None:
        return
    given = prediction.to_dict() if isinstance(prediction, Result) else prediction
    if not isinstance(given, Mapping):
        raise InvalidArgumentError(
            f"prediction={shown(prediction)} must be a result of `predict`, or its fields."
        )
    if _without_chances(given) != _without_chances(result.to_dict()):
        raise InvalidArgumentError(
            f"prediction={shown(dict(given))} is not what the agent decides now: it was learned "
            "from, or the text is another one. Predict again, or give the result object, which "
            "knows its decisions."
        )


def _without_chances(value: Any) -> Any:
    """A record without its confidences, which differ in the last place from batch to batch."""
    if isinstance(value, Mapping):
        unsure = ("confidence", "confidences", "calibrated", "probabilities", "id")
        return {k: _without_chances(v) for k, v in value.items() if k not in unsure}
    if isinstance(value, list | tuple):
        return [_without_chances(one) for one in value]
    return value


def _key_of(samples: Sequence[Sample]) -> Any:
    """Equal for equal texts; None: a blank one."""
    if not samples:
        return None
    return tuple((text_key(sample.words), repr(sorted(sample.extra.items()))) for sample in samples)


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
