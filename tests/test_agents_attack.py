"""`nlp-gym attack`: the search, what it reports, and training against it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch as th
from conftest import tiny_run
from typer.testing import CliRunner

from nlp_gym.data.text.changes import Edit, Finder, text_of
from nlp_gym.errors import InvalidArgumentError, RunError, UnknownNameError
from nlp_gym.types import Sample
from nlp_gym_agents.algorithms.adversarial import AdversarialOptions, adversarial_backward
from nlp_gym_agents.attack.report import report_html, report_json
from nlp_gym_agents.attack.run import attack_run
from nlp_gym_agents.attack.search import Search, SearchLimits
from nlp_gym_agents.attack.victim import RunVictim
from nlp_gym_agents.cli.main import app
from nlp_gym_agents.config.train_config import TrainConfig, merge
from nlp_gym_agents.evaluation.evaluate import evaluate
from nlp_gym_agents.runs.folder import read_config
from nlp_gym_agents.runs.snapshots import newest
from nlp_gym_agents.training.start.attacked_copies import FILE
from nlp_gym_agents.training.train import resume, train

pytestmark = pytest.mark.usefixtures("one_thread")

TREC = "Question-TREC-v0"


class Verdict(NamedTuple):
    chances: Any
    right: Any
    outputs: Any


class Weighing:
    """A victim whose probability of the right is 1 less a weight for each of some words missing."""

    def __init__(self, **weights: float) -> None:
        self.weights, self.asked = weights, 0

    def __call__(self, samples: Sequence[Sample]) -> Verdict:
        self.asked += len(samples)
        lost = [sum(w for word, w in self.weights.items() if word not in s.words) for s in samples]
        chances = 1.0 - np.array(lost, float)
        return Verdict(chances, chances > 0.5, [()] * len(samples))


TYPOS = Finder("classification", "typos")
TEXT = Sample(("the", "quick", "movie", "starts", "slowly"), ("x",))


def test_search_changes_the_weightiest_word_first_and_stops_when_the_victim_is_wrong() -> None:
    victim = Weighing(quick=0.1, slowly=0.45, movie=0.1)
    (found,) = Search(victim, TYPOS, SearchLimits(100, 1.0)).attack([TEXT])
    assert found.edits[0].start == 4
    assert len(found.edits) == 2
    assert found.succeeded
    assert found.words_changed == 2
    assert found.queries == victim.asked
    assert 1.0 == found.before > found.after


@pytest.mark.parametrize("budget", [2, 5, 9])
def test_search_keeps_to_its_budget(budget: int) -> None:
    victim = Weighing(quick=0.2, slowly=0.1)
    (found,) = Search(victim, Finder("classification"), SearchLimits(budget, 1.0)).attack([TEXT])
    assert found.queries == victim.asked <= budget
    assert found.is_right


@pytest.mark.parametrize("keep", [0, 1, 5])
def test_search_keeps_the_tries_that_lowered_most(keep: int) -> None:
    victim = Weighing(quick=0.2, movie=0.1, starts=0.3)
    (found,) = Search(victim, TYPOS, SearchLimits(100, 1.0), keep=keep).attack([TEXT])
    assert len(found.tries) == keep
    if keep:
        assert found.tries[0].words == found.changed.words
        chances = victim(found.tries).chances
        assert (np.diff(chances) >= 0).all()
        assert all(one.labels == TEXT.labels and one.words != TEXT.words for one in found.tries)


def test_search_changes_no_more_words_than_it_may() -> None:
    victim = Weighing(quick=0.2, slowly=0.1, movie=0.1)
    (found,) = Search(victim, Finder("classification", "typos"), SearchLimits(99, 0.0)).attack(
        [TEXT]
    )
    assert len(found.edits) == 1
    (found,) = Search(victim, Finder("classification", "typos"), SearchLimits(99, 1.0)).attack(
        [TEXT]
    )
    assert len(found.edits) == 3
    assert not any(edit.start == 3 for edit in found.edits)  # it would change nothing


def test_search_weighs_the_end_of_a_text_that_is_longer_than_its_budget() -> None:
    words = (*["pleasant"] * 200, "dreadful", *["pleasant"] * 30)
    victim = Weighing(dreadful=0.9)
    (found,) = Search(victim, TYPOS, SearchLimits(41, 1.0)).attack([Sample(words, ("x",))])
    assert found.succeeded
    assert found.queries == victim.asked <= 41


def test_search_leaves_wrong_decisions_alone() -> None:
    victim = Weighing(absent=0.9)
    (found,) = Search(victim, Finder("classification")).attack([TEXT])
    assert (found.was_right, found.is_right, found.queries, found.edits) == (False, False, 1, [])
    assert found.changed is TEXT
    assert Search(victim, Finder("classification")).attack([]) == []


@pytest.mark.parametrize(("name", "value"), [("budget", 1), ("budget", True), ("most_changed", 2)])
def test_limits_are_checked(name: str, value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=name):
        SearchLimits(**{name: value})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An agent that labels questions of the bundled sample."""
    config = TrainConfig(
        env=TREC,
        algo="bc",
        n_timesteps=600,
        env_kwargs={"corpus": "sample", "encoder": "hashed"},
        hyperparams={"batch_size": 64},
        eval_freq=600,
    )
    return train(config, run_dir=tmp_path_factory.mktemp("attack") / "run", progress=False)


def test_victim_agrees_with_the_evaluation(run: Path) -> None:
    victim = RunVictim(run)
    samples = victim.trained.task("test").corpus.samples
    verdicts = victim.judge(samples)
    assert verdicts.right.mean() == pytest.approx(evaluate(run, bootstrap=0).value)
    chances = victim.probabilities(samples)
    gold = [victim.labels.index(sample.labels[0]) for sample in samples]
    np.testing.assert_allclose(chances[np.arange(len(gold)), gold], verdicts.chances, atol=1e-5)
    np.testing.assert_allclose(chances.sum(axis=1), 1.0)
    assert (verdicts.right == (chances.argmax(axis=1) == gold)).all()


@pytest.mark.parametrize(
    "env_id", ["NER-CoNLL-v0", "Relation-CoNLL04-v0", "ChoiceQA-OpenBookQA-v0", "SpanQA-SQuAD-v0"]
)
def test_every_family_is_attacked(env_id: str, tmp_path: Path) -> None:
    report = attack_run(
        tiny_run(tmp_path / "run", env_id), "train", n=6, limits=SearchLimits(6, 1.0)
    )
    assert len(report.cases) == 6
    assert report.after <= report.before
    for case in report.cases:
        assert case.attacked.queries <= 6
        words = text_of(case.attacked.changed, report.family)
        assert " ".join(new for _, _, new in case.pieces(report.family) if new) == " ".join(words)
    assert json.loads(report_json(report))["texts"] == 6


def test_report_is_the_same_for_a_seed_and_draws_what_was_found(run: Path, tmp_path: Path) -> None:
    kwargs: dict[str, Any] = {"n": 12, "limits": SearchLimits(30)}
    report = attack_run(run, **kwargs)
    assert report_json(report) == report_json(attack_run(run, **kwargs))
    won = len(report.successes)
    assert won > 0
    assert report.before - report.after == pytest.approx(won / 12)
    facts = report.facts()
    assert facts["success_rate"] == pytest.approx(won / report.n_right, abs=1e-4)
    assert -1 <= facts["similarity"] < 1
    page = report_html(report)
    assert page.count("<ins>") == sum(len(case.attacked.edits) for case in report.successes)
    assert "<script" not in page
    assert report.text().count("->") >= won


def test_report_escapes_what_a_text_holds(run: Path) -> None:
    report = attack_run(run, n=3, limits=SearchLimits(30))
    case = report.cases[0].attacked
    object.__setattr__(case.sample, "words", ("<script>", "\x1b[2J"))
    case.edits[:] = [Edit("typos", 0, 1, ("<b>",))]
    case.was_right, case.is_right = True, False
    assert "<script>" not in report_html(report)
    assert "\x1b" not in report_html(report) + report.text()


@pytest.mark.parametrize(
    "texts",
    [
        ["Where is it ?", "北京 在 哪里 ？"],
        ["?"],
        ["\u200b naïve 😀 cafés ’ ?", "a"],
        ["Where is the city " * 500 + "?"],
    ],
)
def test_attack_command_attacks_a_file_whole(run: Path, tmp_path: Path, texts: list[str]) -> None:
    file = tmp_path / "own.jsonl"
    labels = ("DESC", "ENTY", "LOC", "HUM", "NUM", "ABBR")  # so one of a text is right
    rows = [json.dumps({"text": text, "label": label}) for text in texts for label in labels]
    file.write_text("\n".join(rows), encoding="utf-8")
    options = ["--budget", "12", "--changes", "typos,paraphrase"]
    result = CliRunner().invoke(app, ["attack", str(run), "--data", str(file), *options])
    assert result.exit_code == 0, result.output
    assert f"{len(rows)} texts of test" in result.output
    assert "no text was right" not in result.output
    assert max(map(len, result.output.splitlines())) < 1000  # long texts are shortened


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--changes", "spelling"], "changes"),
        (["--split", "all"], "split"),
        (["--budget", "1"], "budget"),
        (["--out", "x.txt"], ".html"),
        (["--copies", "x.csv"], ".json"),
        (["--data", "absent.csv"], "absent.csv"),
        (["--changes", "neighbours"], "hashed"),
    ],
)
def test_attack_command_refuses_with_a_line(run: Path, options: list[str], told: str) -> None:
    result = CliRunner().invoke(app, ["attack", str(run), "--n", "2", *options])
    assert result.exit_code != 0
    assert told in str(result.output) + str(result.exception)
    assert "Traceback" not in result.output


def test_attack_command_writes_page_and_copies_to_train_on(run: Path, tmp_path: Path) -> None:
    page, copies = tmp_path / "a" / "r.html", tmp_path / "c.json"
    options = ["--n", "8", "--budget", "20", "--out", str(page), "--copies", str(copies)]
    result = CliRunner().invoke(app, ["attack", str(run), "--split", "train", *options])
    assert result.exit_code == 0, result.output
    assert "deceived: " in result.output
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    own = json.loads(copies.read_text(encoding="utf-8"))["samples"]
    assert own
    config = merge(
        TrainConfig(
            env=TREC,
            algo="bc",
            env_kwargs={"corpus": "sample", "encoder": "hashed", "augment": f"copies:{copies}"},
        )
    )
    assert config.env_kwargs["augment"] == [f"copies:{copies.resolve()}"]


def test_adversarial_attack_trains_on_copies_and_resumes_exactly(run: Path, tmp_path: Path) -> None:
    config = TrainConfig(
        env=TREC,
        algo="bc",
        n_timesteps=300,
        eval_freq=150,
        save_freq=100,
        env_kwargs={"corpus": "sample", "encoder": "hashed"},
        hyperparams={"batch_size": 50},
        adversarial=f"attack:{run}",
        adversarial_texts=10,
    )
    earlier = train(config, run_dir=tmp_path / "earlier", progress=False)
    older = json.loads((earlier / FILE).read_text(encoding="utf-8"))["samples"]
    config = config.with_changes(
        adversarial=f"attack:{earlier}",
        env_kwargs={**config.env_kwargs, "augment": f"copies:{earlier / FILE}"},
    )
    made = train(config, run_dir=tmp_path / "made", progress=False)
    copies = json.loads((made / FILE).read_text(encoding="utf-8"))["samples"]
    assert 10 < len(copies) <= 80  # several of each text
    plain = RunVictim(run).trained.task("train")
    own = RunVictim(made).trained.task("train")
    assert len(own.corpus) == len(plain.corpus) + len(older) + len(copies)
    moved = tmp_path / "moved"
    shutil.copytree(made, moved)
    shutil.rmtree(newest(moved / "checkpoints")[0])
    (made / FILE).unlink()  # the copies in the folder are read, wherever it is
    resume(moved, progress=False)
    weights = [newest(r / "checkpoints")[0] / "policy.safetensors" for r in (made, moved)]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    assert read_config(made)["adversarial"] == f"attack:{earlier.resolve()}"


@pytest.mark.parametrize(
    ("changes", "error", "told"),
    [
        ({"adversarial": "fgsm"}, UnknownNameError, "fgm"),
        ({"adversarial": "fgm:3"}, UnknownNameError, "fgm"),
        ({"adversarial": "fgm"}, InvalidArgumentError, "frozen"),
        ({"adversarial": "pgd", "algo": "maskable_ppo"}, InvalidArgumentError, "bc and dagger"),
        ({"adversarial": "attack"}, InvalidArgumentError, "attack:RUN"),
        ({"adversarial": "attack", "warm_start": "bc:2"}, InvalidArgumentError, "attack:RUN"),
        ({"hyperparams": {"adversarial_size": 0}}, InvalidArgumentError, "adversarial_size"),
    ],
)
def test_adversarial_settings_are_checked(
    changes: dict[str, Any], error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        merge(TrainConfig(**{"env": TREC, "algo": "bc", **changes}))


def test_adversarial_attack_needs_an_agent_of_the_same_family(run: Path, tmp_path: Path) -> None:
    kwargs = {"corpus": "sample", "encoder": "hashed"}
    config = TrainConfig(
        env="NER-CoNLL-v0", algo="bc", env_kwargs=kwargs, adversarial=f"attack:{run}"
    )
    with pytest.raises(InvalidArgumentError, match="family"):
        train(config, run_dir=tmp_path / "r", progress=False)
    with pytest.raises(RunError):
        train(
            config.with_changes(adversarial=f"attack:{tmp_path / 'none'}"),
            run_dir=tmp_path / "r",
            progress=False,
        )


def test_adversarial_options_are_checked() -> None:
    refused: dict[str, Any] = {"size": 0.0, "steps": 0, "weight": 1.5}
    for name, value in refused.items():
        with pytest.raises(InvalidArgumentError, match=name):
            AdversarialOptions("pgd", **{name: value})
    with pytest.raises(UnknownNameError):
        AdversarialOptions("fgsm")


def test_a_policy_without_a_learning_encoder_has_its_plain_gradient() -> None:
    layer = th.nn.Linear(2, 1)

    def loss() -> th.Tensor:
        return layer(th.ones(3, 2)).sum()

    assert adversarial_backward(layer, loss, AdversarialOptions("fgm")) == loss()
    assert layer.bias.grad is not None
    assert layer.bias.grad.item() == 3.0
