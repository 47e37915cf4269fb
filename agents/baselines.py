"""Baselines that learn little or nothing: they say what a result is worth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from agents.acting import Act
from nlp_gym.errors import InvalidArgumentError, UnknownNameError
from nlp_gym.metrics.base import Score
from nlp_gym.tasks.base import Task
from nlp_gym.tasks.rollout import rollout
from nlp_gym.types import BoolArray, Observation

Baseline = Act | Literal["oracle"]


def random_act(train_task: Task, task: Task, seed: int) -> Act:
    """Uniform over the legal actions."""
    rng = np.random.default_rng(seed)

    def act(obs: Observation, mask: BoolArray) -> npt.NDArray[np.int64]:
        return np.where(mask, rng.random(mask.shape), -1.0).argmax(axis=1)

    return act


def majority_act(train_task: Task, task: Task, seed: int) -> Act:
    """The oracle's most frequent action on the training split, among the legal ones."""
    counts = _count(train_task).sum(axis=0)  # (A,)

    def act(obs: Observation, mask: BoolArray) -> npt.NDArray[np.int64]:
        return np.where(mask, counts, -1).argmax(axis=1)

    return act


def majority_word_act(train_task: Task, task: Task, seed: int) -> Act:
    """The oracle's most frequent action for this word in training, among the legal ones.

    For a word training lacks, or whose actions are all illegal now, that is the majority action.

    Raises:
        InvalidArgumentError: The task does not decide about one word of a text at a time.
    """
    for needed in (train_task, task):
        keys = set(needed.observation_space("index").spaces)
        if not {"row", "position"} <= keys:
            raise InvalidArgumentError(
                "baseline='majority-word' needs a task that decides word by word (`row` and "
                f"`position` in its index observation), not {type(needed).__name__}: use "
                "'majority'."
            )
    places = _count(train_task)  # (slots, A) as (row, position) in order of the texts
    words = [word for sample in train_task.corpus.samples for word in sample.words]
    vocabulary = {word: i for i, word in enumerate(dict.fromkeys(words))}
    table = np.zeros((len(vocabulary) + 1, train_task.n_actions))  # the last row: unknown words
    np.add.at(table, [vocabulary[word] for word in words], places)
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
    **options: Any,
) -> dict[str, Score]:
    """Scores of baselines on a whole split, each text played once.

    Args:
        train_task: Where frequencies are counted.
        task: What is scored.
        names: Of `BASELINES`.
        seed: Of the random baseline.
        **options: As for `Task.score`.

    Raises:
        UnknownNameError: A name that is not known.
        InvalidArgumentError: A baseline that does not suit the task, or a corpus without gold.
    """
    for name in names:
        if name not in BASELINES:
            raise UnknownNameError("baseline", name, BASELINES)
    scores = {}
    for name in names:
        outputs = rollout(task, BASELINES[name](train_task, task, seed))
        scores[name] = task.score(outputs, **options)
    return scores


def _count(task: Task) -> npt.NDArray[np.int64]:
    """How often the oracle takes each action, a row for each decision of the corpus, in order.

    Rows are ordered by text and by decision within it, so that for word-by-word tasks they are the
    corpus's words in order.
    """
    rows = np.arange(len(task.corpus))
    state, left, step = task.initial(rows), rows, 0
    seen: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], int]] = []
    while len(left):
        actions = task.oracle(state)
        seen.append((left, actions, step))
        _, ended = task.transition(state, actions)
        state, left, step = state.take(~ended), left[~ended], step + 1
    texts = np.concatenate([left for left, _, _ in seen])
    steps = np.concatenate([np.full(len(left), step) for left, _, step in seen])
    actions = np.concatenate([actions for _, actions, _ in seen])
    counts = np.zeros((len(actions), task.n_actions), np.int64)
    counts[np.arange(len(actions)), actions[np.lexsort((steps, texts))]] = 1
    return counts
