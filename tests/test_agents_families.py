"""What holds for agents of every task family: hyperparameters, search, prediction, listing."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from nlp_gym import make_task
from nlp_gym.data import FAMILIES
from nlp_gym.errors import InvalidArgumentError, UnknownNameError
from nlp_gym.tasks.core.make import task_class, task_ids
from nlp_gym.tasks.core.rollout import rollout
from nlp_gym.types import Sample
from nlp_gym_agents.algorithms.registry import ALGORITHMS, resolve
from nlp_gym_agents.cli.environments.envs import HEADER, env_rows
from nlp_gym_agents.cli.main import app, main
from nlp_gym_agents.config.hyperparams import FOLDER, load_hyperparams
from nlp_gym_agents.config.train_config import TrainConfig
from nlp_gym_agents.models.acting import make_act, make_log_probs
from nlp_gym_agents.models.beam_search import best_of, search
from nlp_gym_agents.models.build import build_model
from nlp_gym_agents.models.play import drawn_rows, outputs_of
from nlp_gym_agents.prediction.agent import Agent
from nlp_gym_agents.prediction.inputs import sample_id
from nlp_gym_agents.training.train import train

pytestmark = pytest.mark.usefixtures("one_thread")
SAMPLE: dict[str, Any] = {"corpus": "sample", "encoder": "hashed"}
TINY = {"batch_size": 64}


def test_families_of_ids() -> None:
    assert task_class("NER-CoNLL-v0").family == "tagging"
    assert task_class("KnowledgeGraph-WN18RR-v0").family == "kg"
    known = {*FAMILIES, "", "multi", "multitask"}
    assert {task_class(env_id).family for env_id in task_ids()} <= known


def test_families_hyperparameters_id_then_family_then_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (FOLDER / "bc.yml").read_text()
    rows = "\nfamily:choice:\n  <<: *default\n  batch_size: 7\n"
    rows += "\nChoiceQA-ARC-v0:\n  <<: *default\n  batch_size: 5\n"
    (tmp_path / "bc.yml").write_text(text.split("\nNER-")[0] + rows)
    monkeypatch.setattr("nlp_gym_agents.config.hyperparams.FOLDER", tmp_path)
    assert load_hyperparams("bc", "ChoiceQA-ARC-v0")["batch_size"] == 5
    assert load_hyperparams("bc", "ChoiceQA-OpenBookQA-v0")["batch_size"] == 7
    assert load_hyperparams("bc", "POS-EWT-v0")["batch_size"] == 512
    assert load_hyperparams("bc", "Anything-v0")["batch_size"] == 512


@pytest.mark.parametrize("algo", sorted(ALGORITHMS))
def test_families_hyperparameter_files_fit_every_id(algo: str) -> None:
    for env_id in task_ids():
        for mode in ("frozen", "finetune", "lora"):
            load_hyperparams(algo, env_id, encoder_mode=mode)
    names = {
        line[7:-1].partition("@")[0]
        for line in (FOLDER / f"{algo}.yml").read_text().splitlines()
        if line.startswith("family:")
    }
    assert {name.partition(":")[0] for name in names} <= set(FAMILIES)


def test_families_delayed_rewards_are_looked_ahead_to() -> None:
    for env_id in ("KnowledgeGraph-WN18RR-v0", "ChoiceQA-ARC-v0", "Sentiment-SST2-v0"):
        for algo in ("masked_dqn", "maskable_ppo"):
            assert load_hyperparams(algo, env_id)["gamma"] >= 0.9
    # A state of SpanQA is wide: the buffer must not take gigabytes.
    assert load_hyperparams("masked_dqn", "SpanQA-SQuAD-v0")["buffer_size"] <= 100_000


def test_search_best_pairs_by_hand() -> None:
    scores = np.array([[0.5, -np.inf, 0.9], [0.7, 0.1, 0.7], [-np.inf, 0.2, -np.inf]])
    states, actions = best_of(scores, np.array([4, 4, 9]), 3)
    assert states.tolist() == [0, 1, 1, 2]
    assert actions.tolist() == [2, 0, 2, 1]


@pytest.fixture(scope="module")
def walker() -> Any:
    task = make_task("KnowledgeGraph-WN18RR-v0", **SAMPLE)
    params = {"policy": "MultiInputPolicy", **TINY}
    model = build_model(resolve("bc"), task, params, device="cpu")
    model.learn(2000, log_interval=None)
    return model, task


def test_search_beam_of_one_is_greedy(walker: Any) -> None:
    model, task = walker
    greedy = rollout(task, make_act(model, masked=True))
    assert outputs_of(model, task, masked=True, beam=1) == greedy

    log_probs = make_log_probs(model)
    assert log_probs is not None
    rows = np.arange(len(task.corpus))
    assert search(task, log_probs, rows, 1, "index") == greedy


def test_search_finds_what_all_walks_find(walker: Any) -> None:
    """A beam wider than all walks ranks every reachable entity by its most probable walk."""
    model, task = walker
    log_probs, row = make_log_probs(model), 3
    assert log_probs is not None
    best: dict[Any, float] = {}

    def walk(state: Any, total: float) -> None:
        mask = task.mask(state)
        found = log_probs(task.observe(state, "index"), mask)[0]
        for action in np.flatnonzero(mask[0]):
            after = state.take(np.array([0]))
            _, ended = task.transition(after, np.array([action]))
            value = total + float(found[action])
            if ended[0]:
                (name,) = task.outputs(after)[0]
                best[name] = max(best.get(name, -np.inf), value)
            else:
                walk(after, value)

    walk(task.initial(np.array([row])), 0.0)
    (ranking,) = outputs_of(model, task, masked=True, rows=[row], beam=100_000)
    assert sorted(ranking) == sorted(best)
    values = [best[name] for name in ranking]
    assert values == sorted(values, reverse=True)


def test_search_of_a_large_split_is_a_fixed_draw(walker: Any) -> None:
    task = walker[1]
    n = len(task.corpus)
    assert drawn_rows(task, None) is None
    assert drawn_rows(task, n) is None
    rows = drawn_rows(task, 5)
    assert rows is not None
    assert rows == drawn_rows(task, 5) == sorted(set(rows))
    assert len(rows) == 5
    assert drawn_rows(make_task("POS-EWT-v0", **SAMPLE), 5) is None  # played whole


def test_search_values_become_probabilities() -> None:
    task = make_task("KnowledgeGraph-WN18RR-v0", **SAMPLE)
    params = {"policy": "MultiInputPolicy", "buffer_size": 64}
    model = build_model(resolve("masked_dqn"), task, params, device="cpu")
    log_probs = make_log_probs(model)
    assert log_probs is not None
    state = task.initial(np.arange(5))
    mask = task.mask(state)
    found = np.exp(log_probs(task.observe(state, "index"), mask))
    assert found.sum(axis=1) == pytest.approx(1)
    assert (found[~mask] == 0).all()


def trained(tmp_path: Path, env_id: str) -> Path:
    config = TrainConfig(
        env=env_id, algo="bc", n_timesteps=64, env_kwargs=SAMPLE, hyperparams=TINY, device="cpu"
    )
    return train(config, run_dir=tmp_path / "run", progress=False)


@pytest.mark.parametrize(
    ("env_id", "key"), [("Sentiment-SST2-v0", "label"), ("MultiLabel-GoEmotions-v0", "labels")]
)
def test_families_predict_raw_text(
    env_id: str, key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = trained(tmp_path, env_id)
    predictor = Agent(run, device="cpu")
    texts = ["A dull film. It never ends!", "", "Große Freude 🎉"]
    records = [result.to_dict() for result in predictor.predict(texts)]
    assert [record["text"] for record in records] == texts
    assert key in records[0]
    assert key not in records[1]
    assert [result.to_dict()[key] for result in predictor.predict(texts[2:])] == [records[2][key]]
    (tmp_path / "a.txt").write_text("\n".join(texts))
    with pytest.raises(SystemExit):
        main(["predict", str(run), "--input", str(tmp_path / "a.txt")])
    lines = capsys.readouterr().out.splitlines()
    places = [{"id": f"a.txt:{i}"} for i in (1, 2, 3)]
    assert [json.loads(line) for line in lines] == [
        {**place, **record} for place, record in zip(places, records, strict=True)
    ]
    with pytest.raises(SystemExit) as ended:
        main(["predict", str(run), "x", "--format", "conll"])
    assert ended.value.code == 1
    assert "is not for what this run decides" in capsys.readouterr().err


def test_families_predict_names_that_the_graph_lacks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = trained(tmp_path, "KnowledgeGraph-WN18RR-v0")
    known = make_task("KnowledgeGraph-WN18RR-v0", **SAMPLE).corpus.samples[0].extra
    head, relation = known["head"], known["relation"]
    path, out = tmp_path / "q.txt", tmp_path / "out.jsonl"

    def predict(*rows: str) -> str:
        path.write_text("".join(f"{row}\n" for row in rows))
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            with pytest.raises(SystemExit) as ended:
                main(["predict", str(run), "--input", str(path), "--output", str(out)])
        assert ended.value.code == int(not out.exists())
        return capsys.readouterr().err

    wrong = f"{head}x\t{relation}"
    text = predict(f"{head}\t{relation}", wrong, f"{head}\tno such thing")
    assert text.startswith("warning: 2 of 3 queries")
    for place in ("q.txt:2: head", "q.txt:3: relation 'no such thing'"):
        assert place in text
    records = [json.loads(line) for line in out.read_text().splitlines()]
    assert "problem" not in records[0]
    assert [bool(record["answers"]) for record in records] == [True, False, True]
    assert f"did you mean {head!r}" in records[1]["problem"]
    assert "relation 'no such thing'" in records[2]["problem"]
    out.unlink()
    text = predict(wrong, "a\tb")
    assert text.startswith("error: no query can be answered: q.txt:1: head")
    assert "Traceback" not in text
    extra = {"head": head, "relation": relation}
    asked = [Sample((head,), None, "", extra), Sample(("z",), None, "", {**extra, "head": "z"})]
    with pytest.warns(UserWarning, match="1 of 2 queries .* sample 1: head 'z'"):
        Agent(run, device="cpu").predict(asked)


def test_families_predict_files_of_other_families(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = trained(tmp_path, "ChoiceQA-ARC-v0")
    questions = [
        {"question": "What melts in the sun?", "choices": ["stone", "ice", "iron"]},
        {"question": "Which is a bird?", "choices": ["owl", "trout"]},
    ]
    path = tmp_path / "q.jsonl"
    path.write_text("".join(json.dumps(q) + "\n" for q in questions))
    out = tmp_path / "out.jsonl"
    with pytest.raises(SystemExit) as ended:
        main(["predict", str(run), "--input", str(path), "--output", str(out)])
    assert ended.value.code == 0
    records = [json.loads(line) for line in out.read_text().splitlines()]
    assert all(
        record["answer"] in q["choices"] for record, q in zip(records, questions, strict=True)
    )
    assert [(record["id"], record["text"]) for record in records] == [
        (f"q.jsonl:{i}", q["question"]) for i, q in enumerate(questions, 1)
    ]
    predictor = Agent(run, device="cpu")
    assert not predictor.reads_text
    for call in (lambda: predictor.predict(["a text"]), lambda: predictor.gather("a", None)):
        with pytest.raises(InvalidArgumentError, match=r"--input FILE .*\"question\", \"choices\""):
            call()


def test_families_recurrent_memory_of_several_decisions_at_one_place() -> None:
    task = make_task("MultiLabel-GoEmotions-v0", **SAMPLE)
    params = {"policy": "MultiInputLstmPolicy", "n_steps": 4, "batch_size": 8}
    params["policy_kwargs"] = {"lstm_hidden_size": 8}
    model = build_model(resolve("recurrent_ppo"), task, params, device="cpu")
    act, state = make_act(model, masked=True), task.initial(np.arange(4))
    obs, mask = task.observe(state, "index"), task.mask(state)
    seen: list[Any] = []
    policy = model.policy
    real = policy.get_distribution

    def spy(tensors: Any, memory: Any, begin: Any) -> Any:
        seen.append((begin.tolist(), memory[0].abs().sum().item()))
        return real(tensors, memory, begin)

    policy.get_distribution = spy
    act(obs, mask)
    act(obs, mask)  # at position 0 still
    assert seen[0] == ([1.0] * 4, 0.0)
    assert seen[1][0] == [0.0] * 4
    assert seen[1][1] > 0


def test_families_listing_has_every_id() -> None:
    rows = {row[0]: dict(zip(HEADER, row, strict=True)) for row in env_rows()}
    assert set(rows) == set(task_ids())
    assert rows["SpanQA-SQuAD-v0"]["family"] == "spanqa"
    assert rows["SpanQA-SQuAD-v0"]["metric"] == "squad_f1"
    mixture = rows["MultiTask-v0"]
    assert mixture["metric"] == "mean_score"
    assert mixture["full corpus"] == "those of its tasks"


ONE_PER_FAMILY = {
    "Classification-v0": "documentary that respects",
    "MultiLabel-v0": "Hang in there",
    "NER-v0": "STORM/O ODALYS/B-MISC",
    "Relation-v0": "Oskar Lund -> Molde: Live_In",
    "SpanQA-v0": "the town clock",
    "ChoiceQA-v0": "*0: vapour",
    "Dialogue-v0": "8 candidates; right:",
    "DialoguePolicy-v0": "user: 'Play some calm music.' -> REQUEST",
    "Summary-v0": "Many rooms in old hospitals",
    "KnowledgeGraph-v0": "splice_ropes.v.01",
    "MultiTask-v0": "-> NUM",
}
"""By id: a piece of the example that training ends with, which is of the dev split."""


@pytest.mark.parametrize("env_id", ONE_PER_FAMILY)
def test_families_train_command_ends_with_the_run_folder(env_id: str, tmp_path: Path) -> None:
    options = ["--algo", "bc", "-n", "200", "--device", "cpu", "--no-progress"]
    options += ["--env-kwargs", "corpus:sample", "encoder:hashed", "--run-dir", str(tmp_path / "r")]
    result = CliRunner().invoke(app, ["train", "--env", env_id, *options])
    assert result.exit_code == 0, result.output
    assert "warning" not in result.stderr
    *_, last = result.stdout.splitlines()
    assert last == str(tmp_path / "r")
    _, _, example = result.stdout.partition("an example with its gold, ")
    gold, _, decided = example.partition("what the agent decides on it:")
    assert ONE_PER_FAMILY[env_id] in gold
    assert decided.strip()
    assert (tmp_path / "r" / "report.json").exists()


def test_families_train_command_keeps_the_run_folder_when_the_end_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: Any, **options: Any) -> None:
        raise KeyError("tokens")

    run = tmp_path / "r"
    monkeypatch.setattr("nlp_gym_agents.training.train.train", lambda *arguments, **options: run)
    monkeypatch.setattr(
        "nlp_gym_agents.runs.folder.read_config", lambda run, **options: {"device": "cpu"}
    )
    monkeypatch.setattr(
        "nlp_gym_agents.evaluation.test_report.final_report", lambda *arguments, **options: {}
    )
    monkeypatch.setattr(
        "nlp_gym_agents.evaluation.test_report.print_report", lambda *arguments: None
    )
    monkeypatch.setattr("nlp_gym_agents.evaluation.example.print_example", broken)
    result = CliRunner().invoke(app, ["train"])
    assert result.exit_code == 0
    assert "no example: KeyError" in result.stderr
    assert result.stdout.splitlines() == [str(run)]
    monkeypatch.setattr("nlp_gym_agents.evaluation.test_report.final_report", broken)
    result = CliRunner().invoke(app, ["train"])
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [str(run)]


def test_families_predict_names_what_it_read(tmp_path: Path) -> None:
    predictor = Agent(trained(tmp_path, "Sentiment-SST2-v0"), device="cpu")
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "A dull film."}\n\n{"text": "Great  fun!"}\n')
    records = [result.to_dict() for result in predictor.predict(predictor.gather(None, path))]
    assert [(record["id"], record["text"]) for record in records] == [
        ("a.jsonl:1", "A dull film."),
        ("a.jsonl:3", "Great  fun!"),
    ]
    sample = Sample(("a", "b"), id="f:1", extra={"id": 7})
    record = predictor.predict([sample])[0].to_dict()
    assert next(iter(record)) == "id"
    assert record["id"] == 7
    assert "text" not in record
    for bad in ("\ud83d", float("nan"), None, ""):  # no JSON in UTF-8: its place is told
        assert sample_id(Sample(("a",), id="f:1", extra={"id": bad})) == "f:1"


def test_families_predict_takes_arguments_of_the_environment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = trained(tmp_path, "Sentiment-SST2-v0")
    ends = []
    for chunk in (1, 20):
        with pytest.raises(SystemExit) as ended:
            main(["predict", str(run), "One two three four five", "--env-kwargs", f"chunk:{chunk}"])
        assert ended.value.code == 0
        ends.append(json.loads(capsys.readouterr().out)["read"])
    assert ends[1] == 5
    for wrong, words in ((["chunks:1"], "chunk"), (["labels:['a']"], "trained on")):
        with pytest.raises(SystemExit) as ended:
            main(["predict", str(run), "x", "--env-kwargs", *wrong])
        assert ended.value.code == 1
        assert words in capsys.readouterr().err


def test_families_predict_through_one_task_of_a_mixture(tmp_path: Path) -> None:
    run = trained(tmp_path, "MultiTask-v0")
    with pytest.raises(InvalidArgumentError, match=r"one of its tasks .*tasks:\['Question-TREC-v0"):
        Agent(run, device="cpu").gather("x", None)
    with pytest.raises(InvalidArgumentError, match="is a mixture"):
        Agent(run, device="cpu").predict(["x"])
    with pytest.raises(UnknownNameError, match="POS-EWT-v0"):
        Agent(run, device="cpu", env_kwargs={"tasks": ["POS-EWT-v9"]})
    words = Agent(run, device="cpu", env_kwargs={"tasks": ["POS-EWT-v0"]})
    record = words.predict(words.gather("Ann sings", None))[0].to_dict()
    assert [token["text"] for token in record["tokens"]] == ["Ann", "sings"]
    own = {"Classification-v0": {"labels": ["good", "bad"]}}
    kwargs = {"tasks": ["Classification-v0"], "task_kwargs": own}
    record = Agent(run, device="cpu", env_kwargs=kwargs).predict(["Fine film"])[0].to_dict()
    assert (record["task"], record["text"]) == ("Classification-v0", "Fine film")
    assert record["label"] in ("good", "bad")
