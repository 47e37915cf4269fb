"""Mixtures of tasks: rows, actions by description, and label sets an agent has never seen."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from typer.testing import CliRunner

from nlp_gym.errors import InvalidArgumentError, UnknownNameError
from nlp_gym.tasks.core.make import make_task
from nlp_gym.tasks.core.rollout import rollout
from nlp_gym.tasks.multi_task.mixture import describe
from nlp_gym_agents.cli.main import app
from nlp_gym_agents.config.train_config import TrainConfig
from nlp_gym_agents.training.train import train

SMALL = {"encoder": "hashed", "corpus": "sample"}
TWO = ("Question-TREC-v0", "POS-EWT-v0")


def make(split="train", **kwargs):
    return make_task("MultiTask-v0", split, **{"tasks": TWO, **SMALL, **kwargs})


def test_multi_task_weights_decide_the_rows_of_training_only():
    sizes = [len(make_task(i, **SMALL).corpus) for i in TWO]
    task = make(weights=[3, 1])
    shares = np.bincount(task.which)
    assert len(task.corpus) == pytest.approx(sum(sizes), abs=1)
    assert shares[0] == pytest.approx(3 * shares[1], abs=2)
    assert set(task.local[task.which == 0]) == set(range(min(sizes[0], shares[0])))
    dev = make("dev", weights=[3, 1])
    assert np.bincount(dev.which).tolist() == [
        len(make_task(i, "dev", **SMALL).corpus) for i in TWO
    ]


def test_multi_task_actions_are_descriptions_of_labels():
    task = make()
    trec, pos = task.tasks
    assert task.n_actions == max(trec.n_actions, pos.n_actions)
    units = {tuple(task.units.texts[t]) for t, _, _ in task.units.spans[task.mixture.shifts[-1] :]}
    assert describe("NUM") in units
    row = int(np.flatnonzero(task.which == 0)[0])
    state = task.initial(np.array([row]))
    seen = task.observe(state, "features")
    first = seen["candidates"][0, :, : task.encoder.dim]
    assert first[: trec.n_actions].any(axis=1).all()
    assert not first[trec.n_actions :].any()
    assert task.mask(state)[0].sum() == trec.mask(trec.initial(task.local[[row]]))[0].sum()


def test_multi_task_descriptions_replace_names():
    task = make(descriptions={"NUM": "a number or an amount"})
    units = {tuple(task.units.texts[t]) for t, _, _ in task.units.spans[task.mixture.shifts[-1] :]}
    assert ("a", "number", "or", "an", "amount") in units
    assert describe("NUM") not in units


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("transfer_money", ("transfer", "money")),
        ("TransferMoney", ("transfer", "money")),
        ("NUM", ("num",)),
        ("Sci/Tech", ("sci", "tech")),
        ("Entity-Origin(e1,e2)", ("entity", "origin", "e", "1", "e", "2")),
        ("天气", ("天气",)),
        ("?", ("?",)),
    ],
)
def test_multi_task_labels_are_described_by_their_words(label, words):
    assert describe(label) == words


def test_multi_task_score_is_the_mean_and_each_task_is_its_own():
    task = make("dev")
    rng = np.random.default_rng(0)
    outputs = rollout(task, lambda _, mask: np.where(mask, rng.random(mask.shape), -1).argmax(1))
    score = task.score(outputs, bootstrap=50)
    parts = score.report["tasks"]
    assert score.value == pytest.approx(np.mean([part["value"] for part in parts.values()]))
    for k, env_id in enumerate(TWO):
        at = np.flatnonzero(task.which == k)
        own = make_task(env_id, "dev", **SMALL)
        alone = own.score([outputs[i] for i in at], rows=task.local[at], bootstrap=0)
        assert parts[env_id]["value"] == alone.value


MANY = ("Relation-v0", "DialoguePolicy-v0", "Dialogue-v0", "MultiLabel-v0", "NER-v0", "ChoiceQA-v0")


@pytest.mark.parametrize("reward", ["correctness", "metric"])
def test_multi_task_episodes_are_those_of_the_tasks_played_alone(reward):
    task = make("dev", tasks=MANY, reward=reward, shape=(3, 5, 2))
    rng = np.random.default_rng(0)
    rows = rng.permutation(len(task.corpus))[:60]
    state = pickle.loads(pickle.dumps(task.initial(rows)))
    alone = {
        k: t.initial(task.local[rows[task.which[rows] == k]]) for k, t in enumerate(task.tasks)
    }
    running = np.ones(len(rows), bool)
    while running.any():
        at = np.flatnonzero(running)
        part = state.take(at)
        actions = rng.integers(task.n_actions, size=len(at))
        rewards, ended = task.transition(part, actions)
        state.put(at, part)
        for k, own in enumerate(task.tasks):
            mine = task.which[rows[at]] == k
            places = np.flatnonzero(task.which[rows] == k)
            still = np.flatnonzero(running[places])
            other = alone[k].take(still)
            missing = actions[mine] >= own.n_actions  # played as the repair of the first action
            got, over = own.transition(other, np.where(missing, 0, actions[mine]))
            legal = own.mask(alone[k].take(still))[:, 0]
            assert np.array_equal(rewards[mine], got - 0.125 * (missing & legal))
            assert np.array_equal(ended[mine], over)
            alone[k].put(still, other)
        assert all(type(p.state) is type(alone[p.number]) for p in task.parts(part))
        running[at[ended]] = False
    whole = task.outputs(state)
    for k, own in enumerate(task.tasks):
        places = np.flatnonzero(task.which[rows] == k)
        assert [whole[i] for i in places] == own.outputs(alone[k])


def test_multi_task_agent_plays_a_label_set_it_has_never_seen(tmp_path):
    config = TrainConfig(
        env="MultiTask-v0", algo="bc", n_timesteps=300, env_kwargs={"tasks": list(TWO), **SMALL}
    )
    run = train(config, run_dir=tmp_path / "run", progress=False)
    file = tmp_path / "score.json"
    other = 'tasks:["Topic-AGNews-v0"]'
    result = CliRunner().invoke(
        app,
        ["evaluate", str(run), "--bootstrap", "0", "--json", str(file), "--env-kwargs", other],
    )
    assert result.exit_code == 0, result.output
    assert list(json.loads(file.read_text())["tasks"]) == ["Topic-AGNews-v0"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tasks": "NER-v0"}, "list of different ids"),
        ({"tasks": []}, "list of different ids"),
        ({"tasks": ["MultiTask-v0"]}, "list of different ids"),
        ({"tasks": 5}, "list of different ids"),
        ({"tasks": [["POS-EWT-v0"]]}, "list of different ids"),
        ({"tasks": ["KnowledgeGraph-WN18RR-v0"]}, "belong to no sample"),
        ({"task_kwargs": {"POS-EWT-v0": 3}}, "must map ids to arguments"),
        ({"task_kwargs": {"POS-v0": {}}}, "id in task_kwargs"),
        ({"descriptions": 3}, "must map labels to texts"),
        ({"descriptions": {"NUM": 5}}, "must map labels to texts"),
        ({"augment": 5}, "augment=5"),
        ({"perturb": "entity-swap"}, "BIO tags"),
        ({"weights": ["a", 1]}, "2 numbers above 0"),
        ({"weights": [1]}, "2 numbers above 0"),
        ({"weights": [1, -1]}, "2 numbers above 0"),
        ({"shape": (1, 1)}, "three numbers"),
        ({"shape": (1, 1, 1)}, "larger shape"),
    ],
)
def test_multi_task_misuse_names_what_is_allowed(arguments, message):
    with pytest.raises(InvalidArgumentError, match=message):
        make(**arguments)
    with pytest.raises(UnknownNameError, match="NER-CoNLL-v0"):
        make(tasks=["NER-CoNL-v0"])


def test_multi_task_hands_perturbations_on():
    plain, upper = make("dev"), make("dev", perturb="upper")
    assert upper.units.texts != plain.units.texts
    more = make("train", augment=["upper"])
    assert len(more.corpus) > len(make("train").corpus)
