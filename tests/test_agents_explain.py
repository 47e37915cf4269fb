"""Decisions explained: what traces say of every family, and which words speak for a choice."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch as th
from conftest import tiny_task
from hypothesis import given, settings
from hypothesis import strategies as st
from stable_baselines3.common.utils import obs_as_tensor
from test_tasks_toy import IDS, registered

from nlp_gym import make_task
from nlp_gym.data.readers.knowledge_graph.names import entity_words
from nlp_gym.errors import InvalidArgumentError, UnknownNameError
from nlp_gym.types import Sample
from nlp_gym_agents import Agent, load_agent
from nlp_gym_agents.algorithms.registry import resolve
from nlp_gym_agents.config.train_config import TrainConfig
from nlp_gym_agents.explain.decisions import Player, trace_rows
from nlp_gym_agents.explain.gradients import attribute, check_differentiable, word_places
from nlp_gym_agents.explain.occlusion import LEAST_BLOCKS, MOST_WORDS, blocks, hide, occlude
from nlp_gym_agents.explain.trace import VIEWS, Decision, Trace
from nlp_gym_agents.models.build import build_model
from nlp_gym_agents.models.play import outputs_of
from nlp_gym_agents.networks.encoder.options import Tuning
from nlp_gym_agents.training.train import train

__all__ = ["registered"]  # an automatic fixture: the toys' rows are in the table
pytestmark = pytest.mark.usefixtures("one_thread")

SAMPLE: dict[str, Any] = {"corpus": "sample", "encoder": "hashed", "encoder_kwargs": {"dim": 32}}
ROLLOUT = {"n_steps": 4, "batch_size": 8}
BUFFER = {"buffer_size": 64, "batch_size": 8}
SMALL: dict[str, dict[str, Any]] = {
    "bc": {"batch_size": 64},
    "maskable_ppo": ROLLOUT,
    "ppo": ROLLOUT,
    "recurrent_ppo": {**ROLLOUT, "policy_kwargs": {"lstm_hidden_size": 8}},
    "masked_dqn": BUFFER,
    "qrdqn": BUFFER,
}
CASES = [
    ("NER-CoNLL-v0", "maskable_ppo", "tagging", {}),
    ("NER-CoNLL-v0", "masked_dqn", "tagging", {}),
    ("NER-CoNLL-v0", "qrdqn", "tagging", {}),
    ("NER-CoNLL-v0", "recurrent_ppo", "tagging", {}),
    ("POS-EWT-v0", "ppo", "tagging", {}),
    ("Sentiment-SST2-v0", "bc", "reading", {}),
    ("MultiLabel-GoEmotions-v0", "bc", "labels", {}),
    ("DialoguePolicy-SGD-v0", "bc", "labels", {}),
    ("Relation-CoNLL04-v0", "bc", "ranking", {}),
    ("Parsing-EWT-v0", "bc", "tree", {}),
    ("SpanQA-SQuAD-v0", "bc", "span", {}),
    ("SpanQA-SQuAD-v0", "masked_dqn", "span", {}),
    ("ChoiceQA-ARC-v0", "maskable_ppo", "ranking", {}),
    ("ChoiceQA-ARC-v0", "bc", "ranking", {"browse": False}),
    ("Dialogue-DailyDialog-v0", "bc", "ranking", {}),
    ("Summary-SciTLDR-v0", "bc", "ranking", {}),
    ("KnowledgeGraph-WN18RR-v0", "bc", "walk", {}),
    ("Translation-Multi30k-v0", "bc", "writing", {"max_length": 8, "vocabulary_size": 300}),
    ("Translation-Multi30k-v0", "bc", "writing", {"max_length": 8, "beam": 3}),
    (IDS["FirstWord"], "bc", "ranking", {}),
]


def stir(model: Any, scale: float = 0.2) -> None:
    """Move the weights at random, so that choices differ from state to state."""
    generator = th.Generator().manual_seed(0)
    with th.no_grad():
        for name, parameter in model.policy.named_parameters():
            if ".encoder." not in name:
                parameter.add_(scale * th.randn(parameter.shape, generator=generator))


def task_of(env_id: str, **arguments: Any) -> Any:
    """A task on the bundled sample."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*have more than 8 tokens", UserWarning)
        return make_task(env_id, split="dev", **SAMPLE, **arguments)


def player_of(task: Any, algo: str, env_id: str = "", scale: float = 0.2, **options: Any) -> Player:
    """An agent that has learned nothing."""
    policy = "MultiInputLstmPolicy" if algo == "recurrent_ppo" else "MultiInputPolicy"
    params = {"policy": policy, **SMALL[algo]}
    row = resolve(algo)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice on the sizes of batches
        model = build_model(row, task, params, device="cpu", **options)
    stir(model, scale)
    return Player(model, masked=row.masked, obs_type="index", env_id=env_id, algo=algo)


def check(trace: Trace, *, masked: bool) -> None:
    """What holds for every trace."""
    assert trace.view in VIEWS
    json.loads(trace.to_json(), parse_constant=pytest.fail)
    for decision in trace.decisions:
        legal = [option for option in decision.options if option.legal]
        assert decision.choice.score is not None
        assert not masked or decision.choice.legal
        assert not masked or all(o.score is None for o in decision.options if not o.legal)
        numbers = [len(legal), decision.n_legal, decision.n_actions]
        assert numbers == sorted(numbers)
        best = max(legal, key=lambda o: (o.score or 0.0, -o.action))
        assert not masked or decision.choice.score == best.score or trace.notes
        if decision.runner_up is not None:
            others = [o for o in legal if o.action != decision.chosen]
            assert others
            second = next(o for o in others if o.action == decision.runner_up)
            assert second.score == max(o.score or -math.inf for o in others)
            assert decision.margin == pytest.approx(decision.choice.score - (second.score or 0.0))
        for place in (decision.place, *(option.place for option in decision.options)):
            assert place is None or 0 <= place < len(trace.words)
        if trace.scores == "probability" and len(legal) == decision.n_legal and masked:
            assert sum(option.score or 0.0 for option in legal) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(("env_id", "algo", "view", "arguments"), CASES)
def test_explain_every_family(
    env_id: str, algo: str, view: str, arguments: Mapping[str, Any]
) -> None:
    task = task_of(env_id, **arguments)
    player = player_of(task, algo, env_id)
    rows = [1, 0]
    traces = trace_rows(player, task, rows)
    outputs = outputs_of(player.model, task, masked=player.masked, rows=rows)
    for row, trace, output in zip(rows, traces, outputs, strict=True):
        assert (trace.env_id, trace.algo, trace.view) == (env_id, algo, view)
        assert trace.output == task.record(row, output)
        assert trace.words == task.sample(row).words
        assert trace.metric == task.metric_name
        check(trace, masked=player.masked)
        assert trace.scores == ("value" if "dqn" in algo else "probability")
        assert all(decision.value is not None for decision in trace.decisions)
        assert trace.score == task.score([output], rows=[row], bootstrap=0).value
        replayed, rewards = replay(player, task, row, trace)
        assert rewards == [d.reward for d in trace.decisions]
        assert replayed == output or task.ranks_answers
        right = [[o.action for o in d.options if o.right] for d in trace.decisions]
        assert all(right)


def replay(player: Player, task: Any, row: int, trace: Trace) -> tuple[Any, list[float]]:
    """What comes out when the decisions of a trace are played, and what they earn.

    At each of them the trace says what the policy, asked by itself, holds of every action, and what
    each action earns that is tried out under the reward `correctness`.
    """
    state, rewards = task.initial(np.array([row])), []
    for decision in trace.decisions:
        observation, mask = task.views.observe_with_mask(state, "index")
        assert (mask.sum(), mask.shape) == (decision.n_legal, (1, decision.n_actions))
        scores, value = own_scores(player, observation, mask)
        if scores is not None:
            known = [o for o in decision.options if o.score is not None]
            found = [option.score for option in known]
            assert found == pytest.approx([scores[o.action] for o in known], rel=1e-3, abs=1e-5)
            assert decision.value == pytest.approx(value, rel=1e-3, abs=1e-4)
            others = [scores[k] for k in np.flatnonzero(mask[0]) if k != decision.chosen]
            assert (decision.margin is None) == (not others)
            if others:
                margin = scores[decision.chosen] - max(others)
                assert decision.margin == pytest.approx(margin, rel=1e-3, abs=1e-4)
        if not task.writes:
            right = {option.action for option in decision.options if option.right}
            assert right == best_of_each(task, state, mask)
        if not mask[0][decision.chosen]:
            assert decision.repaired == task.repair(state, np.array([decision.chosen]))[0][0]
        reward, ended = task.transition(state, np.array([decision.chosen]))
        rewards.append(float(reward[0]))
    assert ended[0]
    (output,) = task.outputs(state)
    return output, rewards


def own_scores(player: Player, observation: Any, mask: Any) -> tuple[Any, float]:
    """(A,) what a policy says of actions when it is asked by itself, and the value of the state."""
    policy: Any = player.model.policy
    seen, legal = obs_as_tensor(observation, policy.device), th.as_tensor(mask)
    if player.algo == "recurrent_ppo":  # it has a memory, which other tests follow
        return None, 0.0
    with th.no_grad():
        if player.algo == "masked_dqn":
            values = policy.q_net(seen)[0]
            return values.tolist(), float(values[legal[0]].max())
        if player.algo == "qrdqn":
            values = policy.quantile_net(seen).mean(dim=1)[0]
            return values.tolist(), float(values.max())
        logits = policy.get_distribution(seen).distribution.logits
        if player.masked:
            logits = logits.masked_fill(~legal, -math.inf)
        return logits.softmax(dim=1)[0].tolist(), float(policy.predict_values(seen))


def best_of_each(task: Any, state: Any, mask: Any) -> set[int]:
    """The oracle's action and all others with the highest credit, each tried on a copy."""
    first = np.zeros(1, np.int64)
    (oracle,) = task.oracle(state.take(first)).tolist()
    legal = np.flatnonzero(mask[0]).tolist()
    credit = {k: float(task.play(state.take(first), np.array([k]))[0][0]) for k in legal}
    best = max(credit.values())
    return {oracle, *(k for k in legal if credit[k] == best > 0)}


def test_explain_right_actions_are_those_with_the_best_credit() -> None:
    """Several gold answers have several right first words; a browsed choice has one."""
    task = task_of("SpanQA-SQuAD-v0")
    row = next(
        i for i, s in enumerate(task.corpus.samples) if len({a[1] for a in s.gold or ()}) > 1
    )
    (trace,) = trace_rows(player_of(task, "bc"), task, [row])
    first = trace.decisions[0]
    right = {option.action for option in first.options if option.right}
    assert right == {answer[1] for answer in task.sample(row).gold}
    assert {option.place for option in first.options if option.right} == right
    assert len(first.word_scores) == len(trace.words)
    known = [score for score in first.word_scores if score is not None]
    assert sum(known) == pytest.approx(1.0, abs=1e-3)
    assert trace.context["question"]


def test_explain_top_options_and_the_chosen_and_right_ones() -> None:
    task = task_of("SpanQA-SQuAD-v0")
    player = player_of(task, "bc")
    (few,), (many,) = (trace_rows(player, task, [0], top=top) for top in (1, 30))
    for short, long in zip(few.decisions, many.decisions, strict=True):
        assert len(short.options) <= 1 + sum(option.right or False for option in short.options)
        assert {o.action for o in short.options} <= {o.action for o in long.options}
        assert len(long.options) >= min(30, long.n_legal)
    with pytest.raises(InvalidArgumentError, match="top"):
        trace_rows(player, task, [0], top=0)


def test_explain_a_walk_names_its_edges() -> None:
    task = task_of("KnowledgeGraph-WN18RR-v0")
    (trace,) = trace_rows(player_of(task, "bc"), task, [0])
    assert len(trace.decisions) == task.walks.hops
    assert "beam search of width 100" in trace.notes[0]
    for before, after in zip(trace.decisions[:-1], trace.decisions[1:], strict=True):
        assert before.choice.target == after.at
    first = entity_words(trace.output["answers"][0]["entity"], {})
    assert trace.decisions[-1].choice.target == " ".join(first)


def test_explain_pieces_that_were_read() -> None:
    task = task_of("Sentiment-SST2-v0", chunk=3)
    (trace,) = trace_rows(player_of(task, "bc"), task, [0])
    spans = [decision.span for decision in trace.decisions]
    assert spans[0] == (0, 3)
    assert all(a and b and a[1] == b[0] for a, b in pairwise(spans))
    assert {"READ", *task.labels} == {option.name for option in trace.decisions[0].options}


@pytest.mark.parametrize("copy", [False, True])
def test_explain_where_tokens_come_from(copy: bool) -> None:
    task = task_of("Translation-Multi30k-v0", max_length=8)
    kwargs = {"width": 16, "layers": 2, "heads": 2, "copy": copy}
    params = {**SMALL["bc"], "policy_kwargs": {"features_extractor_kwargs": kwargs}}
    model = build_model(resolve("bc"), task, {"policy": "MultiInputPolicy", **params}, device="cpu")
    stir(model)
    (trace,) = trace_rows(Player(model, True, "index", "", "bc"), task, [0])
    assert trace.sources == ("copying" if copy else "attention")
    for decision in trace.decisions:
        assert len(decision.sources) == len(trace.words)
        total = sum(decision.sources)
        if copy:  # at most what the token's own probability is
            assert 0 <= total <= (decision.choice.score or 0.0) + 1e-4
        else:
            assert total == pytest.approx(1.0, abs=1e-4)


def test_explain_a_mixture_names_the_actions_of_its_tasks() -> None:
    kwargs = {"tasks": ["Question-TREC-v0", "ChoiceQA-ARC-v0"]}
    task = task_of("MultiTask-v0", **kwargs)
    rows = [0, len(task.corpus) - 1]
    for row, trace in zip(rows, trace_rows(player_of(task, "bc"), task, rows), strict=True):
        own, local = task.played(row)
        assert (trace.view, trace.words) == (own.trace_view, own.sample(local).words)
        check(trace, masked=True)
        names = {option.name for option in trace.decisions[0].options}
        assert names <= ({*own.labels, "READ"} if own.labels else {"ANSWER", "CONTINUE"})


# -- agents --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> Agent:
    """A barely trained tagger of entities."""
    config = TrainConfig(
        algo="maskable_ppo",
        n_timesteps=64,
        n_envs=8,
        hyperparams={"n_steps": 8, "batch_size": 64},
        env_kwargs=SAMPLE,
    )
    return load_agent(train(config, run_dir=tmp_path_factory.mktemp("tag") / "run", progress=False))


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path) -> Agent:
    """A reader whose encoder learned."""
    encoder = {"encoder": str(tiny_bert), "encoder_kwargs": {"layers": "last", "dtype": "float32"}}
    config = TrainConfig(
        env="Sentiment-SST2-v0",
        algo="bc",
        n_timesteps=64,
        hyperparams={"batch_size": 16, "tuning": {"dropout": 0.1}},
        encoder_mode="finetune",
        env_kwargs={"corpus": "sample", **encoder},
    )
    return load_agent(
        train(config, run_dir=tmp_path_factory.mktemp("fine") / "run", progress=False)
    )


HOSTILE = "<script>alert(1)</script> \x1b[31mred\x1b[0m \u202egnirts\u202c a\x00b 数据"
TEXT = "Ann Lee lives in New York. She works for the United Nations, and sings."


def test_explain_a_text_is_what_predict_gives(tagger: Agent) -> None:
    trace = tagger.explain(TEXT)
    (result,) = tagger.predict([TEXT])
    assert trace.output == result.to_dict()
    labels = [token["label"] for token in trace.output["tokens"]]
    assert [decision.choice.name for decision in trace.decisions] == labels
    assert [decision.place for decision in trace.decisions] == list(range(len(trace.words)))
    assert trace.words == tuple(token["text"] for token in trace.output["tokens"])
    check(trace, masked=True)
    assert all(decision.reward is None for decision in trace.decisions)
    assert all(option.right is None for d in trace.decisions for option in d.options)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  \n",
        HOSTILE,
        "王小明住在北京。他很高兴。",
        pytest.param("word " * 2000, marks=pytest.mark.slow),
        "word " * 300,
        "数" * 50,
        "\U0001f600",
    ],
)
def test_explain_any_text(text: str, tagger: Agent) -> None:
    trace = tagger.explain(text)
    assert trace.output["text"] == text
    assert len(trace.words) == len(trace.decisions) == len(trace.output["tokens"])
    json.loads(trace.to_json())
    if len(trace.words) > 250:
        assert "long" in trace.notes[0]
    if not text.strip():
        assert "no word" in trace.notes[0]


@settings(deadline=None, max_examples=20)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_explain_any_characters(tagger: Agent, text: str) -> None:
    trace = tagger.explain(text)
    check(trace, masked=True)
    assert [d.choice.name for d in trace.decisions] == [t["label"] for t in trace.output["tokens"]]


def test_explain_one_or_several(tagger: Agent) -> None:
    sample = Sample(("Ann", "sings"), ("B-PER", "O"), "x:1")
    one, blank, words, annotated = tagger.explain([TEXT, "", ["Ann", "sings"], sample], gold=True)
    alone = tagger.explain(TEXT)
    assert one.words == alone.words
    assert [d.chosen for d in one.decisions] == [d.chosen for d in alone.decisions]
    assert not blank.decisions
    assert words.words == annotated.words
    assert (words.score, words.metric) == (None, "")
    assert annotated.score is not None
    assert annotated.metric == "entity_f1"
    assert annotated.output["id"] == "x:1"
    right = [[o.name for o in d.options if o.right] for d in annotated.decisions]
    assert right == [["B-PER"], ["O"]]
    for decision in annotated.decisions:
        assert decision.reward == float(bool(decision.choice.right))
    plain = tagger.explain(sample)
    assert plain.score is None
    assert tagger.explain([]) == []
    for wrong in (7, None):
        with pytest.raises(InvalidArgumentError, match="given="):
            tagger.explain(wrong)  # type: ignore[call-overload]
    with pytest.raises(UnknownNameError, match="relevance"):
        tagger.explain(TEXT, relevance="magic")
    with pytest.raises(InvalidArgumentError, match="top"):
        tagger.explain(TEXT, top=0)


def test_explain_relevance_by_occlusion(tagger: Agent) -> None:
    plain, trace = tagger.explain(TEXT), tagger.explain(TEXT, relevance="auto")
    assert (plain.relevance, trace.relevance) == ("none", "occlusion")
    first = len(TEXT.partition(".")[0].split()) + 1  # words of the first sentence
    window = 1  # words that a state shows on each side
    for before, after in zip(plain.decisions, trace.decisions, strict=True):
        assert before.options == after.options
        assert len(after.relevance) == len(trace.words)
        place = after.place
        assert place is not None
        for k, value in enumerate(after.relevance):
            if abs(k - place) > window or (k < first) != (place < first):
                assert value == pytest.approx(0.0, abs=1e-5)  # the agent has not seen it
        assert any(abs(value) > 1e-5 for value in after.relevance)
    with pytest.raises(InvalidArgumentError, match="frozen"):
        tagger.explain(TEXT, relevance="gradient")
    assert tagger.explain("", relevance="auto").decisions == ()


def test_explain_occlusion_is_what_a_hidden_word_does(tagger: Agent) -> None:
    words = ["Ann", "Lee", "sings"]
    trace = tagger.explain([words], relevance="occlusion")[0]
    hidden = tagger.explain([["[MASK]", "Lee", "sings"]])[0]
    first, other = trace.decisions[0], hidden.decisions[0]
    assert first.choice.score is not None
    score = next(option.score for option in other.options if option.action == first.chosen)
    assert score is not None
    expected = math.log(first.choice.score) - math.log(score)
    assert first.relevance[0] == pytest.approx(expected, abs=1e-4)


def test_explain_occlusion_of_long_texts_is_bounded() -> None:
    for n in (1, 30, 154, 155, 2000, 100_000):
        parts = blocks(n)
        assert [k for part in parts for k in part] == list(range(n))
        assert len(parts) * n <= MOST_WORDS or len(parts) <= LEAST_BLOCKS
    assert len(blocks(30)) == 30


def test_explain_hidden_words_are_hidden_everywhere() -> None:
    turns = (("a", "b"), ("c",))
    sample = Sample(("a", "b", "c"), None, "", {"turns": turns, "other": (("a",),), "n": 3})
    found = hide(sample, [1], "_")
    assert found.words == ("a", "_", "c")
    assert found.extra == {"turns": (("a", "_"), ("c",)), "other": (("a",),), "n": 3}


def test_explain_no_relevance_where_another_text_is_read(tagger: Agent) -> None:
    trace = tagger.explain("Ann sings")

    def opened(samples: list[Sample]) -> Any:
        raise AssertionError("nothing is to be encoded")

    (found,) = occlude(opened, [Sample(("another", "text"))], [trace])
    assert found.relevance == "none"
    assert "another text" in found.notes[0]
    walk = replace(trace, view="walk")
    (found,) = occlude(opened, [Sample(trace.words)], [walk])
    assert "graph" in found.notes[0]


def test_explain_words_of_encoded_texts() -> None:
    words = ("a", "b", "c", "d")
    assert word_places(("a", "b"), words).tolist() == [0, 1]
    assert word_places(("who", "?", "a", "b", "c", "d"), words).tolist() == [-1, -1, 0, 1, 2, 3]
    assert word_places(("c", "d", "x"), words).tolist() == [2, 3, -1]
    assert word_places(("x", "y"), words).tolist() == [-1, -1]


SENTENCE = "the film is a gripping and funny story but far too long for most people"


@pytest.mark.parametrize("method", ["gradient", "integrated gradients", "auto"])
def test_explain_relevance_by_gradients(method: str, tuned: Agent) -> None:
    plain, trace = tuned.explain(SENTENCE), tuned.explain(SENTENCE, relevance=method)
    assert trace.relevance == ("integrated gradients" if method == "auto" else method)
    for before, after in zip(plain.decisions, trace.decisions, strict=True):
        assert before.options == after.options
        assert after.span is not None
        seen = after.relevance[: after.span[1]]
        assert any(abs(value) > 1e-6 for value in seen)
        assert not any(after.relevance[after.span[1] :])  # what was not read yet
    again = tuned.explain(SENTENCE)
    assert again == plain  # nothing of it stays in the policy


@pytest.mark.parametrize(
    ("env_id", "algo", "steps"), [("POS-v0", "masked_dqn", 192), ("SpanQA-SQuAD-v0", "bc", 48)]
)
def test_explain_integrated_gradients_are_complete(
    env_id: str, algo: str, steps: int, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They sum to the difference of the scores on the text and on one of mask tokens."""
    monkeypatch.setattr("nlp_gym_agents.explain.gradients.STEPS", steps)
    task = tiny_task(env_id, tiny_bert, "dev")
    player = player_of(task, algo, scale=0.02, tuning=Tuning(dropout=0.1))
    row = min(range(len(task.corpus)), key=lambda k: len(task.sample(k).words))
    (trace,) = trace_rows(player, task, [row])
    found = attribute(player, task, row, trace, integrated=True)
    total = found.by_word.sum(axis=1) + found.elsewhere
    assert np.abs(found.difference).max() > 0.05
    np.testing.assert_allclose(total, found.difference, atol=0.02, rtol=0.03)
    scores = [score_of(decision, trace) for decision in trace.decisions]
    assert all(score is not None for score in scores)
    if env_id.startswith("SpanQA"):
        assert np.abs(found.elsewhere).max() > 1e-4  # the question speaks, too


def score_of(decision: Decision, trace: Trace) -> float:
    assert decision.choice.score is not None
    return decision.choice.score if trace.scores == "value" else math.log(decision.choice.score)


def test_explain_gradients_do_not_suit_a_memory() -> None:
    task = task_of("NER-CoNLL-v0")
    with pytest.raises(InvalidArgumentError, match="recurrent"):
        check_differentiable(player_of(task, "recurrent_ppo"), "gradient")


def test_explain_a_model_that_does_not_say_what_it_holds() -> None:
    task = task_of("NER-CoNLL-v0")

    def predict(obs: Any, deterministic: bool, action_masks: Any) -> Any:
        return action_masks.argmax(axis=1), None

    policy = SimpleNamespace(set_training_mode=lambda mode: None, device=th.device("cpu"))
    model: Any = SimpleNamespace(policy=policy, predict=predict)
    (trace,) = trace_rows(Player(model, True, "index", "NER-CoNLL-v0", "own"), task, [0])
    assert trace.scores == "none"
    for decision in trace.decisions:
        assert all(option.score is None for option in decision.options)
        assert (decision.margin, decision.value) == (None, None)
        assert decision.choice.legal
        assert any(option.right for option in decision.options)
    json.loads(trace.to_json())
