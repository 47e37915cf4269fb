"""Scores that need no training: random, majority, oracle, and texts taken from the source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import mean
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from nlp_gym.checks import check_int, check_name
from nlp_gym.data.text.tokenize import split_words
from nlp_gym.errors import InvalidArgumentError, listed, shown
from nlp_gym.metrics.base import Score
from nlp_gym.progress import progress_label
from nlp_gym.tasks.core.rollout import Act, chosen_rows, oracle_decisions, rollout
from nlp_gym.tasks.core.task import Output, Task
from nlp_gym.tasks.generation.samples import source_text
from nlp_gym.types import BoolArray, Observation, Sample
from nlp_gym_agents.models.acting import LogProbs
from nlp_gym_agents.models.beam_search import search
from nlp_gym_agents.models.play import is_searched


def lead(train_task: Task, samples: Sequence[Sample]) -> list[str]:
    """The first words of the source, as many as a reference has on average in training."""
    golds = [sample.gold[0] for sample in train_task.corpus.samples]
    length = max(round(mean(len(split_words(text)) for text in golds)), 1)
    return [_beginning(source_text(sample), length) for sample in samples]


def copy(train_task: Task, samples: Sequence[Sample]) -> list[str]:
    """The source as it is."""
    return [source_text(sample) for sample in samples]


WRITTEN_BASELINES: dict[str, Callable[[Task, Sequence[Sample]], list[str]]] = {
    "lead": lead,
    "copy": copy,
}
"""By name: from the training task and samples to their texts."""


def _beginning(text: str, length: int) -> str:
    words = split_words(text)
    return text if len(words) <= length else text[: words[length - 1][2]]


_TIES = 1e-9
"""Below every difference of log-probabilities that are not equal."""

Baseline = Act | Literal["oracle"]


def random_act(train_task: Task, task: Task, seed: int) -> Act:
    """Uniform over the legal actions."""
    rng = np.random.default_rng(seed)

    def act(obs: Observation, mask: BoolArray) -> npt.NDArray[np.int64]:
        return np.where(mask, rng.random(mask.shape), -1.0).argmax(axis=1)

    return act


def majority_act(train_task: Task, task: Task, seed: int) -> Act:
    """The oracle's most frequent action on the training split, among the legal ones."""
    counts = _counts(train_task, task)

    def act(obs: Observation, mask: BoolArray) -> npt.NDArray[np.int64]:
        return np.where(mask, counts, -1).argmax(axis=1)

    return act


def majority_word_act(train_task: Task, task: Task, seed: int) -> Act:
    """The oracle's most frequent action for this word in training, among the legal ones.

    For a word that training lacks, or whose actions are all illegal now, it is the majority action.

    Raises:
        InvalidArgumentError: The task does not decide about one word of a text at a time.
    """
    if not task.labels_words:
        raise InvalidArgumentError(
            "baseline='majority-word' needs a task that labels every word of a text, not "
            f"{type(task).__name__}: use 'majority'."
        )
    words = [word for sample in train_task.corpus.samples for word in sample.words]
    vocabulary = {word: i for i, word in enumerate(dict.fromkeys(words))}
    table = np.zeros((len(vocabulary) + 1, train_task.n_actions))  # the last row: unknown words
    order, actions = oracle_decisions(train_task)  # in the order of the words
    numbers = np.array([vocabulary[word] for word in words])
    np.add.at(table, (numbers, actions[order]), 1)
    # Ties and empty rows are decided by the overall frequency, which adds less than one count.
    overall = table.sum(axis=0)
    table += overall / (overall.sum() + 1.0)
    samples = task.corpus.samples

    def act(obs: Observation, mask: BoolArray) -> npt.NDArray[np.int64]:
        pairs = zip(obs["row"].flat, obs["position"].flat, strict=True)
        index = [vocabulary.get(samples[r].words[p], -1) for r, p in pairs]
        return np.where(mask, table[index], -1.0).argmax(axis=1)

    return act


def oracle_act(train_task: Task, task: Task, seed: int) -> Literal["oracle"]:
    """The expert: the highest score the task allows."""
    return "oracle"


def random_log_probs(train_task: Task, task: Task, seed: int) -> LogProbs:
    """Log-probabilities of `random_act`, for a search; ties are broken by chance."""
    rng = np.random.default_rng(seed)

    def log_probs(obs: Observation, mask: BoolArray) -> npt.NDArray[np.float64]:
        found: npt.NDArray[np.float64] = _TIES * rng.random(mask.shape)
        return np.where(mask, found - np.log(mask.sum(axis=1, keepdims=True)), -np.inf)

    return log_probs


def majority_log_probs(train_task: Task, task: Task, seed: int) -> LogProbs:
    """Log-probabilities of `majority_act`, for a search: frequencies plus one of legal actions."""
    counts = _counts(train_task, task) + 1.0

    def log_probs(obs: Observation, mask: BoolArray) -> npt.NDArray[np.float64]:
        legal = np.where(mask, counts, 0.0)
        with np.errstate(divide="ignore"):
            found: npt.NDArray[np.float64] = np.log(legal / legal.sum(axis=1, keepdims=True))
        return found

    return log_probs


SEARCHED: dict[str, Callable[[Task, Task, int], LogProbs]] = {
    "random": random_log_probs,
    "majority": majority_log_probs,
}
"""Baselines that rank answers by the same search as agents, where a task is played by one."""

BASELINES: dict[str, Callable[[Task, Task, int], Baseline]] = {
    "random": random_act,
    "majority": majority_act,
    "majority-word": majority_word_act,
    "oracle": oracle_act,
}
"""Baselines by name: from the training task, the task to score and a seed to an act function."""


def run_baselines(
    train_task: Task,
    task: Task,
    names: Sequence[str] = ("random", "majority", "oracle"),
    *,
    seed: int = 0,
    rows: Sequence[int] | None = None,
    **options: Any,
) -> dict[str, Score]:
    """Scores of baselines on a split, each text played once.

    A task that ranks answers is played by beam search, as agents play it; the oracle plays it once.
    Baselines that only the task has are played by it (`Task.baseline_outputs`).

    Args:
        train_task: Where frequencies are counted.
        task: What is scored.
        names: Of `BASELINES`, of `WRITTEN_BASELINES` where texts are written, or of the task's
            `own_baselines`.
        seed: Seed of the random baseline.
        rows: Samples that are scored; None: all.
        **options: As for `Task.score`.

    Raises:
        UnknownNameError: A name that is not known.
        InvalidArgumentError: A baseline that does not suit the task, or a corpus without gold.
    """
    written = WRITTEN_BASELINES if task.writes else {}
    known = [*BASELINES, *written, *task.own_baselines]
    check_int("seed", seed, 0, 2**64)
    if not isinstance(names, list | tuple):
        raise InvalidArgumentError(f"names={shown(names)} must be a list of {listed(known)}.")
    for name in names:
        check_name("baseline", name, known)
    scores = {}
    for name in names:
        with progress_label(f"baseline {name}"):
            outputs = _outputs(train_task, task, name, seed, rows)
            scores[name] = task.score(outputs, rows=rows, **options)
    return scores


def _outputs(
    train_task: Task, task: Task, name: str, seed: int, rows: Sequence[int] | None
) -> list[Output]:
    """What a baseline decides on each sample."""
    if task.writes and name in WRITTEN_BASELINES:
        chosen = range(len(task.corpus)) if rows is None else rows
        samples = [task.corpus.samples[row] for row in chosen]
        return list(WRITTEN_BASELINES[name](train_task, samples))
    if name in task.own_baselines:
        return task.baseline_outputs(name, chosen_rows(task, rows), seed)
    if is_searched(task) and name in SEARCHED:
        return search(task, SEARCHED[name](train_task, task, seed), rows, task.beam)
    return rollout(task, BASELINES[name](train_task, task, seed), rows)


def _counts(train_task: Task, task: Task) -> npt.NDArray[np.int64]:
    """(A,) how often the oracle plays each action of `task` in training."""
    _, actions = oracle_decisions(train_task)
    n = max(task.n_actions, train_task.n_actions)  # candidates may be more in one of the two
    return np.bincount(actions, minlength=n)[: task.n_actions]
