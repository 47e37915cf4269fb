"""Decide on new input with a trained agent: raw text, or samples of any task family."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, overload

from nlp_gym.checks import check_int, check_mapping
from nlp_gym.data.readers import READERS, read_text
from nlp_gym.data.readers.shared.decoding import text_name
from nlp_gym.data.readers.shared.options import make_options
from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym.tasks.core.task import Output, Task
from nlp_gym.types import Sample
from nlp_gym_agents.explain.trace import Trace
from nlp_gym_agents.models.trained import TrainedModel, load_trained
from nlp_gym_agents.prediction.explained import Explainer
from nlp_gym_agents.prediction.inputs import (
    Input,
    from_text,
    from_words,
    gather_inputs,
    read_file,
    read_inputs,
    sample_id,
)
from nlp_gym_agents.prediction.records import input_fields, is_bio, report_problems, to_record
from nlp_gym_agents.prediction.task_choice import task_inputs

Given = str | Sequence[str] | Input | Sample


_MOST_ALTERNATIVES = 1000
"""Most tokens that are shown at one place of a written text."""


class Agent:
    """A trained agent that decides on new input; it is loaded once, for many calls.

    Args:
        run: A run folder.
        checkpoint: ``"best"`` or ``"last"``.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``.
        env_kwargs: Arguments of the environment in place of the run's, such as `max_words`. An
            agent of a mixture predicts through one task of it: ``{"tasks": ["POS-EWT-v0"]}``.
        alternatives: Of an agent that writes: tokens to show at each place of a text, with their
            probability (or value); 0: none.
        trust: Modules that the run's settings may have imported; see `load_trained`.

    Attributes:
        family: Which files the agent reads, a name in `nlp_gym.data.FAMILIES`.
        bio: Whether it labels words with BIO tags.

    Raises:
        RunError: The run cannot be loaded.
        InvalidArgumentError: `env_kwargs` has what a prediction cannot change.
    """

    def __init__(
        self,
        run: str | Path,
        *,
        checkpoint: str = "best",
        device: str = "auto",
        env_kwargs: Mapping[str, Any] | None = None,
        alternatives: int = 0,
        trust: Sequence[str] | str = (),
    ) -> None:
        self.alternatives = check_int("alternatives", alternatives, 0, _MOST_ALTERNATIVES)
        self.trained: TrainedModel = load_trained(
            run, checkpoint=checkpoint, device=device, trust=trust
        )
        self._inputs = task_inputs(self.trained, check_mapping("env_kwargs", env_kwargs))
        self._task_class = self._inputs.task
        self.family = self._task_class.family
        self.bio = self.tags and is_bio(self._inputs.labels)
        if alternatives and not self.writes:
            raise InvalidArgumentError(
                f"alternatives={alternatives} is for agents that write texts, and "
                f"{self.trained.env_id} does not: leave it out."
            )

    @property
    def tags(self) -> bool:
        """Whether it labels every word."""
        return self._task_class.labels_words

    @property
    def writes(self) -> bool:
        """Whether it writes a text."""
        return self._task_class.writes

    @property
    def reads_text(self) -> bool:
        """Whether a raw text is all that it needs."""
        return self._task_class.reads_text

    def predict(self, given: Sequence[Given], *, progress: bool = False) -> list[dict[str, Any]]:
        """Decide on texts or samples.

        Where words are labelled, raw text is cut into sentences, which are labelled one by one as
        in training, and these into words. Other tasks read a text as a whole. A blank text gives a
        record with nothing decided.

        Args:
            given: Raw texts, sequences of words, or samples (their gold is not looked at).
            progress: Show bars on stderr.

        Returns:
            One record each: where words are labelled as in `nlp_gym_agents.prediction.records`,
            else the task's `record` and, for a raw text, ``"text"``.

        Raises:
            InvalidArgumentError: A text that is not Unicode (see `prediction.inputs`), or a
                text where the task needs more.
            DataError: Not one of the queries can be answered, see `report_problems`.
        """
        if isinstance(given, str) or not isinstance(given, Sequence):
            raise InvalidArgumentError(
                f"given={shown(given)} must be a list of texts or samples; for one text: ['...']."
            )
        inputs = [_as_sample_or_input(item) for item in given]
        if not self.reads_text and not all(isinstance(item, Sample) for item in inputs):
            raise self._needs_more()
        if self.tags:
            return self._tag([_as_words(item) for item in inputs], progress=progress)
        samples = [_as_sample(item) for item in inputs]
        found = iter(self._records([s for s in samples if s.words], progress=progress))
        records = [next(found) if sample.words else {} for sample in samples]
        return [{**input_fields(i), **record} for i, record in zip(inputs, records, strict=True)]

    @overload
    def explain(
        self,
        given: str | Input | Sample,
        *,
        gold: bool = False,
        top: int = 10,
        relevance: str | None = None,
    ) -> Trace: ...
    @overload
    def explain(
        self,
        given: Sequence[Given],
        *,
        gold: bool = False,
        top: int = 10,
        relevance: str | None = None,
    ) -> list[Trace]: ...
    def explain(
        self,
        given: str | Input | Sample | Sequence[Given],
        *,
        gold: bool = False,
        top: int = 10,
        relevance: str | None = None,
    ) -> Trace | list[Trace]:
        """Why the agent decides as it does: every decision, what was seen and could be done.

        The decisions are those of `predict`. A text whose words are labelled makes one trace, in
        which its sentences, which are labelled one by one, follow each other.

        Args:
            given: A raw text or a sample for one trace; or a list of what `predict` takes, for a
                list of traces.
            gold: Record what is right, the rewards and the score, of samples that are annotated.
            top: Most options of a decision that are recorded for their scores, where there are more
                than 64 actions; from 1 to 1,000.
            relevance: How to say which words speak for each choice: ``"occlusion"``,
                ``"gradient"``, ``"integrated gradients"``, or ``"auto"``, the last where the run's
                encoder learned and else the first; None: do not. See `explain.relevance`.

        Raises:
            InvalidArgumentError: As for `predict`, or gradients of an encoder that is frozen.
            UnknownNameError: There is no such `relevance`.
            DataError: Not one of the queries can be answered.
        """
        alone = isinstance(given, str | Input | Sample)
        if not alone and not isinstance(given, Sequence):
            raise InvalidArgumentError(
                f"given={shown(given)} must be a text, a sample or a list of them."
            )
        several: Any = [given] if alone else given
        inputs = [_as_sample_or_input(item) for item in several]
        if not self.reads_text and not all(isinstance(item, Sample) for item in inputs):
            raise self._needs_more()
        bio = self.bio if self.tags else None
        explainer = Explainer(self.trained, self._inputs, bio, gold, top, relevance)
        traces = explainer.explain(inputs)
        return traces[0] if alone else traces

    def gather(
        self,
        text: str | None,
        file: Path | None,
        *,
        encoding: str | None = None,
        text_column: str | int | None = None,
    ) -> list[Given]:
        """The input of a command line: a text, ``-`` for texts on stdin, or a file.

        Args:
            text: The text.
            file: The file; see `nlp_gym_agents.prediction.inputs.read_file`.
            encoding: Encoding of the file or of stdin; None: UTF-8.
            text_column: Column or key of the text in the file.

        Raises:
            InvalidArgumentError: None of them or two, or a text where the task needs more.
            DataError: The file cannot be read.
        """
        if self._task_class.is_mixture:
            raise self._needs_more()
        if file is None or text is not None:
            if not self.reads_text and text is not None and file is None:
                raise self._needs_more()
            return list(gather_inputs(text, file, encoding=encoding))
        how: dict[str, Any] = {"encoding": encoding, "text_column": text_column}
        if self.tags:
            return list(read_inputs(file, **how))
        form = "pairs" if self._pairs(file, encoding) else None
        pair = self._inputs.env_kwargs.get("pair", self.trained.settings["env_kwargs"].get("pair"))
        return list(read_file(file, form, family=self.family, pair=pair, **how))

    def _pairs(self, file: Path, encoding: str | None) -> bool:
        """Whether a file has translations beside its texts, which must not be read as text."""
        text_file = text_name(file).lower().endswith(".txt")
        if not self.writes or not text_file or not os.path.isfile(file):
            return False
        lines = read_text(file, make_options(encoding=encoding).encoding).lines
        return any(lines) and all("\t" in line for line in lines if line.strip())

    def _tag(self, inputs: list[Input], *, progress: bool) -> list[dict[str, Any]]:
        sentences = [sentence for item in inputs for sentence in item.sentences]
        samples = [Sample(tuple(word for word, _, _ in sentence)) for sentence in sentences]
        found = self._outputs(self._task(samples), progress=progress) if samples else []
        outputs, records = iter(found), []
        for item in inputs:
            labels = [label for _ in item.sentences for label in next(outputs)]
            records.append(to_record(item, labels, bio=self.bio))
        return records

    def _records(self, samples: list[Sample], *, progress: bool) -> list[dict[str, Any]]:
        if not samples:
            return []
        task = self._task(samples)
        if self.alternatives:
            return self._with_alternatives(task, progress=progress)
        outputs = self._outputs(task, progress=progress)
        records = [task.record(row, output) for row, output in enumerate(outputs)]
        report_problems(samples, records)
        return records

    def _with_alternatives(self, task: Task, *, progress: bool) -> list[dict[str, Any]]:
        texts, places = self.trained.alternatives(task, self.alternatives)
        outputs = texts  # what is written greedily
        if task.beam > 1:
            outputs = self._outputs(task, progress=progress)
        return [
            {**task.record(row, output), "greedy": text, "tokens": place}
            for row, (output, text, place) in enumerate(zip(outputs, texts, places, strict=True))
        ]

    def _outputs(self, task: Task, *, progress: bool) -> list[Output]:
        return self.trained.outputs(task, progress=progress, cache=False)

    def _task(self, samples: list[Sample]) -> Task:
        data = [sample.unannotated() for sample in samples]
        return self.trained.task("test", **self._inputs.arguments(data))

    def _needs_more(self) -> InvalidArgumentError:
        if self._task_class.is_mixture:
            return self._inputs.needs_one_task()
        form = READERS[self.family]["jsonl"].description
        return InvalidArgumentError(
            f"{self.trained.env_id} needs more than a text. Give --input FILE with samples of "
            f"family {shown(self.family)}, the answers left out: JSON Lines with {form}; or "
            f"another format of it ({', '.join(READERS[self.family])})."
        )


def load_agent(run: str | Path, **options: Any) -> Agent:
    """The trained agent of a run folder, for new input; options as for `Agent`."""
    return Agent(run, **options)


def _as_sample_or_input(item: Given) -> Input | Sample:
    if not isinstance(item, Sample):
        return _as_input(item)
    words = item.words
    if not isinstance(words, list | tuple) or not all(isinstance(word, str) for word in words):
        raise InvalidArgumentError(f"words={shown(words)} of a sample must be a tuple of strings.")
    return item


def _as_input(text: str | Sequence[str] | Input) -> Input:
    if isinstance(text, Input):
        return text
    if isinstance(text, str):
        return from_text(text)
    if not isinstance(text, list | tuple) or not all(isinstance(w, str) and w for w in text):
        raise InvalidArgumentError(
            f"text={shown(text)} must be a string, a list of words or a Sample."
        )
    return from_words(text)


def _as_words(item: Input | Sample) -> Input:
    if not isinstance(item, Sample):
        return item
    return replace(from_words(item.words), id=sample_id(item))


def _as_sample(item: Input | Sample) -> Sample:
    return item if isinstance(item, Sample) else Sample(tuple(word for word, _, _ in item.words))
