"""`Attack-v0`: changes are made while they keep the gold, and the victim is what it says it is."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nlp_gym_agents  # says how a run is loaded as a victim
from nlp_gym import make_task
from nlp_gym.errors import InvalidArgumentError, RunError
from nlp_gym.tasks.candidates import attack
from nlp_gym.tasks.candidates.victim import NaiveBayes
from nlp_gym.tasks.core.rollout import rollout
from nlp_gym.types import Sample
from nlp_gym_agents.attack.victim import RunVictim
from nlp_gym_agents.config.train_config import TrainConfig, merge
from nlp_gym_agents.training.train import train


def attack_task(**kwargs: Any) -> Any:
    return make_task("Attack-v0", **{"corpus": "sample", "encoder": "hashed", **kwargs})


class Counting:
    """A victim that holds a text for positive the more often it has the word "good"."""

    labels = ("positive", "negative")

    def __init__(self) -> None:
        self.asked = 0

    def probabilities(self, samples: Any) -> Any:
        self.asked += len(samples)
        good = np.array([min(s.words.count("good"), 2) for s in samples], float)
        chance = 0.3 + 0.3 * good
        return np.stack([chance, 1 - chance], axis=1)


TEXTS = [
    Sample(("a", "good", "good", "movie"), ("positive",)),
    Sample(("a", "movie"), ("negative",)),
    Sample(("no", "at", "it"), ("positive",)),
]


def counting_task(**kwargs: Any) -> Any:
    options = {"data": TEXTS, "labels": ["negative", "positive"], "split": "test"}
    return attack_task(victim=Counting(), changes="typos", **{**options, **kwargs})


def test_rewards_are_the_fall_of_the_right_labels_probability() -> None:
    task = counting_task(change_cost=0.125)
    state = task.initial(np.array([0]))
    assert task.texts(0)[0].startswith("good -> ")
    first = task.oracle(state)
    reward, ended = task.transition(state, first)
    assert reward == pytest.approx(0.3 - 0.125, abs=2**-20)
    assert not ended[0]
    assert state.held[0] == pytest.approx(0.6)
    reward, ended = task.transition(state, task.oracle(state))
    assert ended[0]
    assert state.deceived[0]
    assert task.potential(state)[0] == pytest.approx(0.6, abs=2**-20)
    assert sum(map(len, task.outputs(state))) == 2


def test_masks_forbid_words_that_are_changed() -> None:
    task = counting_task()
    state = task.initial(np.array([0]))
    edits = task._edits[0]
    task.transition(state, np.array([0]))
    free = task.mask(state)[0, : len(edits)]
    assert free.tolist() == [edit.start != edits[0].start for edit in edits]
    assert task.mask(state)[0, -1]


def test_score_counts_only_what_was_right() -> None:
    task = counting_task()
    score = task.score(rollout(task, "oracle"), bootstrap=10)
    assert score.report["right_before"] == 2  # the third has no "good" and is called negative
    assert score.report["deceived"] == 1
    assert score.value == 0.5
    assert score.report["accuracy_before"] == pytest.approx(2 / 3)


def test_a_text_without_changes_can_only_be_left() -> None:
    task = counting_task()
    state = task.initial(np.array([2]))
    assert task.mask(state).sum() == 1
    assert task.oracle(state)[0] == task.n_candidates
    assert task.transition(state, np.array([task.n_candidates]))[1][0]


def test_answers_are_remembered_and_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    task = counting_task()
    rows = np.array([0, 0, 0])
    state = task.initial(rows)
    before = task.victim.asked
    task.transition(state, np.array([0, 0, 1]))
    assert task.victim.asked == before + 2  # equal texts are asked about once
    task.transition(task.initial(rows), np.array([0, 1, 1]))
    assert task.victim.asked == before + 2
    monkeypatch.setattr(attack, "_REMEMBERED", 1)
    again = task.initial(rows)
    task.transition(again, np.array([2, 3, 2]))
    assert len(task._remembered) <= 1
    other = counting_task()
    expected = other.initial(rows)
    other.transition(expected, np.array([2, 3, 2]))
    np.testing.assert_array_equal(again.held, expected.held)


def test_naive_bayes_is_that_of_a_worked_example() -> None:
    texts = [Sample(("Good", "good", "bad"), ("pos",)), Sample(("bad",), ("neg",))]
    victim = NaiveBayes(texts, ("neg", "pos"))
    # V = 2 words and the unknown one; pos: (2+1)/(3+3), neg: (0+1)/(1+3); priors are equal.
    found = victim.probabilities([Sample(("good",)), Sample(("unknown",))])
    np.testing.assert_allclose(found[0], np.array([1 / 4, 3 / 6]) / (1 / 4 + 3 / 6))
    np.testing.assert_allclose(found[1], [0.5, 0.5])
    assert victim.probabilities([]).shape == (0, 2)


def test_what_changes_add_up_to_is_what_the_victim_says_of_the_text() -> None:
    task = attack_task()
    rng, rows = np.random.default_rng(0), np.arange(len(task.corpus))
    state = task.initial(rows)
    for _ in range(3):
        legal = task.mask(state)
        legal[:, -1] &= ~legal[:, :-1].any(axis=1)
        actions = np.where(legal, rng.random(legal.shape), -1).argmax(axis=1)
        _, ended = task.transition(state, actions)
        texts = [
            task.changed(row, own)
            for row, own in zip(state.row.tolist(), state.chosen, strict=True)
        ]
        chances = task.victim.probabilities(texts)
        first = task._plain(state.row).argmax(axis=1)
        np.testing.assert_allclose(state.held, chances[np.arange(len(first)), first], atol=1e-12)
        state = state.take(~ended)
    assert task._added is not None


def test_victim_is_loaded_again_after_a_pickle() -> None:
    task = attack_task()
    state = task.initial(np.arange(3))
    copied = pickle.loads(pickle.dumps(task))
    np.testing.assert_array_equal(copied.initial(np.arange(3)).held, state.held)


def test_a_run_is_a_victim_and_its_attacker_trains_and_predicts(tmp_path: Path) -> None:
    kwargs = {"corpus": "sample", "encoder": "hashed"}
    config = TrainConfig(
        env="Sentiment-SST2-v0", algo="bc", n_timesteps=32, env_kwargs=kwargs, eval_freq=32
    )
    run = train(config, run_dir=tmp_path / "victim", progress=False)
    task = attack_task(victim=str(run))
    state = task.initial(np.arange(4))
    expected = RunVictim(run).probabilities([task.sample(row) for row in range(4)])
    np.testing.assert_allclose(state.held, expected.max(axis=1), atol=1e-6)
    attacker = TrainConfig(
        env="Attack-v0",
        algo="maskable_ppo",
        n_timesteps=16,
        n_envs=4,
        hyperparams={"n_steps": 4, "batch_size": 16},
        eval_freq=16,
        env_kwargs={**kwargs, "victim": str(run), "max_changes": 8},
    )
    assert merge(attacker).env_kwargs["victim"] == str(run.resolve())
    made = train(attacker, run_dir=tmp_path / "attacker", progress=False)
    (result,) = nlp_gym_agents.load_agent(made).predict(["a charming and quick movie"])
    assert set(result.record) == {"changed", "changes", "label", "label_after"}


@pytest.mark.parametrize(
    ("kwargs", "error", "told"),
    [
        ({"victim": 3}, InvalidArgumentError, "victim=3"),
        ({"victim": "no/such/run"}, RunError, "no/such/run"),
        ({"victim": Counting(), "labels": ["a", "b"]}, InvalidArgumentError, "labels"),
        ({"budget": 0}, InvalidArgumentError, "budget"),
        ({"max_changes": 0}, InvalidArgumentError, "max_changes"),
        ({"change_cost": 2}, InvalidArgumentError, "change_cost"),
        ({"changes": "spelling"}, InvalidArgumentError, "changes"),
    ],
)
def test_wrong_arguments_are_named(
    kwargs: dict[str, Any], error: type[Exception], told: str
) -> None:
    with pytest.raises((error, ValueError), match=told):
        attack_task(**kwargs).initial(np.array([0]))
