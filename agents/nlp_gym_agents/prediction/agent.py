"""Decide on new input with a trained agent: raw text, or samples of any task family."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, overload

import numpy as np

from nlp_gym.checks import check_int, check_mapping
from nlp_gym.data.readers import READERS, read_text
from nlp_gym.data.readers.shared.decoding import text_name
from nlp_gym.data.readers.shared.options import make_options
from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym.metrics.base import Score
from nlp_gym.tasks.core.task import Output, Task
from nlp_gym.tasks.multi_task.task import MultiTask
from nlp_gym.types import Sample
from nlp_gym_agents.explain.trace import Trace
from nlp_gym_agents.models.chances import Chances
from nlp_gym_agents.models.trained import load_trained
from nlp_gym_agents.prediction.explained import Explainer
from nlp_gym_agents.prediction.feedback.learner import Learner
from nlp_gym_agents.prediction.feedback.stages import fingerprint
from nlp_gym_agents.prediction.feedback.store import FEEDBACK
from nlp_gym_agents.prediction.fields import row_of_json, usage
from nlp_gym_agents.prediction.inputs import (
    PLAIN_TEXT,
    Input,
    from_mappings,
    from_text,
    from_words,
    gather_inputs,
    read_file,
    read_inputs,
    sample_id,
)
from nlp_gym_agents.prediction.kinds import (
    OTHER,
    TAGGING,
    Decided,
    Kind,
    confidence_of,
    entities,
    kind_of,
    tagged,
)
from nlp_gym_agents.prediction.records import input_fields, is_bio, report_problems
from nlp_gym_agents.prediction.results import Played, Result, TaggedText
from nlp_gym_agents.prediction.selection.chooser import Chooser
from nlp_gym_agents.prediction.task_choice import task_inputs
from nlp_gym_agents.runs.calibration import Calibration, read_calibration

Given = str | Sequence[str] | Mapping[str, Any] | Input | Sample


_MOST_ALTERNATIVES = 1000
"""Most tokens that are shown at one place of a written text."""


class Agent(Learner, Chooser):
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
        calibration: Of its confidences; None: they are not calibrated. Only ``"best"`` is.
        feedback_file: Where `observe` and `feedback` keep what they are told: ``feedback.jsonl`` of
            the run folder, unless it is set to another file.
        policy: Which weights decide: the beginning of their sha256.

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
        self._device, self._trust = device, trust
        self._env_kwargs = check_mapping("env_kwargs", env_kwargs)
        self._lock = threading.RLock()  # the model reads one task at a time
        self._inventories: dict[str, str] = {}
        self._load(run, checkpoint)
        if alternatives and not self.writes:
            raise InvalidArgumentError(
                f"alternatives={alternatives} is for agents that write texts, and "
                f"{self.trained.env_id} does not: leave it out."
            )

    def _load(self, run: str | Path, checkpoint: str) -> None:
        """Decide with the policy of a run folder from now on."""
        trained = load_trained(run, checkpoint=checkpoint, device=self._device, trust=self._trust)
        self._inputs = task_inputs(trained, self._env_kwargs)
        self.trained = trained
        self._task_class = self._inputs.task
        self.family = self._task_class.family
        self.bio = self.tags and is_bio(self._inputs.labels)
        self.calibration: Calibration | None = None
        if checkpoint == "best":
            self.calibration = read_calibration(trained.run, trained.settings["timesteps"])
        self.feedback_file = trained.run / FEEDBACK
        self.policy = fingerprint(trained)

    @property
    def temperature(self) -> float:
        """What logits are divided by in confidences; 1 where it was not fitted."""
        return 1.0 if self.calibration is None else self.calibration["temperature"]

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that it decides among, in order of its actions; none: it chooses otherwise."""
        return tuple(self._inputs.labels)

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

    def predict(self, given: Iterable[Given], *, progress: bool = False) -> list[Result]:
        """Decide on texts or samples; safe to call from several threads, which take turns.

        Where words are labelled, raw text is cut into sentences, which are labelled one by one as
        in training, and these into words. Other tasks read a text as a whole. A blank text gives a
        result with nothing decided.

        Args:
            given: Raw texts, sequences of words, mappings with the keys of the family's JSON Lines
                (``{"question": ..., "context": ...}``), or samples; gold is not looked at.
            progress: Show bars on stderr.

        Returns:
            One result each; its class is that of the task's kind, see `prediction.results`.

        Raises:
            InvalidArgumentError: A text that is not Unicode, one where the task needs more, or a
                mapping that the family's reader cannot read.
            DataError: Not one of the queries can be answered, see `report_problems`.
        """
        if isinstance(given, str | Mapping) or not isinstance(given, Iterable):
            raise InvalidArgumentError(
                f"given={shown(given)} must be a list of texts or samples, or another iterable of "
                "them; for one text: ['...']."
            )
        inputs = self._inputs_of(list(given))
        if self.tags:
            return self._tag([_as_words(item) for item in inputs], progress=progress)
        return self._decide(inputs, progress=progress)

    def stream(self, given: Iterable[Given], *, batch_size: int = 256) -> Iterator[Result]:
        """Decide on texts or samples as they come; a batch is read before its results are given.

        Args:
            given: As for `predict`; it may be endless.
            batch_size: Texts that are decided on together.

        Yields:
            One result for each, in order.

        Raises:
            InvalidArgumentError: `batch_size` is below 1, or as for `predict`.
            DataError: As for `predict`, batch by batch.
        """
        size, left = check_int("batch_size", batch_size, 1, 2**31 - 1), iter(given)
        while batch := list(itertools.islice(left, size)):
            yield from self.predict(batch)

    def score(self, split: str = "test", *, bootstrap: int = 1000) -> Score:
        """Score the run's own corpus, as `nlp-gym evaluate` does, which has more options.

        Args:
            split: ``"train"``, ``"dev"`` or ``"test"``; each sample is played once.
            bootstrap: Resamples behind the 95% interval; 0 for none.

        Raises:
            DataError: The corpus cannot be read, or has no gold.
        """
        with self._lock:
            task = self.trained.task(split, **self._inputs.env_kwargs)
            return task.score(self.trained.outputs(task), bootstrap=bootstrap)

    @overload
    def explain(  # type: ignore[overload-overlap]  # a text is a sequence, too
        self,
        given: str | Input | Sample | Mapping[str, Any],
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
        given: str | Input | Sample | Mapping[str, Any] | Sequence[Given],
        *,
        gold: bool = False,
        top: int = 10,
        relevance: str | None = None,
    ) -> Trace | list[Trace]:
        """Why the agent decides as it does: every decision, what was seen and could be done.

        The decisions are those of `predict`, and probabilities are at the same temperature. A text
        whose words are labelled makes one trace, in which its sentences, which are labelled one by
        one, follow each other.

        Args:
            given: A text or a sample, for one trace; or a list of what `predict` takes, for a list
                of traces.
            gold: Record what is right, the rewards and the score, of samples that are annotated.
            top: Most options of a decision that are recorded for their scores, where there are more
                than 64 actions; from 1 to 1,000.
            relevance: How to find which words speak for each choice: ``"occlusion"``,
                ``"gradient"``, ``"integrated gradients"``, or ``"auto"``, the last where the run's
                encoder learned and else the first; None: do not. See `nlp_gym_agents.explain`.

        Raises:
            InvalidArgumentError: As for `predict`, or gradients of an encoder that is frozen.
            UnknownNameError: There is no such `relevance`.
            DataError: Not one of the queries can be answered.
        """
        alone = isinstance(given, str | Input | Sample | Mapping)
        several: Any = [given] if alone else given
        if not isinstance(several, Sequence):
            raise InvalidArgumentError(
                f"given={shown(given)} must be a text, a sample or a list of them."
            )
        explainer = Explainer(self.trained, self._inputs, self.temperature, gold, top, relevance)
        explainer.check()
        with self._lock:
            inputs = self._inputs_of(list(several))
            traces = explainer.explain(inputs)
            results = self.predict(inputs)
        traces = [
            replace(trace, output=result.to_dict())
            for trace, result in zip(traces, results, strict=True)
        ]
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
        self.check_reads_lines()
        if file is None or text is not None:
            if self.reads_text or text is None or file is not None:
                return list(gather_inputs(text, file, encoding=encoding))
            if text != "-":
                return [self.from_line(text)]
            lines = gather_inputs(text, None, encoding=encoding)
            return [self.from_line(line.text) for line in lines if line.words]
        how: dict[str, Any] = {"encoding": encoding, "text_column": text_column}
        if self.tags:
            return list(read_inputs(file, **how))
        form = "pairs" if self._pairs(file, encoding) else None
        pair = self._inputs.env_kwargs.get("pair", self.trained.settings["env_kwargs"].get("pair"))
        return list(read_file(file, form, family=self.family, pair=pair, **how))

    def check_reads_lines(self) -> None:
        """Refuse a mixture of which no task was chosen.

        Raises:
            InvalidArgumentError: It is one.
        """
        if self._task_class.is_mixture:
            raise self._needs_more()

    @property
    def line_form(self) -> str:
        """What `from_line` takes, for people."""
        if self.reads_text or self.family in PLAIN_TEXT:
            return "a text"
        return (
            f"a sample as JSON, the answers left out ({READERS[self.family]['jsonl'].description})"
        )

    def from_line(self, line: str) -> Given:
        """What a line of text stands for: itself, or a sample as JSON where more is needed.

        Raises:
            InvalidArgumentError: More is needed, and it is no JSON object.
        """
        if self.reads_text:
            return line
        row = row_of_json(line)
        if row is None and self.family in PLAIN_TEXT:
            return line
        if row is None:
            raise self._needs_more()
        return row

    def _pairs(self, file: Path, encoding: str | None) -> bool:
        """Whether a file has translations beside its texts, which must not be read as text."""
        text_file = text_name(file).lower().endswith(".txt")
        if not self.writes or not text_file or not os.path.isfile(file):
            return False
        lines = read_text(file, make_options(encoding=encoding).encoding).lines
        return any(lines) and all("\t" in line for line in lines if line.strip())

    def _inputs_of(self, given: list[Given]) -> list[Input | Sample]:
        """The texts, and samples of what is more than a text."""
        key = PLAIN_TEXT.get(self.family)
        if key is not None:
            given = [_plain_text(item, key) if isinstance(item, str) else item for item in given]
        rows = [item for item in given if isinstance(item, Mapping)]
        if rows and self._task_class.is_mixture:
            raise self._needs_more()
        samples = iter(from_mappings(rows, self.family))
        inputs = [
            next(samples) if isinstance(item, Mapping) else _as_sample_or_input(item)
            for item in given
        ]
        if not self.reads_text and not all(isinstance(item, Sample) for item in inputs):
            raise self._needs_more()
        return inputs

    def _tag(self, inputs: list[Input], *, progress: bool) -> list[Result]:
        sentences = [sentence for item in inputs for sentence in item.sentences]
        samples = [Sample(tuple(word for word, _, _ in sentence)) for sentence in sentences]
        found = self._played(samples, TAGGING, progress=progress)[1:] if samples else ((), ())
        outputs, chances = map(iter, found)
        results: list[Result] = []
        for item in inputs:
            labels, held = list[str](), list[float | None]()
            noted = list[Chances | None]()
            for sentence in item.sentences:
                labels += next(outputs)
                known = next(chances)
                noted.append(known)
                held += [None] * len(sentence) if known is None else known.chosen[0].tolist()
            fields = tagged(item, labels, held)
            if self.bio:
                fields["entities"] = entities(item, fields["tokens"])
            fields |= self._behind(noted)
            results.append(TaggedText(**self._common(item), **fields))
        return results

    def _decide(self, inputs: list[Input | Sample], *, progress: bool) -> list[Result]:
        samples = [sample for sample in map(_as_sample, inputs) if sample.words]
        kind, found = OTHER, iter(list[Decided]())
        if samples:
            task, outputs, chances = self._played(samples, None, progress=progress)
            part, places = task, range(len(samples))
            if isinstance(task, MultiTask):
                part, places = task.tasks[0], task.local.tolist()
            kind = kind_of(part)
            records = [task.record(row, output) for row, output in enumerate(outputs)]
            for record, more in zip(records, self._alternatives(task), strict=False):
                record |= more
            report_problems(samples, records)
            columns = zip(places, outputs, records, chances, strict=True)
            found = iter([Decided(part, *each) for each in columns])
        else:
            kind = kind_of(self._task_class)
        return [
            self._result(item, kind, next(found))
            if _as_sample(item).words
            else kind.result(**self._common(item))
            for item in inputs
        ]

    def _result(self, item: Input | Sample, kind: Kind, decided: Decided) -> Result:
        common = {**self._common(item), "record": decided.record}
        common["confidence"] = confidence_of(decided.chances, kind.parts)
        common |= self._behind([decided.chances])
        if "id" in decided.record:  # a question's own
            common["id"] = decided.record["id"]
        return kind.result(**common, **kind.fields(decided))

    def _behind(self, noted: Sequence[Chances | None]) -> dict[str, Any]:
        """Fields of `Result` that say which decisions are behind it; none: it is not known."""
        played = [
            Played(tuple(one.actions.tolist()), tuple(one.logged.tolist()))
            for one in noted
            if one is not None and one.logged is not None
        ]
        if len(played) < len(noted):
            return {}
        return {"played": tuple(played), "policy": self.policy}

    def _common(self, item: Input | Sample) -> dict[str, Any]:
        """Fields of `Result` that repeat the input, and whether the run is calibrated."""
        return {**input_fields(item), "calibrated": self.calibration is not None}

    def _played(
        self, samples: list[Sample], kind: Kind | None, *, progress: bool
    ) -> tuple[Task, list[Output], list[Chances | None]]:
        """The task that reads samples, what it decided and how likely that was held."""
        data = [sample.unannotated() for sample in samples]
        with self._lock:
            task = self.trained.task("test", **self._inputs.arguments(data)).settled()
            if kind is None:
                kind = kind_of(task.tasks[0] if isinstance(task, MultiTask) else task)
            part = task.tasks[0] if isinstance(task, MultiTask) else task
            outputs, chances = self.trained.decided(
                task,
                progress=progress,
                temperatures=np.array([self.temperature]),
                every=kind.every,
                set_aside=kind.set_aside(part),
                logged=True,
            )
        return task, outputs, chances

    def _alternatives(self, task: Task) -> list[dict[str, Any]]:
        """For each sample the fields that alternatives add to its record; none: not asked for."""
        if not self.alternatives:
            return []
        with self._lock:
            texts, places = self.trained.alternatives(task, self.alternatives)
        return [
            {"greedy": text, "tokens": place} for text, place in zip(texts, places, strict=True)
        ]

    def _needs_more(self) -> InvalidArgumentError:
        if self._task_class.is_mixture:
            return self._inputs.needs_one_task()
        form, parts = READERS[self.family]["jsonl"].description, usage(self.family)
        typed = "" if parts is None else f" On the command line: {parts}."
        return InvalidArgumentError(
            f"{self.trained.env_id} needs more than a text. Give --input FILE with samples of "
            f"family {shown(self.family)}, the answers left out: JSON Lines with {form}; or "
            f"another format of it ({', '.join(READERS[self.family])}). One such JSON object may "
            f"stand in place of the text (in Python, a mapping).{typed}"
        )


def load_agent(run: str | Path, **options: Any) -> Agent:
    """The trained agent of a run folder, for new input; options as for `Agent`."""
    return Agent(run, **options)


def _as_sample_or_input(item: str | Sequence[str] | Input | Sample) -> Input | Sample:
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


def _plain_text(text: str, key: str) -> Given:
    """A text as the sample that it is all of; a blank one is a sample without words."""
    return {key: text} if from_text(text).words else Sample((), extra={"text": text})


def _as_words(item: Input | Sample) -> Input:
    if not isinstance(item, Sample):
        return item
    return replace(from_words(item.words), id=sample_id(item))


def _as_sample(item: Input | Sample) -> Sample:
    if isinstance(item, Sample):
        return item
    return Sample(tuple(word for word, _, _ in item.words), extra={"text": item.text})
