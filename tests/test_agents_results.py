"""`prediction.results`: a typed result for every kind of task, its confidence and its record."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import assert_same_results

from nlp_gym import make_task
from nlp_gym.errors import InvalidArgumentError, RunError
from nlp_gym.tasks.core.make import task_class, task_ids
from nlp_gym.tasks.parsing.task import Parsing
from nlp_gym_agents import load_agent
from nlp_gym_agents.cli.main import main
from nlp_gym_agents.config.train_config import TrainConfig
from nlp_gym_agents.evaluation.calibration import (
    calibration_error,
    calibration_line,
    fit_calibration,
    log_loss,
)
from nlp_gym_agents.models.acting import make_act
from nlp_gym_agents.models.trained import load_trained
from nlp_gym_agents.prediction import results
from nlp_gym_agents.prediction.agent import Agent
from nlp_gym_agents.prediction.fields import Fields, row_of_json, sample_row
from nlp_gym_agents.prediction.kinds import OTHER, kind_of
from nlp_gym_agents.runs.calibration import (
    CALIBRATION,
    COLDEST,
    HOTTEST,
    read_calibration,
    write_calibration,
)
from nlp_gym_agents.training.train import train

SAMPLE = {"corpus": "sample", "encoder": "hashed"}
HOSTILE = "<script>\x1b[31m\u202egeneva Rome"

Make = Callable[..., Path]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Barely trained runs, each made once: what they decide does not matter here."""
    made: dict[str, Path] = {}

    def run(env_id: str, **kwargs: Any) -> Path:
        name = f"{env_id} {sorted(kwargs.items())}"
        if name not in made:
            folder = tmp_path_factory.mktemp("results") / "run"
            policy = {"features_extractor_kwargs": {"hidden": [16]}}
            config = TrainConfig(
                env=env_id,
                algo="bc",
                n_timesteps=64,
                env_kwargs={**SAMPLE, **kwargs},
                hyperparams={"policy_kwargs": policy},
                device="cpu",
            )
            made[name] = train(config, run_dir=folder, progress=False)
        return made[name]

    return run


def graph_query() -> dict[str, str]:
    known = make_task("KnowledgeGraph-WN18RR-v0", **SAMPLE).corpus.samples[0].extra
    return {"head": known["head"], "relation": known["relation"]}


SAID = "Ann Lee works for Acme in Rome."
GIVEN: dict[str, tuple[type[results.Result], Any]] = {
    "Sentiment-SST2-v0": (results.LabelledText, "A dull film that never ends."),
    "MultiLabel-GoEmotions-v0": (results.LabelSet, {"text": "I love it."}),
    "Relation-CoNLL04-v0": (
        results.Relations,
        {"text": SAID, "entities": [[0, 7, "Peop"], [18, 22, "Org"], [26, 30, "Loc"]]},
    ),
    "SpanQA-SQuAD-v0": (results.Answer, {"question": "Where is Ann?", "context": SAID}),
    "ChoiceQA-OpenBookQA-v0": (
        results.Choice,
        {"question": "What melts?", "choices": ["a stone", "ice", "iron"]},
    ),
    "Dialogue-DailyDialog-v0": (
        results.RankedReplies,
        {"context": ["Hi, how are you?"], "candidates": ["Fine.", "The sun.", "No."]},
    ),
    "DialoguePolicy-SGD-v0": (
        results.DialogueActs,
        {"turns": [{"user": "A table for two."}, {"user": "At seven."}]},
    ),
    "Summary-SciTLDR-v0": (results.PickedSentences, "We did it. It works. The end."),
    "KnowledgeGraph-WN18RR-v0": (results.GraphAnswers, graph_query),
    "Compression-v0": (results.CompressedText, SAID),
}


def check_parts(result: Any) -> list[float]:
    """Offsets point at what they name; gives the confidences of the parts."""
    if isinstance(result, results.LabelledText):
        assert sum(result.probabilities.values()) == pytest.approx(1, abs=1e-6)
        best, probability = next(iter(result.probabilities.items()))
        assert (result.label, result.confidence) == (best, pytest.approx(probability, abs=1e-6))
        return []
    if isinstance(result, results.LabelSet):
        return [label.confidence for label in result.labels]
    if isinstance(result, results.Relations):
        for found in result.relations:
            for end in (found.head, found.tail):
                assert result.passage[end.start : end.end] == end.text
                words = " ".join(result.words[end.first : end.stop])
                assert end.text.split() == words.split()
        return [found.confidence for found in result.relations]
    if isinstance(result, results.Answer):
        assert result.passage[result.start : result.end] == result.answer != ""
        return []
    if isinstance(result, results.Choice):
        first = result.ranking[0]
        assert (first.text, first.index) == (result.answer, result.index)
        assert sorted(choice.index for choice in result.ranking) == [0, 1, 2]
        known = [c.confidence for c in result.ranking if c.confidence is not None]
        assert first.confidence == pytest.approx(result.confidence, abs=1e-6)
        return known
    if isinstance(result, results.RankedReplies):
        assert result.ranking[0].text == result.reply
        chances = [reply.confidence for reply in result.ranking]
        assert sum(chances) == pytest.approx(1, abs=1e-6)
        assert chances[0] == pytest.approx(result.confidence, abs=1e-6)
        return chances
    if isinstance(result, results.DialogueActs):
        return [act.confidence for turn in result.turns for act in turn.acts]
    if isinstance(result, results.PickedSentences):
        for sentence in result.sentences:
            assert result.document[sentence.start : sentence.end] == sentence.text
        return [sentence.confidence for sentence in result.sentences]
    if isinstance(result, results.CompressedText):
        kept = [token.text for token in result.tokens if token.label == "KEEP"]
        assert kept == [result.tokens[place].text for place in result.kept]
        assert result.compression.split() == " ".join(kept).replace(" .", ".").split()
        return [token.confidence for token in result.tokens]
    assert isinstance(result, results.GraphAnswers)
    assert result.answers[0].confidence == result.confidence
    return [answer.confidence for answer in result.answers]


SLOW = ("Summary-SciTLDR-v0", "Dialogue-DailyDialog-v0", "DialoguePolicy-SGD-v0")
"""Enough are left without these."""


@pytest.mark.parametrize(
    "env_id", [pytest.param(x, marks=[pytest.mark.slow] * (x in SLOW)) for x in GIVEN]
)
def test_results_of_every_family(env_id: str, make: Make) -> None:
    kind, given = GIVEN[env_id]
    agent = load_agent(make(env_id), device="cpu")
    given = given() if callable(given) else given
    (result,) = agent.predict([given])
    assert type(result) is kind
    assert 0 < result.confidence <= 1
    assert not result.calibrated
    assert all(0 <= chance <= 1 for chance in check_parts(result))
    record = json.loads(result.to_json())
    assert record == result.to_dict()
    assert record["confidence"] == round(result.confidence, results.DECIMALS)
    for key, value in result.record.items():  # what the task says is there, unchanged
        if isinstance(value, list) and value and isinstance(value[0], dict):
            trimmed = [
                {k: one[k] for k in two} for one, two in zip(record[key], value, strict=True)
            ]
            assert trimmed == json.loads(json.dumps(value))
        else:
            assert record[key] == json.loads(json.dumps(value))
    assert_same_results(agent.predict([given, given]), [result, result])


def test_results_every_registered_task_has_a_kind() -> None:
    for env_id in task_ids():
        cls = task_class(env_id)
        assert cls.is_mixture == (kind_of(cls) is OTHER), env_id


def test_results_of_a_task_with_records_of_its_own_are_generic() -> None:
    cls = task_class("Sentiment-SST2-v0")
    own = type("Own", (cls,), {"record": lambda self, row, output: {"mine": output}})
    assert kind_of(own) is OTHER
    assert kind_of(type("Derived", (cls,), {})) is kind_of(cls)
    result = results.OtherResult(record={"mine": 1}, confidence=0.123456, decisions=(0.5,))
    assert result.to_dict() == {"mine": 1, "confidence": 0.1235, "calibrated": False}


def test_results_that_were_read_chunk_by_chunk_count_labels_alone(make: Make) -> None:
    agent = Agent(make("Question-TREC-v0", reading=True), env_kwargs={"chunk": 2})
    texts = ["What is the capital of Peru ?", "Who wrote it ?", ""]
    found: Any = agent.predict(texts)
    for result in found[:2]:
        check_parts(result)
        assert set(result.probabilities) == set(agent.trained.labels)
    assert (found[2].label, found[2].confidence, found[2].probabilities) == (None, None, {})
    assert found[2].to_dict() == {"text": "", "confidence": None, "calibrated": False}


# Streams, threads, mappings.


def test_results_of_streams_come_batch_by_batch(make: Make) -> None:
    agent = Agent(make("POS-EWT-v0"))
    asked: list[int] = []

    def texts() -> Iterator[str]:
        for n in range(10**9):
            asked.append(n)
            yield f"Word {n} sings."

    stream = agent.stream(texts(), batch_size=3)
    first = [next(stream) for _ in range(4)]
    assert len(asked) == 6
    assert [result.text for result in first] == [f"Word {n} sings." for n in range(4)]
    assert_same_results(first, agent.predict(f"Word {n} sings." for n in range(4)))
    assert list(agent.stream([])) == []
    with pytest.raises(InvalidArgumentError, match="batch_size=0"):
        next(agent.stream(["a"], batch_size=0))
    for wrong in ("a text", {"text": "a"}, 3):
        with pytest.raises(InvalidArgumentError, match="given="):
            agent.predict(wrong)  # type: ignore[arg-type]


def test_results_of_several_threads_are_those_of_one(make: Make) -> None:
    agent = Agent(make("POS-EWT-v0"))
    texts = [[f"Text {i} of {k} is here." for i in range(k + 1)] for k in range(8)]
    expected = [agent.predict(some) for some in texts]
    found: dict[int, Any] = {}

    def work(k: int) -> None:
        found[k] = [agent.predict(texts[k]) for _ in range(4)]

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for k in range(8):
        for again in found[k]:
            assert_same_results(again, expected[k])


def test_results_of_mappings_are_checked(make: Make) -> None:
    agent = Agent(make("SpanQA-SQuAD-v0"))
    good = {"question": "Who?", "context": "Ann sings.", "id": "q7"}
    (result,) = agent.predict([good])
    assert (result.id, result.to_dict()["id"]) == ("q7", "q7")
    with pytest.raises(InvalidArgumentError, match=r"mapping 2, .*Wanted is one question per line"):
        agent.predict([good, {"question": "Who?"}])
    for bad in ({"question": object(), "context": "a"}, {"context": float("nan")}):
        with pytest.raises(InvalidArgumentError, match="cannot be written as JSON"):
            agent.predict([bad])
    with pytest.raises(InvalidArgumentError, match="--question QUESTION --passage PASSAGE"):
        agent.predict(["a text"])
    relations = Agent(make("Relation-CoNLL04-v0"))
    with pytest.raises(InvalidArgumentError, match="no text of the file has two entities"):
        relations.predict([{"text": SAID, "entities": [[0, 7]]}])


def test_results_score_what_evaluate_scores(make: Make) -> None:
    agent = Agent(make("POS-EWT-v0"))
    best = json.loads((agent.trained.run / "best" / "settings.json").read_text())
    assert agent.score("dev", bootstrap=0).value == best["value"]


# Calibration.


def test_calibration_measures_by_hand() -> None:
    p, right = np.array([0.9, 0.9, 0.1, 0.5]), np.array([1.0, 0.0, 0.0, 1.0])
    # Bins of .9 (two: gap .4 each), .1 (gap .1) and .5 (gap .5).
    assert calibration_error(p, right) == pytest.approx((0.8 + 0.1 + 0.5) / 4)
    expected = -(np.log(0.9) + np.log(0.1) + np.log(0.9) + np.log(0.5)) / 4
    assert log_loss(p, right) == pytest.approx(expected)
    assert calibration_error(np.ones(3), np.ones(3)) == 0.0
    assert log_loss(np.array([1.0, 0.0]), np.array([0.0, 1.0])) < 20


@pytest.mark.parametrize("env_id", ["POS-EWT-v0", "KnowledgeGraph-WN18RR-v0"])
def test_calibration_changes_confidences_alone(env_id: str, make: Make, tmp_path: Path) -> None:
    run = make(env_id)
    given: Any = [graph_query()] if env_id.startswith("Knowledge") else ["Ann sings.", "Bo"]
    before = Agent(run).predict(given)
    fitted = fit_calibration(load_trained(run))
    assert fitted is not None
    assert fitted["after"]["log_loss"] <= fitted["before"]["log_loss"]
    assert str(fitted["n"]) in calibration_line(fitted).replace(",", "")
    warmer = {**fitted, "temperature": 3.0}
    try:
        write_calibration(run, warmer)  # type: ignore[arg-type]
        after = Agent(run).predict(given)
        assert all(result.calibrated for result in after)
        assert not Agent(run, checkpoint="last").predict(given)[0].calibrated
        for one, two in zip(before, after, strict=True):
            assert one.record == two.record
            assert one.confidence != two.confidence
        write_calibration(run, {**warmer, "timesteps": 1})  # type: ignore[typeddict-item]
        assert_same_results(Agent(run).predict(given), before)
        for damage in ('{"temperature": 0}', "[]", json.dumps({**warmer, "temperature": 99.0})):
            (run / CALIBRATION).write_text(damage)
            with pytest.raises(RunError, match=r"calibration\.json is damaged"):
                Agent(run)
    finally:
        (run / CALIBRATION).unlink()
    assert read_calibration(run, 64) is None


def test_a_transition_is_right_where_none_costs_less(make: Make) -> None:
    agent = load_trained(make("Parsing-EWT-v0"))
    fitted, task = fit_calibration(agent), agent.task("dev")
    assert isinstance(task, Parsing)
    right = list[bool]()
    with agent.reading(task) as model:
        act = make_act(model, masked=True)
        for row in range(len(task.corpus)):
            state, ended = task.initial(np.array([row])), np.zeros(1, bool)
            while not ended[0]:
                seen, mask = task.views.observe_with_mask(state, agent.settings["obs_type"])
                action = act(seen, mask)
                costs = task.costs(state)[0]
                right.append(int(costs[action[0]]) == int(costs[mask[0]].min()))
                _, ended = task.transition(state, action)
    assert fitted is not None
    assert (fitted["n"], fitted["accuracy"]) == (len(right), pytest.approx(np.mean(right)))


@pytest.mark.parametrize("env_id", ["DialogueSim-SGD-v0", "Compression-v0"])
def test_what_is_right_or_wrong_as_a_whole_is_not_calibrated(env_id: str, make: Make) -> None:
    assert fit_calibration(load_trained(make(env_id))) is None


def test_calibration_finds_the_temperature_of_a_model_that_is_too_sure(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = load_trained(make("POS-EWT-v0"))
    task, fits = agent.task("dev"), []
    for factor in (64, 4):  # what was hardly trained is far from sure
        with agent.reading(task) as model:
            head: Any = model.policy.action_net  # type: ignore[union-attr]
            head.weight.data *= factor
            head.bias.data *= factor
        fit = fit_calibration(agent)
        assert fit is not None
        fits.append(fit)
    plain, sure = fits
    assert COLDEST < plain["temperature"] < HOTTEST / 4
    assert sure["temperature"] == pytest.approx(4 * plain["temperature"], rel=0.1)
    assert sure["after"]["ece"] == pytest.approx(plain["after"]["ece"], abs=0.02)
    assert sure["before"]["log_loss"] > sure["after"]["log_loss"]


def test_results_of_hostile_texts_are_as_given(make: Make) -> None:
    (result,) = Agent(make("POS-EWT-v0")).predict([HOSTILE + "\x00"])
    assert result.text == HOSTILE + "\x00"
    assert json.loads(result.to_json())["text"] == result.text


# The command line.


def run_main(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


def test_predict_command_takes_parts_of_samples(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    span, choice = str(make("SpanQA-SQuAD-v0")), str(make("ChoiceQA-OpenBookQA-v0"))
    for parts in (
        ("--question", "Who?", "--passage", "Ann sings."),
        ('{"question": "Who?", "context": "Ann sings."}',),
    ):
        assert run_main("predict", span, *parts) == 0
        record = json.loads(capsys.readouterr().out)
        assert record["answer"] in record["text"] == "Ann sings."
    parts = ("--question", "What melts?", "--choice", "ice", "--choice", "stone")
    assert run_main("predict", choice, *parts) == 0
    assert json.loads(capsys.readouterr().out)["choices"] == ["ice", "stone"]
    for wrong, message in (
        (("--question", "Who?"), "--passage is missing"),
        (("--question", "Who?", "--reply", "a"), "--reply"),
        (("x", "--question", "Who?"), "TEXT 'x'"),
        (("--question", "Who?", "--input", "f"), "not both"),
        (("--output", "f"), "answered on stdout"),
    ):
        assert run_main("predict", span, *wrong) == 1
        assert message in capsys.readouterr().err


def test_parts_of_samples_make_rows() -> None:
    assert sample_row("kg", None, Fields(head="a", relation="b")) == {"head": "a", "relation": "b"}
    row = sample_row("relation", SAID, Fields(head="Ann Lee", tail="Acme"))
    assert row["relations"] == [{"head": [0, 7], "tail": [18, 22]}]
    assert sample_row("policy", None, Fields(turn=("a", "b"))) == {
        "turns": [{"user": "a"}, {"user": "b"}]
    }
    with pytest.raises(InvalidArgumentError, match="--tail 'Bo' does not stand in the text"):
        sample_row("relation", SAID, Fields(head="Ann", tail="Bo"))
    with pytest.raises(InvalidArgumentError, match="TEXT is missing"):
        sample_row("relation", None, Fields(head="Ann", tail="Bo"))
    assert row_of_json(' {"a": 1}') == {"a": 1}
    for text in ("{", "[1]", "a", "{} x", "[" * 100_000, '{"a":' * 100_000):
        assert row_of_json(text) is None


def test_predict_command_answers_lines_as_they_come(
    make: Make, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = ["Ann sings.", "", "  ", HOSTILE]
    typed = "\n".join(lines).encode() + b"\ncaf\xe9\na\x00\nBo"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(typed)))
    assert run_main("predict", str(make("POS-EWT-v0"))) == 1  # for lines that are no text
    shown = capsys.readouterr()
    assert [json.loads(line)["text"] for line in shown.out.splitlines()] == [
        "Ann sings.",
        HOSTILE,
        "Bo",
    ]
    assert "\x1b" not in shown.out
    assert "\u202e" not in shown.out
    assert "stdin:5" in shown.err
    assert "stdin:6: the line holds a NUL" in shown.err
    typed = b'{"question": "Who?", "context": "Ann sings."}\nWho?\n'
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(typed)))
    assert run_main("predict", str(make("SpanQA-SQuAD-v0"))) == 1
    shown = capsys.readouterr()
    assert json.loads(shown.out)["question"] == "Who?"
    assert "needs more than a text" in shown.err


def conversation(run: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "nlp_gym_agents.cli.main", "predict", str(run)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


@pytest.mark.slow
def test_predict_command_answers_before_the_next_line_is_typed(make: Make) -> None:
    with conversation(make("POS-EWT-v0")) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for text in ("Ann sings.", "Große Freude 🎉"):
            process.stdin.write(text + "\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["text"] == text
        process.stdin.close()
        assert process.wait() == 0
    with conversation(make("POS-EWT-v0")) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write("Ann sings.\n")
        process.stdin.flush()
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
        assert process.stderr.read() == "interrupted\n"


SLOW_TO_IMPORT = ("transformers", "torch._dynamo", "sklearn", "scipy", "pandas", "matplotlib")


@pytest.mark.slow
@pytest.mark.minilm
def test_predict_command_loads_nothing_that_it_does_not_need(tmp_path: Path) -> None:
    config = TrainConfig(algo="bc", n_timesteps=64, env_kwargs={"corpus": "sample"}, device="cpu")
    run = train(config, run_dir=tmp_path / "run", progress=False)
    code = (
        "import sys\n"
        "from nlp_gym_agents.cli.main import main\n"
        "try:\n"
        f"    main(['predict', {str(run)!r}, 'Ann lives in Rome.'])\n"
        "except SystemExit as ended:\n"
        "    assert not ended.code\n"
        f"print([name for name in {SLOW_TO_IMPORT} if name in sys.modules])\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    record, loaded = found.stdout.splitlines()
    assert json.loads(record)["text"] == "Ann lives in Rome."
    assert loaded == "[]"


@pytest.mark.slow
def test_a_blank_document_gives_a_result_with_nothing_picked(make: Make) -> None:
    agent = load_agent(make("Summary-SciTLDR-v0"), device="cpu")
    blank, full = agent.predict([" \n", "We did it. It works."])
    assert isinstance(blank, results.PickedSentences)
    assert (blank.text, blank.sentences, blank.confidence) == (" \n", (), None)
    assert isinstance(full, results.PickedSentences)
    assert full.sentences
