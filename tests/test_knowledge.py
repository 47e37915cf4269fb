"""Knowledge bases: names in texts, their roles and links, and the wrappers that show them."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from nlp_gym.errors import DataFormatError, DataNotFoundError, InvalidArgumentError
from nlp_gym.knowledge import KnowledgeBase, read_knowledge
from nlp_gym.tasks.core.make import make_task
from nlp_gym.types import Sample
from nlp_gym.wrappers import KnowledgeObservation, KnowledgeVectorObservation

FACTS = [
    ("Lisbon", "capital_of", "Portugal"),
    ("New_Haven", "city_in", "Connecticut"),
    ("Ada Fox", "born_in", "Lisbon"),
    ("New", "city_in", "Nowhere"),
]
SMALL = {"encoder": "hashed", "corpus": "sample"}


@pytest.fixture
def triples(tmp_path):
    path = tmp_path / "facts.tsv"
    path.write_text("".join("\t".join(fact) + "\n" for fact in FACTS), encoding="utf-8")
    return path


def test_knowledge_finds_the_longest_names_and_capitals():
    base = KnowledgeBase(FACTS)
    words = ["ADA", "FOX", "left", "New", "Haven", "for", "Lisbon", ",", "not", "lisbon", "."]
    found = [(" ".join(words[a:b]), n) for a, b, n in base.find(words)]
    assert [name for name, _ in found] == ["ADA FOX", "New Haven", "Lisbon"]
    assert found[2][1] == base.number(["Lisbon"])
    assert base.number(["lisbon"]) == -1
    assert base.find([]) == []


def test_knowledge_roles_and_links():
    base = KnowledgeBase(FACTS)
    assert base.roles == ("^city_in", "city_in", "^born_in", "^capital_of", "born_in", "capital_of")
    lisbon, portugal = base.number(["Lisbon"]), base.number(["Portugal"])
    rows = base.describe(np.array([lisbon, portugal, -1]))
    assert [base.roles[k] for k in np.flatnonzero(rows[0])] == ["^born_in", "capital_of"]
    assert [base.roles[k] for k in np.flatnonzero(rows[1])] == ["^capital_of"]
    assert not rows[2].any()
    there, back = base.links(lisbon, portugal), base.links(portugal, lisbon)
    n = len(base.relations)
    assert np.flatnonzero(there).tolist() == [base.relations.index("capital_of")]
    assert np.flatnonzero(back).tolist() == [n + base.relations.index("capital_of")]
    assert KnowledgeBase(FACTS, roles=2).roles == ("^city_in", "city_in")


def test_knowledge_uses_names_for_keys(tmp_path, triples):
    names = tmp_path / "names.tsv"
    names.write_text("Lisbon\tLisboa\tthe capital\n", encoding="utf-8")
    base = read_knowledge(triples, names)
    assert base.number(["Lisboa"]) >= 0
    assert base.number(["Lisbon"]) == -1


@pytest.mark.parametrize(
    ("content", "line"), [(b"a\tb\n", 1), (b"a\tb\tc\n\xff\n", 2), (b"\n", None), (b"a\t\tc", 1)]
)
def test_knowledge_bad_files_name_the_line(tmp_path, content, line):
    path = tmp_path / "bad.tsv"
    path.write_bytes(content)
    with pytest.raises(DataFormatError) as caught:
        read_knowledge(path)
    assert caught.value.line == line
    with pytest.raises(DataNotFoundError):
        read_knowledge(tmp_path / "none.tsv")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"triples": 3}, "triples=3 must be the path of a file"),
        ({"triples": None}, "triples=None must be"),
        ({"names": 3}, "names=3 must be"),
        ({"roles": "a"}, "roles='a' must be an integer from 1"),
        ({"roles": 0}, "roles=0 must be"),
    ],
)
def test_knowledge_arguments_of_a_wrong_type_name_what_is_allowed(triples, arguments, message):
    env = gym.make("NER-CoNLL-v0", **SMALL)
    with pytest.raises(InvalidArgumentError, match=message):
        KnowledgeObservation(env, **{"triples": triples, **arguments})


def test_knowledge_names_need_triples(triples):
    with pytest.raises(InvalidArgumentError, match=r"knowledge_names=.* knowledge= too"):
        make_task("NER-CoNLL-v0", knowledge_names=str(triples), **SMALL)
    with pytest.raises(InvalidArgumentError, match="knowledge_names=4 must be"):
        make_task("NER-CoNLL-v0", knowledge=str(triples), knowledge_names=4, **SMALL)


def test_knowledge_wrappers_are_for_one_environment_or_for_several(triples):
    with pytest.raises(InvalidArgumentError, match="KnowledgeVectorObservation"):
        KnowledgeObservation(gym.make_vec("NER-CoNLL-v0", num_envs=2, **SMALL), triples)
    with pytest.raises(InvalidArgumentError, match="KnowledgeObservation"):
        KnowledgeVectorObservation(gym.make("NER-CoNLL-v0", **SMALL), triples)


def test_knowledge_is_observed_by_a_tagger():
    words = ("In", "New", "Haven", "Ada", "Fox", "slept")
    task = make_task("NER-v0", data=[Sample(words)], labels=["O", "B-X", "I-X"], encoder="hashed")
    task.knowledge = KnowledgeBase(FACTS)
    state = task.initial(np.zeros(1, np.int64))
    seen = []
    for _ in words:
        seen.append(task.observe(state, "index")["knowledge"][0])
        task.transition(state, np.zeros(1, np.int64))
    rows = np.stack(seen)
    assert rows[:, -2].tolist() == [0, 1, 0, 1, 0, 0]  # begins a name
    assert rows[:, -1].tolist() == [0, 0, 1, 0, 1, 0]  # continues one
    assert rows[1, task.knowledge.roles.index("city_in")] == 1
    assert np.array_equal(rows[1, :-2], rows[2, :-2])
    assert not rows[[0, 5]].any()


@pytest.mark.parametrize("obs_type", ["index", "features", "tokens"])
def test_knowledge_wrapper_adds_a_key_and_changes_nothing_else(obs_type, triples):
    plain = gym.make("NER-CoNLL-v0", obs_type=obs_type, **SMALL)
    wrapped = KnowledgeObservation(gym.make("NER-CoNLL-v0", obs_type=obs_type, **SMALL), triples)
    check_env(wrapped.unwrapped)
    (one, _), (other, _) = plain.reset(seed=3), wrapped.reset(seed=3)
    for _ in range(60):
        known = other.pop("knowledge")
        assert known.shape == wrapped.observation_space["knowledge"].shape
        assert one.keys() == other.keys()
        assert all(np.array_equal(one[key], other[key]) for key in one)
        one, _, ended, _, _ = plain.step(1)
        other, *_ = wrapped.step(1)
        if ended:
            (one, _), (other, _) = plain.reset(), wrapped.reset()


def test_knowledge_argument_is_the_batched_wrapper(triples):
    wrapped = KnowledgeVectorObservation(
        gym.make_vec("NER-CoNLL-v0", num_envs=3, obs_type="index", **SMALL), triples
    )
    given = gym.make_vec(
        "NER-CoNLL-v0", num_envs=3, obs_type="index", knowledge=str(triples), **SMALL
    )
    assert wrapped.single_observation_space == given.single_observation_space
    left, right = wrapped.reset(seed=1)[0], given.reset(seed=1)[0]
    assert all(np.array_equal(left[key], right[key]) for key in left | right)


def test_knowledge_wrapper_refuses_other_environments(triples):
    with pytest.raises(InvalidArgumentError, match="environment of this package"):
        KnowledgeObservation(gym.make("CartPole-v1"), triples)


def test_knowledge_describes_the_arguments_of_a_relation():
    words = ("Lisbon", "is", "in", "Portugal", ",", "unlike", "New", "Haven")
    extra = {"pairs": ((0, 1, 3, 4), (3, 4, 0, 1), (6, 8, 3, 4))}
    sample = Sample(words, None, "", extra)
    task = make_task("Relation-v0", data=[sample], labels=["NONE", "In"], encoder="hashed")
    base = KnowledgeBase(FACTS)
    table, roles, n = task.describe(base), len(base.roles), len(base.relations)
    capital = base.relations.index("capital_of")
    assert table.shape == (4, 2 * roles + 2 * n)  # three pairs and the end
    assert np.flatnonzero(table[0, 2 * roles :]).tolist() == [capital]
    assert np.flatnonzero(table[1, 2 * roles :]).tolist() == [n + capital]
    assert table[2, base.roles.index("city_in")] == 1
    assert not table[2, 2 * roles :].any()
    assert not table[3].any()


def test_knowledge_is_refused_by_tasks_without_names(triples):
    with pytest.raises(InvalidArgumentError, match="tagging and relation"):
        gym.make("Question-TREC-v0", obs_type="index", knowledge=str(triples), **SMALL)
