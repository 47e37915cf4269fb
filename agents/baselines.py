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

_BATCH = 4096

Baseline = Act | Literal["oracle"]


def random_act(train_task: Task, task: Task, seed: int) -> Act:
    """Uniform over the legal actions."""
    rng = np.random.default_rng(seed)

    def act(obs: Observation, mask: BoolArray) -> npt.NDArray[np.int64]:
        return np.where(mask, rng.random(mask.shape), -1.0).argmax(axis=1)

    return act


def majority_act(train_task: Task, task: Task, seed: int) -> Act:
    """The oracle's most frequent action on the training split, among the legal ones."""
    _, actions = _decisions(train_task)
    n = max(task.n_actions, train_task.n_actions)  # candidates may be more in one of the two
    counts = np.bincount(actions, minlength=n)[: task.n_actions]  # (A,)

    def act(obs: Observation, mask: BoolArray) -> npt.NDArray[np.int64]:
        return np.where(mask, counts, -1).argmax(axis=1)

    return act


def majority_word_act(train_task: Task, task: Task, seed: int) -> Act:
    """The oracle's most frequent action for this word in training, among the legal ones.

    For a word training lacks, or whose actions are all illegal now, that is the majority action.

    Raises:
        InvalidArgumentError: The task does not decide about one word of a text at a time.
    """
    if task.family != "tagging":
        raise InvalidArgumentError(
            "baseline='majority-word' needs a task that decides word by word (family 'tagging'), "
            f"not {type(task).__name__} (family {task.family!r}): use 'majority'."
        )
    words = [word for sample in train_task.corpus.samples for word in sample.words]
    vocabulary = {word: i for i, word in enumerate(dict.fromkeys(words))}
    table = np.zeros((len(vocabulary) + 1, train_task.n_actions))  # the last row: unknown words
    order, actions = _decisions(train_task)  # in the order of the words
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


def _decisions(task: Task) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The M decisions of the oracle on a corpus.

    Returns:
        (M,) order that sorts them by text and step, and (M,) actions.
    """
    texts, steps, actions = [], [], []
    rows = np.argsort(task.lengths, kind="stable")
    for start in range(0, len(rows), _BATCH):
        left = rows[start : start + _BATCH]
        state, step = task.initial(left), 0
        while len(left):
            chosen = task.oracle(state)
            texts.append(left)
            steps.append(np.full(len(left), step))
            actions.append(chosen)
            _, ended = task.transition(state, chosen)
            state, left, step = state.take(~ended), left[~ended], step + 1
    order = np.lexsort((np.concatenate(steps), np.concatenate(texts)))
    return order, np.concatenate(actions)
