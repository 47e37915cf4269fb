"""`prediction.feedback`: what is kept of corrections and ratings, and what an agent learns."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as th
from conftest import tiny_run
from typer.testing import CliRunner

from nlp_gym import make_task
from nlp_gym.errors import InvalidArgumentError, RunError
from nlp_gym_agents import load_agent
from nlp_gym_agents.cli.main import app
from nlp_gym_agents.config.train_config import TrainConfig
from nlp_gym_agents.prediction.agent import Agent
from nlp_gym_agents.prediction.feedback import learner, stages, store
from nlp_gym_agents.prediction.feedback.answers import tagged_rows
from nlp_gym_agents.prediction.feedback.corrections import parted, write_corrections
from nlp_gym_agents.prediction.feedback.losses import change, rating_loss
from nlp_gym_agents.prediction.feedback.rows import annotated_row, samples_of
from nlp_gym_agents.prediction.feedback.stages import LEARNED, read_learned
from nlp_gym_agents.prediction.inputs import from_text
from nlp_gym_agents.training.train import train

SAMPLE = {"corpus": "sample", "encoder": "hashed"}
SAID = "Ann Lee works for Acme in Rome."
PEOPLE = [[0, 7, "Peop"], [18, 22, "Org"], [26, 30, "Loc"]]
WORKS = {"head": [0, 7], "tail": [18, 22], "label": "Work_For"}
FAST: dict[str, Any] = {"replay_texts": 20, "passes": 2}

Make = Callable[..., Agent]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {"": tmp_path_factory.mktemp("feedback")}


@pytest.fixture
def make(made: dict[str, Path]) -> Make:
    """Barely trained agents, each trained once; none has feedback."""

    def agent(env_id: str = "Sentiment-SST2-v0", algo: str = "bc", **kwargs: Any) -> Agent:
        name = f"{env_id}-{algo}-{len(kwargs)}"
        if name not in made:
            config = TrainConfig(
                env=env_id, algo=algo, n_timesteps=64, env_kwargs={**SAMPLE, **kwargs}, device="cpu"
            )
            made[name] = train(config, run_dir=made[""] / name, progress=False)
        (made[name] / store.FEEDBACK).unlink(missing_ok=True)
        return load_agent(made[name])

    return agent


ANSWERS: dict[str, tuple[Any, list[Any]]] = {
    "NER-CoNLL-v0": (
        "Ann Lee works in Rome. She sings.",
        [
            ["B-PER", "I-PER", "O", "O", "B-LOC", "O", "O", "O", "O"],
            [{"start": 0, "end": 7, "label": "PER"}, {"start": 17, "end": 21, "label": "LOC"}],
            {"entities": [{"start": 0, "end": 7, "label": "PER", "text": "Ann Lee"}]},
        ],
    ),
    "POS-EWT-v0": ("Ann sings.", [["PROPN", "VERB", "PUNCT"]]),
    "Parsing-EWT-v0": (
        "Ann sings.",
        [{"heads": [2, 0, 2], "relations": ["nsubj", "root", "punct"]}],
    ),
    "Sentiment-SST2-v0": ("A dull film.", ["negative", {"label": "negative"}]),
    "MultiLabel-GoEmotions-v0": ("I love it.", [["love"], [], {"labels": ["joy", "love"]}]),
    "Relation-CoNLL04-v0": (
        {"text": SAID, "entities": PEOPLE},
        [[WORKS], {"relations": [WORKS]}, []],
    ),
    "SpanQA-SQuAD-v0": (
        {"question": "Where is Acme?", "context": SAID},
        [
            "Rome",
            {"answer": "Rome", "start": 26},
            {"answers": [{"text": "in", "answer_start": 23}]},
        ],
    ),
    "ChoiceQA-OpenBookQA-v0": (
        {"question": "What melts?", "choices": ["a stone", "ice"]},
        [1, "ice", {"answer": 1}],
    ),
    "Dialogue-DailyDialog-v0": (
        {"context": ["Hi."], "candidates": ["Hello.", "No."]},
        [0, "Hello.", {"ranking": [0, 1]}],
    ),
    "DialoguePolicy-SGD-v0": (
        {"turns": [{"user": "A table."}, {"user": "At seven."}]},
        [[["REQUEST"], ["INFORM"]]],
    ),
    "Summary-SciTLDR-v0": ("We did it. It works. The end.", ["It works.", ["It works."]]),
    "DialogueGeneration-v0": ("How are you?", ["Fine.", {"output": "Fine."}]),
}
SLOW = ("DialogueGeneration-v0", "Summary-SciTLDR-v0")


@pytest.mark.parametrize(
    "env_id", [pytest.param(x, marks=[pytest.mark.slow] * (x in SLOW)) for x in ANSWERS]
)
def test_feedback_of_every_family_is_learned_from(env_id: str, make: Make) -> None:
    agent = make(env_id)
    given, answers = ANSWERS[env_id]
    (result,) = agent.predict([given])
    for answer in (*answers, result, result.to_dict()):
        agent.observe(given, answer)
    agent.feedback(given, result, 0.25)
    agent.feedback(given, result.to_dict(), True)
    other = answers[0]
    agent.observe(given, other)
    kept = agent.count_feedback()
    assert (kept.corrections, kept.ratings) == (len(answers) + 3, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # gold that the small inventory lacks
        report = agent.learn(**FAST, evaluate=False, learning_rate=1e-2)
    assert report.corrections >= 1  # the last answer of each text counts
    assert report.ratings == 0  # what was said before of the same text does not
    assert report.corrected_after is not None
    assert report.run == agent.trained.run != report.parent
    assert agent.predict([given])[0].played is not None


def test_feedback_takes_the_place_of_what_was_said_before(make: Make) -> None:
    agent = make()
    for label in ("positive", "negative"):
        agent.observe("A film.", label)
    report = agent.learn(**FAST, evaluate=False, learning_rate=0.02, kl=0.0, replay=0.0)
    assert agent.predict(["A film."])[0].to_dict()["label"] == "negative"
    assert (report.corrections, report.corrected_after) == (1, 1.0)


def test_feedback_old_run_stays_and_comes_back(make: Make) -> None:
    agent = make()
    before = agent.predict(["A dull film."])[0].to_dict()
    parent, files = agent.trained.run, {}
    wanted = "positive" if before["label"] == "negative" else "negative"
    agent.observe("A dull film.", wanted)
    for path in sorted(parent.rglob("*")):
        if path.is_file() and path.name != ".run.lock":
            files[path] = path.read_bytes()
    report = agent.learn(passes=20, replay=0.0, kl=0.0, learning_rate=0.02, evaluate=False)
    assert agent.predict(["A dull film."])[0].to_dict()["label"] == wanted
    assert {path: path.read_bytes() for path in files} == files
    again = load_agent(report.run)
    assert again.predict(["A dull film."])[0].to_dict()["label"] == wanted
    assert again.count_feedback().corrections == 1  # its copy
    again.observe("Another film.", wanted)
    assert again.revert() == agent.revert() == parent.resolve()
    assert agent.predict(["A dull film."])[0].to_dict() == before
    assert agent.count_feedback().corrections == 2  # what was said since is kept, once
    learned = read_learned(report.run)
    assert learned is not None
    assert (learned["corrections"], learned["parent"]) == (1, f"../{parent.name}")
    with pytest.raises(RunError, match="was not learned from use"):
        agent.revert()


def test_feedback_seeds_decide_everything(make: Make) -> None:
    weights = []
    for _ in range(2):
        agent = make("NER-CoNLL-v0")
        (result,) = agent.predict([SAID])
        agent.observe("Ann sings.", ["B-PER", "O", "O"])
        agent.feedback(SAID, result, 0.0)
        report = agent.learn(**FAST, evaluate=False, seed=3)
        weights.append((report.run / "best" / "policy.safetensors").read_bytes())
    assert weights[0] == weights[1]


@pytest.mark.parametrize("objective", ["ips", "likelihood"])
def test_feedback_thumbs_move_the_decision(objective: str, make: Make) -> None:
    agent = make("NER-CoNLL-v0")
    results = agent.predict([SAID, "Bob sings."])
    held = [np.prod([p for one in r.played or () for p in one.chances]) for r in results]
    agent.feedback(SAID, results[0], False)
    agent.feedback("Bob sings.", results[1], True)
    report = agent.learn(
        passes=20, replay=0.0, kl=0.0, learning_rate=1e-2, evaluate=False, objective=objective
    )
    assert report.ratings == 2
    (bad, good) = agent.predict([SAID, "Bob sings."])
    assert bad.to_dict() != results[0].to_dict()
    new = np.prod([p for one in good.played or () for p in one.chances])
    assert new > held[1]  # its tags or surer ones of the same text


def test_feedback_late_rating_is_credited_to_the_policy_that_decided(make: Make) -> None:
    agent = make()
    (first,) = agent.predict(["A film."])
    said = first.to_dict()["label"]
    agent.observe("A film.", "positive" if said == "negative" else "negative")
    agent.learn(passes=20, replay=0.0, kl=0.0, learning_rate=0.02, evaluate=False)
    agent.feedback_file.unlink()
    agent.feedback("A film.", first, False)  # the result knows its decisions
    (record,) = store.read(agent.feedback_file, agent.family)
    assert isinstance(record, store.Rating)
    assert record.policy == first.policy != agent.policy
    assert first.played is not None
    assert record.chances[0] == pytest.approx(first.played[0].chances, rel=1e-5)
    with pytest.raises(InvalidArgumentError, match="not what the agent decides now"):
        agent.feedback("A film.", first.to_dict(), False)


def test_feedback_ratings_of_other_labels_are_left_out(make: Make) -> None:
    agent = make()
    agent.feedback("A film.", None, 1)
    agent.observe("Another film.", "positive")
    file = agent.feedback_file
    rating, rest = file.read_text().splitlines()
    record = {**json.loads(rating), "inventory": "0" * 16}
    long = {**json.loads(rating), "actions": [[0, 0]], "chances": [[0.5, 0.5]]}
    file.write_text("".join(f"{line}\n" for line in (json.dumps(record), json.dumps(long), rest)))
    report = agent.learn(**FAST, evaluate=False)
    assert report.ratings == 0
    assert [why.split(" of ")[1] for why in report.left_out] == [
        "decisions among other labels",
        "decisions that cannot be played again",
    ]


def test_feedback_dev_is_measured_and_old_data_may_be_gone(make: Make) -> None:
    agent = make()
    agent.observe("A film.", "positive")
    report = agent.learn(**FAST)
    assert report.metric == "accuracy"
    assert report.before is not None
    assert report.after is not None
    assert report.replayed == 20
    settings = json.loads((report.run / "best" / "settings.json").read_text())
    assert (settings["metric"], settings["value"]) == ("accuracy", report.after)
    agent.revert()
    agent.trained.settings["env_kwargs"]["data"] = "/no/such/folder"
    with pytest.warns(UserWarning, match="not at hand"):
        report = agent.learn(**FAST)
    assert (report.replayed, report.metric) == (0, None)


@pytest.mark.parametrize("algo", ["masked_dqn", "qrdqn", "rloo", "recurrent_ppo"])
def test_feedback_by_algorithm(algo: str, make: Make) -> None:
    agent = make(algo=algo)
    before = agent.predict(["A film."])[0].to_dict()
    wanted = "positive" if before["label"] == "negative" else "negative"
    agent.observe("A film.", wanted)
    if algo == "recurrent_ppo":
        with pytest.raises(InvalidArgumentError, match="has a memory"):
            agent.learn(evaluate=False)
        return
    agent.learn(passes=30, replay=0.0, kl=0.0, learning_rate=0.02, evaluate=False)
    assert agent.predict(["A film."])[0].to_dict()["label"] == wanted


def test_feedback_encoder_that_learned_learns_on(tiny_bert: Path, tmp_path: Path) -> None:
    config = TrainConfig(
        env="Sentiment-SST2-v0",
        algo="bc",
        n_timesteps=64,
        env_kwargs={"corpus": "sample", "encoder": str(tiny_bert)},
        encoder_mode="finetune",
        device="cpu",
    )
    agent = load_agent(train(config, run_dir=tmp_path / "run", progress=False))
    agent.observe("A film.", "positive")
    agent.feedback("Another film.", None, False)
    before = {k: v.clone() for k, v in _weights(agent).items()}
    agent.learn(**FAST, evaluate=False)
    changed = [name for name, value in _weights(agent).items() if not th.equal(value, before[name])]
    assert any("encoder" in name for name in changed)


def _weights(agent: Agent) -> dict[str, th.Tensor]:
    agent.predict(["A film."])
    assert agent.trained._model is not None
    return agent.trained._model.policy.state_dict()


BAD: list[tuple[str, Any, Any, str]] = [
    ("Sentiment-SST2-v0", "A film.", "neutral", "none of the agent's"),
    ("Sentiment-SST2-v0", "A film.", 3, "must be a label"),
    ("Sentiment-SST2-v0", "", "positive", "has no words"),
    ("Sentiment-SST2-v0", "a\ud83d", "positive", "surrogate"),
    ("NER-CoNLL-v0", "Ann sings.", ["O"], "1 labels for 3 words"),
    ("NER-CoNLL-v0", "Ann sings.", [{"start": 1, "end": 3, "label": "PER"}], "begin and end"),
    ("NER-CoNLL-v0", "Ann sings.", [{"start": 0, "end": 3, "label": "CITY"}], "none of the"),
    ("NER-CoNLL-v0", "Ann sings.", [{"start": 0, "end": 3, "label": "PER"}] * 2, "lies over"),
    ("NER-CoNLL-v0", "Ann sings.", {"words": ["Bob"], "labels": ["O"]}, "not those of the text"),
    ("NER-CoNLL-v0", "Ann sings.", "PER", "a label for each word"),
    ("SpanQA-SQuAD-v0", {"question": "Who?", "context": "Ann."}, "Bob", "does not stand"),
    ("SpanQA-SQuAD-v0", {"question": "Who?", "context": "Ann."}, None, "words of the passage"),
    ("ChoiceQA-OpenBookQA-v0", {"question": "Q?", "choices": ["a", "b"]}, 7, "mapping 1"),
    ("SpanQA-SQuAD-v0", "Who?", "Ann", "needs more than a text"),
]


@pytest.mark.parametrize(("env_id", "given", "correct", "message"), BAD)
def test_feedback_refuses_what_is_no_answer(
    env_id: str, given: Any, correct: Any, message: str, make: Make
) -> None:
    agent = make(env_id)
    with pytest.raises(InvalidArgumentError, match=message):
        agent.observe(given, correct)
    assert not agent.feedback_file.exists()


def test_feedback_new_labels_are_kept_for_a_training_that_has_them(make: Make) -> None:
    agent = make()
    agent.observe("A film.", "mixed", new_labels=True)
    with pytest.raises(InvalidArgumentError, match="the label 'mixed' is new"):
        agent.learn(**FAST, evaluate=False)
    agent.observe("Another film.", "positive")
    report = agent.learn(**FAST, evaluate=False)
    assert (report.corrections, len(report.left_out)) == (1, 1)
    assert [row["label"] for row in agent.corrections()] == ["mixed", "positive"]
    # The last answer of a text counts, though it cannot be learned from.
    agent.observe("Another film.", "mixed", new_labels=True)
    with pytest.raises(InvalidArgumentError, match="--export FOLDER"):
        agent.learn(**FAST, evaluate=False)
    assert [row["label"] for row in agent.corrections()] == ["mixed", "mixed"]


def test_feedback_new_labels_are_trained_on(make: Make, tmp_path: Path) -> None:
    agent = make()
    for n in range(3):
        agent.observe(f"Film {n} is so so.", "mixed", new_labels=True)
    run, folder = agent.trained.run, tmp_path / "said"
    result = command("feedback", run, "--export", folder)
    assert result.exit_code == 0, result.output
    parts = [(folder / f"{s}.jsonl").read_text().splitlines() for s in ("train", "dev", "test")]
    assert [len(part) for part in parts] == [1, 1, 1]
    new = tmp_path / "new"
    arguments = ["train", "--continue", run, "--data", folder, "--replay", "0.2"]
    result = command(*arguments, "-n", "64", "--eval-freq", "64", "--run-dir", new)
    assert result.exit_code == 0, result.output
    labels = load_agent(run).trained.labels
    assert load_agent(new).trained.labels == (*labels, "mixed")


@pytest.mark.parametrize(
    ("said", "held"),
    [
        ({"a": "new", "b": "new", "c": "negative"}, 2),
        ({f"text {n}": "positive" for n in range(40)}, 8),
        ({**{f"text {n}": "positive" for n in range(19)}, "once": "new"}, 4),
    ],
)
def test_corrections_are_parted_so_that_new_labels_are_learned(
    said: dict[str, str], held: int
) -> None:
    kept = [store.Correction(({"text": text, "label": label},)) for text, label in said.items()]
    parts = parted(kept, "classification", ["positive", "negative"])
    assert len(parts["dev"]) == len(parts["test"]) == held // 2
    rows = [row["text"] for part in parts.values() for row in part]
    assert sorted(rows) == sorted(said)
    assert {*said.values()} - {"positive", "negative"} <= {row["label"] for row in parts["train"]}
    again = parted(kept[::-1], "classification", ["positive", "negative"])
    assert {split: {row["text"] for row in part} for split, part in parts.items()} == {
        split: {row["text"] for row in part} for split, part in again.items()
    }


@pytest.mark.parametrize("labels", [[], ["positive"], ["positive"] * 2, ["one", "two", "three"]])
def test_corrections_that_are_too_few_are_said_so(labels: list[str], tmp_path: Path) -> None:
    rows = [{"text": f"text {n}", "label": label} for n, label in enumerate(labels)]
    kept = [store.Correction((row,)) for row in rows]
    with pytest.raises(InvalidArgumentError, match=r"too few|no corrections"):
        write_corrections(tmp_path / "out", kept, "classification", ["positive"])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("reward", [None, -0.1, 1.5, "good", float("nan")])
def test_feedback_refuses_rewards(reward: Any, make: Make) -> None:
    agent = make()
    with pytest.raises(InvalidArgumentError, match="reward"):
        agent.feedback("A film.", None, reward)
    with pytest.raises(InvalidArgumentError, match="has no words"):
        agent.feedback(" ", None, 1)


def test_feedback_refuses_the_prediction_of_another_text(make: Make) -> None:
    agent = make()
    first, second = agent.predict(["A film.", "A play."])
    with pytest.raises(InvalidArgumentError, match=r"on the text 'A play.'"):
        agent.feedback("A film.", second, True)
    agent.feedback("A film.", first, True)
    assert agent.count_feedback().ratings == 1


@pytest.mark.parametrize("text", ["北京很好。", "word " * 2000, "x\u202ey <script>\x1b[31m"])
def test_feedback_any_text(text: str, make: Make) -> None:
    agent = make("NER-CoNLL-v0")
    (result,) = agent.predict([text])
    agent.observe(text, result)
    agent.feedback(text, result, 0.5)
    assert agent.count_feedback() == store_count(agent)
    assert agent.learn(passes=1, replay=0.0, evaluate=False).corrections == 1


def store_count(agent: Agent) -> Any:
    records = store.read(agent.feedback_file, agent.family)
    kinds = [isinstance(record, store.Rating) for record in records]
    return type(agent.count_feedback())(kinds.count(False), kinds.count(True))


@pytest.mark.parametrize("named", [False, True])
def test_feedback_stage_that_cannot_be_written_leaves_nothing(
    named: bool, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = make()
    run, policy = agent.trained.run, agent.policy
    agent.observe("A film.", "positive")
    before = set(run.parent.iterdir())

    def full(*_: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(stages, "save_weights", full)
    with pytest.raises(RunError, match="No space left"):
        agent.learn(tmp_path / "new" if named else None, **FAST, evaluate=False)
    assert (agent.trained.run, agent.policy) == (run, policy)
    assert set(run.parent.iterdir()) == before
    assert not list((tmp_path / "new").glob("*")) if named else True
    monkeypatch.undo()
    assert agent.learn(tmp_path / "new", **FAST, evaluate=False).run == tmp_path / "new"


def test_feedback_on_the_last_checkpoint_goes_back_to_it(make: Make) -> None:
    agent = make()
    last = Agent(agent.trained.run, checkpoint="last")
    policy = last.policy
    last.observe("A film.", "positive")
    learned = last.learn(**FAST, evaluate=False).run
    assert last.revert() == agent.trained.run
    assert last.policy == policy
    settings = json.loads((learned / LEARNED).read_text())
    (learned / LEARNED).write_text(json.dumps({**settings, "parent_policy": "0" * 16}))
    with pytest.raises(RunError, match="other weights"):
        load_agent(learned).revert()
    (learned / LEARNED).write_text(json.dumps({**settings, "parent": "../none"}))
    with pytest.raises(RunError, match="no longer there"):
        load_agent(learned).revert()
    (learned / LEARNED).write_text("{}")
    with pytest.raises(RunError, match="damaged"):
        load_agent(learned).revert()


def test_feedback_without_any_says_what_to_do(make: Make) -> None:
    agent = make()
    with pytest.raises(InvalidArgumentError, match=r"agent\.observe"):
        agent.learn()
    with pytest.raises(InvalidArgumentError, match="passes"):
        agent.learn(passes=0)
    with pytest.raises(InvalidArgumentError, match="learning_rate"):
        agent.learn(learnin_rate=1)


CORRECTION = store.Correction(({"text": "A film.", "label": "positive"},))


def test_store_leaves_out_a_line_that_is_cut_short_and_goes_on(tmp_path: Path) -> None:
    file = tmp_path / store.FEEDBACK
    store.append(file, [CORRECTION, CORRECTION], "classification")
    whole = file.read_bytes()
    for cut in (len(whole) - 1, len(whole) - 30):
        file.write_bytes(whole[:cut])
        with pytest.warns(UserWarning, match=r"line 2: .*cut short"):
            assert store.read(file, "classification") == [CORRECTION]
        store.append(file, [CORRECTION], "classification")  # begins a line of its own
        assert file.read_bytes().startswith(whole[:cut] + b"\n")
        if cut == len(whole) - 1:
            assert store.read(file, "classification") == [CORRECTION] * 3
        else:
            with pytest.warns(UserWarning, match=r"1 line\(s\) cannot be read"):
                assert store.read(file, "classification") == [CORRECTION] * 2


GOOD = json.loads(store.to_line(CORRECTION, "classification"))
RATED = json.loads(
    store.to_line(
        store.Rating(({"text": "A."},), 0.5, ((1,),), ((0.75,),), "a" * 16, "b" * 16),
        "classification",
    )
)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 1"),
        ("[]", "list"),
        ('{"kind": "correction"}', "lacks"),
        (json.dumps({**GOOD, "more": 1}), "more"),
        (json.dumps({**GOOD, "kind": "thumb"}), "thumb"),
        (json.dumps({**GOOD, "rows": []}), "no rows"),
        (json.dumps({**GOOD, "rows": [3]}), "3"),
        (json.dumps({**GOOD, "family": "tagging"}), "family"),
        (json.dumps({**GOOD, "format_version": 2}), "format_version"),
        (json.dumps({**RATED, "reward": 1.5}), "1.5"),
        (json.dumps({**RATED, "reward": float("nan")}), "NaN"),
        (json.dumps({**RATED, "actions": [[1, 2]]}), "belong together"),
        (json.dumps({**RATED, "chances": [[0.0]]}), "probability 0"),
        (json.dumps({**RATED, "actions": [[-1]]}), "-1"),
    ],
)
def test_store_checks_every_line(line: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / store.FEEDBACK
    file.write_text(f"{line}\n{json.dumps(GOOD)}\n{json.dumps(RATED)}\n")
    with pytest.warns(UserWarning, match=message):
        assert len(store.read(file, "classification")) == 2


def test_store_refuses_to_write_elsewhere(tmp_path: Path) -> None:
    run, other = tmp_path / "run", tmp_path / "other.txt"
    run.mkdir()
    other.write_text("mine")
    (run / store.FEEDBACK).symlink_to(other)
    with pytest.raises(RunError, match="symbolic link"):
        store.append(run / store.FEEDBACK, [CORRECTION], "classification")
    assert other.read_text() == "mine"
    huge = store.Correction(({"text": "x" * (1 << 20)},))
    with pytest.raises(RunError, match="a line of"):
        store.append(run / "own.jsonl", [huge], "classification")


def test_feedback_file_may_be_any_path(make: Make, tmp_path: Path) -> None:
    agent = make()
    agent.feedback_file = str(tmp_path / "own.jsonl")
    agent.observe("A dull film.", "negative")
    assert agent.count_feedback().corrections == 1
    agent.feedback_file = tmp_path / "own.jsonl" / "more.jsonl"  # below a file
    with pytest.raises(RunError, match="--feedback-file"):
        agent.observe("A dull film.", "negative")


def test_learn_refuses_a_full_folder_before_it_learns(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = make()
    agent.observe("A dull film.", "negative")
    (tmp_path / "mine.txt").write_text("mine")
    monkeypatch.setattr(learner.learning, "learn", pytest.fail)
    with pytest.raises(RunError, match=r"not empty.*overwritten. Name another folder"):
        agent.learn(tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "mine"


WRITER = """
import sys
from pathlib import Path
from nlp_gym_agents.prediction.feedback import store
for number in range(50):
    row = {"text": sys.argv[2] * 200, "label": str(number)}
    store.append(Path(sys.argv[1]), [store.Correction((row,))], "classification")
"""


def test_store_several_processes_append(tmp_path: Path) -> None:
    file, root = tmp_path / store.FEEDBACK, Path(__file__).resolve().parent.parent
    environment = {"PYTHONPATH": f"{root}:{root / 'agents'}", "PATH": "/usr/bin:/bin"}
    running = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(file), name], env=environment)
        for name in "ab"
    ]
    assert [process.wait(60) for process in running] == [0, 0]
    records = store.read(file, "classification")
    for name in "ab":
        own = [r.rows[0]["label"] for r in records if r.rows[0]["text"][0] == name]
        assert own == [str(number) for number in range(50)]


@pytest.mark.parametrize(
    "env_id",
    [
        *ANSWERS,
        "Question-TREC-v0",
        "Relation-SemEval-v0",
        "ChoiceQA-ARC-v0",
        "KnowledgeGraph-WN18RR-v0",
        "Translation-Multi30k-v0",
    ],
)
def test_rows_are_read_as_the_samples_that_they_were_made_of(env_id: str) -> None:
    task = make_task(env_id, split="dev", **SAMPLE)
    for sample in task.corpus.samples[:20]:
        row = json.loads(json.dumps(annotated_row(sample, task.family)))
        (again,) = samples_of([row], task.family, gold=True)
        assert (again.words, again.labels, again.gold) == (sample.words, sample.labels, sample.gold)


def test_rows_of_tagged_text_are_its_sentences() -> None:
    item = from_text("Ann sings. In New York.")
    marks = [{"start": 0, "end": 3, "label": "PER"}, {"start": 14, "end": 22, "label": "LOC"}]
    assert tagged_rows(item, marks, bio=True) == [
        {"words": ["Ann", "sings", "."], "labels": ["B-PER", "O", "O"]},
        {"words": ["In", "New", "York", "."], "labels": ["O", "B-LOC", "I-LOC", "O"]},
    ]


def test_rating_loss_by_hand() -> None:
    """Two texts of two and one decisions, probabilities .5, .8 and .25, logged at .5, .4, .01."""
    chosen = th.tensor([0.5, 0.8, 0.25]).log().requires_grad_()
    logged, texts = th.tensor([0.5, 0.4, 0.01]).log(), th.tensor([0, 0, 1])
    rewards = th.tensor([1.0, 0.0])
    how: dict[str, Any] = {"objective": "ips", "baseline": 0.25, "clip": 10.0}
    loss = rating_loss(chosen, logged, texts, rewards, **how)
    loss.backward()
    # Weights 1, 2 and (clipped from 25) 10; advantages .75, .75, -.25.
    assert chosen.grad is not None
    wanted = th.tensor([-1 * 0.75, -2 * 0.75, 10 * 0.25]) / 3
    assert th.allclose(chosen.grad, wanted)
    found = rating_loss(chosen, logged, texts, rewards, objective="likelihood")
    wanted = -(np.log(0.5 * 0.8) + np.log(1 - 0.25)) / 2
    assert float(found.detach()) == pytest.approx(wanted, abs=1e-6)


def test_change_is_the_divergence_over_legal_actions() -> None:
    before = th.tensor([[0.5, 0.5, 0.0]]).log()
    after = th.tensor([[0.9, 0.1, 0.0]]).log().requires_grad_()
    found = change(before, after, th.tensor([[True, True, False]]))
    wanted = 0.5 * np.log(0.5 / 0.9) + 0.5 * np.log(0.5 / 0.1)
    assert float(found.detach()) == pytest.approx(wanted, abs=1e-6)
    found.backward()
    assert after.grad is not None
    assert bool(th.isfinite(after.grad).all())


def command(*arguments: Any) -> Any:
    return CliRunner().invoke(app, [str(one) for one in arguments])


def test_feedback_commands(make: Make, tmp_path: Path) -> None:
    agent = make()
    run = agent.trained.run
    assert "0 correction(s) and 0 rating(s)" in command("feedback", run).stdout
    assert command("feedback", run, "A film.", "--correct", "positive").exit_code == 0
    assert command("feedback", run, "A film!", "--reward", "0").exit_code == 0
    labelled = tmp_path / "labelled.jsonl"
    labelled.write_text('{"text": "Fine.", "label": "positive"}\n')
    exported = tmp_path / "exported.jsonl"
    result = command("feedback", run, "--input", labelled, "--export", exported)
    assert "2 correction(s) and 1 rating(s)" in result.stdout, result.output
    assert [json.loads(line)["label"] for line in exported.read_text().splitlines()] == [
        "positive",
        "positive",
    ]
    for wrong, message in [
        (("--correct", "positive"), "about a TEXT"),
        (("A film.",), "give either"),
        (("--feedback-file", tmp_path / "none.jsonl"), "does not exist"),
        (("A film.", "--correct", "good"), "none of the agent"),
        (("A film.", "--reward", "7"), "reward"),
        (("--input", tmp_path / "no.jsonl"), "no.jsonl"),
    ]:
        result = command("feedback", run, *wrong)
        assert result.exit_code == 1
        assert message in result.stderr
        assert "Traceback" not in result.output
    new = tmp_path / "new"
    result = command("learn", run, "--run-dir", new, "--passes", 2)
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == str(new)
    assert (new / LEARNED).is_file()
    assert load_agent(new).calibration is not None
    assert command("evaluate", new, "--split", "dev").exit_code == 0
    result = command("learn", run, "--run-dir", new)
    assert result.exit_code == 1
    assert "not empty" in result.stderr


def test_feedback_commands_take_other_answers(made: dict[str, Path], tmp_path: Path) -> None:
    run = tiny_run(tmp_path / "run")
    marks = '[{"start": 0, "end": 3, "label": "PER"}]'
    assert command("feedback", run, "Ann sings.", "--correct", marks).exit_code == 0
    (record,) = store.read(run / store.FEEDBACK, "tagging")
    assert record.rows[0]["labels"] == ["B-PER", "O", "O"]
