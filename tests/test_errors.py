"""Messages: which known name is offered for one that is not."""

from __future__ import annotations

import gymnasium as gym
import pytest

from nlp_gym import make_task
from nlp_gym.data import DATASETS, load_corpus
from nlp_gym.errors import MissingDependencyError, UnknownNameError, nearest
from nlp_gym.tasks.core.make import task_ids


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("ner-conll-v0", "NER-CoNLL-v0"),
        ("NER_CONLL_V0", "NER-CoNLL-v0"),
        ("nerconll", "NER-CoNLL-v0"),
        ("NER-CoNLL", "NER-CoNLL-v0"),
        ("NER-CoNL-v1", "NER-CoNLL-v0"),
        ("squad-v0", "SpanQA-SQuAD-v0"),
        ("sst2", "Sentiment-SST2-v0"),
        ("pos-v0", "POS-v0"),
        ("relation-semeval", "Relation-SemEval-v0"),
        ("knowledgegraph-wn18-v0", "KnowledgeGraph-WN18RR-v0"),
        ("translation-tatoeba", "Translation-Tatoeba-v0"),
        ("generation-v0", "Generation-v0"),
        ("multilabel-v0", "MultiLabel-v0"),
        ("xyzzy", None),
        ("", None),
    ],
)
def test_errors_nearest_id(typed: str, meant: str | None) -> None:
    assert nearest(typed, task_ids()) == meant
    with pytest.raises(UnknownNameError) as caught:
        make_task(typed)
    assert (f"Did you mean {meant!r}?" in str(caught.value)) is (meant is not None)
    assert "Allowed: Attack-v0, " in str(caught.value)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("CoNLL-2003", "conll2003"),
        ("CONLL2003", "conll2003"),
        ("ag-news", "ag_news"),
        ("UD_EWT", "ud_ewt"),
        ("semeval", "semeval2010_task8"),
        ("SQUAD2", "squad"),
        ("tatoeba", "tatoeba_en_zh"),
    ],
)
def test_errors_nearest_corpus(typed: str, meant: str) -> None:
    assert nearest(typed, DATASETS) == meant
    with pytest.raises(UnknownNameError, match=f"Did you mean '{meant}'"):
        load_corpus(typed, "dev")


@pytest.mark.parametrize("env_id", task_ids())
def test_errors_every_id_is_found_in_any_case(env_id: str) -> None:
    for typed in (env_id.lower(), env_id.upper(), env_id.replace("-", "_"), f" {env_id}"):
        assert nearest(typed, task_ids()) == env_id


def test_errors_nearest_prefers_the_same_letters_to_a_longer_name() -> None:
    assert nearest("DQN", ["masked_dqn", "dqn", "qrdqn"]) == "dqn"
    assert nearest("ppo", ["recurrent_ppo", "maskable_ppo"]) == "maskable_ppo"
    assert nearest("ab", ["cabbage", "xy"]) is None
    assert nearest("x", []) is None


def test_errors_wrong_argument_is_named_with_what_was_meant() -> None:
    with pytest.raises(UnknownNameError, match=r"argument='Window' .*Did you mean 'window'"):
        gym.make("POS-v0", Window=1)


def test_errors_missing_package_names_the_distribution() -> None:
    assert "pip install 'nlp-gymnasium[lora]'" in str(MissingDependencyError("peft", "lora", "x"))
    assert str(MissingDependencyError("torch", "", "x")).endswith("pip install nlp-gymnasium")


def test_names_of_the_agents_say_which_extra_they_need(monkeypatch: pytest.MonkeyPatch) -> None:
    import nlp_gym_agents

    monkeypatch.setitem(nlp_gym_agents._MODULES, "load_agent", "a_module_that_needs_it")

    def absent(name: str) -> None:
        raise ModuleNotFoundError("No module", name="stable_baselines3.common")

    monkeypatch.setattr(nlp_gym_agents.importlib, "import_module", absent)
    with pytest.raises(MissingDependencyError, match=r"nlp_gym_agents.load_agent .*\[agents\]"):
        nlp_gym_agents.load_agent  # noqa: B018
