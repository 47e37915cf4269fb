"""What an agent does with what people say of its predictions; `Agent` inherits it."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nlp_gym.checks import check_number, check_options
from nlp_gym.errors import InvalidArgumentError, RunError, listed, shown
from nlp_gym.types import Sample
from nlp_gym_agents.models.trained import TrainedModel
from nlp_gym_agents.prediction.agent_part import AgentPart
from nlp_gym_agents.prediction.feedback import learn as learning
from nlp_gym_agents.prediction.feedback import store
from nlp_gym_agents.prediction.feedback.answers import answered_row, tagged_rows
from nlp_gym_agents.prediction.feedback.corrections import last_corrections, write_corrections
from nlp_gym_agents.prediction.feedback.material import (
    LearnOptions,
    check_learns,
    gather,
    inventory_of,
)
from nlp_gym_agents.prediction.feedback.rated import check_of, check_same
from nlp_gym_agents.prediction.feedback.report import FeedbackCount, LearnReport
from nlp_gym_agents.prediction.feedback.rows import (
    annotated_row,
    new_labels,
    row_of,
    samples_of,
    sentence_rows,
)
from nlp_gym_agents.prediction.feedback.stages import (
    checkpoint_of,
    parent_of,
    read_learned,
    write_stage,
)
from nlp_gym_agents.prediction.feedback.store import Correction, Rating
from nlp_gym_agents.prediction.inputs import Input
from nlp_gym_agents.prediction.results import Result

_THUMBS = {True: 1.0, False: 0.0}


class Learner(AgentPart):
    """The part of `Agent` that learns from use.

    Attributes:
        feedback_file: Where feedback is kept; by default ``feedback.jsonl`` of the run folder.
    """

    policy: str
    _inventories: dict[str, str]

    def predict(self, given: Iterable[Any], *, progress: bool = False) -> list[Result]:
        """Decide on texts or samples."""
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
        record = self._correction(text, correct, new_labels=new_labels)
        store.append(self.feedback_file, [record], self.family)

    def observe_rows(self, rows: Sequence[Mapping[str, Any]], *, new_labels: bool = False) -> int:
        """Keep the right answers of rows that `select` proposed and a person added answers to.

        Args:
            rows: As for `predict`, each with its answer.
            new_labels: As for `observe`.

        Returns:
            How many are kept: all, or none where this fails.

        Raises:
            InvalidArgumentError: A row has no answer, or one that `observe` refuses.
            RunError: They cannot be kept.
        """
        records = list[Correction]()
        for number, row in enumerate(rows, 1):
            try:
                records.append(self._correction(row, row, new_labels=new_labels))
            except InvalidArgumentError as error:
                raise InvalidArgumentError(f"row {number}: {error}") from error
        if records:
            store.append(self.feedback_file, records, self.family)
        return len(records)

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
        item = self._item_of(text)
        result = prediction if isinstance(prediction, Result) else None
        if result is None or result.played is None:
            (result,) = self.predict([item])
            check_same(result, prediction)
        else:
            check_of(result, text, item)
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
            self._inventories[self.policy] = inventory_of(self._task_of(samples))
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
        """The rows of the last correction of each text, with answers, as files of the family have.

        Raises:
            RunError: The file cannot be read.
        """
        found = last_corrections(store.read(self.feedback_file, self.family), self.family)
        return [row for one in found for row in one.rows]

    def export_corrections(self, path: str | Path) -> list[Path]:
        """Write the corrections as data to train with, new labels among them.

        Args:
            path: A file; or, where its name has no ending, a folder that gets a file for each of
                train, dev and test. Then each new label is in train.

        Returns:
            The files.

        Raises:
            InvalidArgumentError: There are none, or too few to be parted.
            RunError: The file of feedback cannot be read.
            DataError: A file cannot be written.
        """
        self.check_reads_lines()
        found = last_corrections(store.read(self.feedback_file, self.family), self.family)
        return write_corrections(path, found, self.family, self._inputs.labels)

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
            material = gather(self.trained, self._inputs, records, how, trust=self._trust)
            first = material.corrections or material.ratings
            assert first is not None
            check_learns(self.trained, first.task)
            new = _again(self.trained)
            own = self._inputs.env_kwargs
            before = learning.dev_score(self.trained, own) if evaluate else None
            updates, seconds = learning.learn(self.trained, new, material, how)
            after = None if before is None else learning.dev_score(new, own)
            shares: list[float | None] = [None, None]
            if material.corrections is not None:
                found = material.corrections
                shares = [learning.fitted(one, found) for one in (self.trained, new)]
            facts = {
                "corrections": material.n_corrections,
                "ratings": material.n_ratings,
                "left_out": len(material.left_out),
                "replayed": material.n_replayed,
                "updates": updates,
                "seconds": round(seconds, 3),
                "metric": None if before is None else before[0],
                "before": None if before is None else before[1],
                "after": None if after is None else after[1],
                "options": asdict(how),
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

        What people have said since is true of it, too, and is added to its feedback.

        Raises:
            RunError: This run was not learned from another, or that one is gone or was changed.
        """
        with self._lock:
            learned = read_learned(self.trained.run)
            parent = parent_of(self.trained.run)
            assert learned is not None
            run, own = self.trained.run, self.feedback_file == self.trained.run / store.FEEDBACK
            said = store.content(self.feedback_file) if own else b""
            self._load(parent, checkpoint_of(parent, learned, self._trust))
            try:
                store.take_over(self.feedback_file, said, self.family)
            except RunError as error:
                warnings.warn(
                    f"what was said since {run} was learned stays there: {error}",
                    UserWarning,
                    stacklevel=2,
                )
        return parent

    def _rows(self, text: Any, item: Input | Sample) -> list[dict[str, Any]]:
        """The episodes of a text as rows without answers."""
        if self.tags:
            if isinstance(item, Sample):
                return [{"words": list(item.words)}]
            return sentence_rows(item)
        if isinstance(item, Input) and isinstance(text, list | tuple):
            item = Sample(tuple(text))
        return [row_of(text, item, self.family)]

    def _item_of(self, text: Any) -> Input | Sample:
        (item,) = self._inputs_of([text])
        if not item.words:
            raise InvalidArgumentError(
                f"text={shown(text)} has no words: nothing is decided on it."
            )
        return item

    def _answered(self, text: Any, correct: Any) -> list[dict[str, Any]]:
        """The episodes of a text as rows with their answers."""
        self.check_reads_lines()
        item = self._item_of(text)
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

    def _correction(self, text: Any, correct: Any, *, new_labels: bool) -> Correction:
        rows = self._answered(text, correct)
        samples = samples_of(rows, self.family, gold=True)
        if not new_labels:
            self._check_labels(samples)
        return Correction(tuple(rows))

    def _check_labels(self, samples: Sequence[Sample]) -> None:
        for sample in samples:
            new = new_labels(sample, self.family, self._inputs.labels)
            if new:
                raise InvalidArgumentError(
                    f"correct: the label {shown(new[0])} is none of the agent's "
                    f"({listed(self._inputs.labels)}). Where it is meant, keep it with "
                    "new_labels=True (--new-labels), for a training that has it."
                )


def _options(given: Mapping[str, Any]) -> LearnOptions:
    check_options("learn", list(given), [*LearnOptions.__dataclass_fields__])
    return LearnOptions(**given)


def _again(trained: TrainedModel) -> TrainedModel:
    """The same policy, loaded anew."""
    return TrainedModel(trained.run, trained.folder, trained.settings, trained.device)
