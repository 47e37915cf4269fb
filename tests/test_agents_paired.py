"""The paired bootstrap: nothing where there is nothing, coverage, every metric, what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pytest

from nlp_gym import make_task
from nlp_gym.errors import InvalidArgumentError
from nlp_gym.metrics.base import Score, mean_of_first
from nlp_gym_agents.cli.main import main
from nlp_gym_agents.evaluation.baselines import run_baselines
from nlp_gym_agents.evaluation.paired import compare_runs, difference_line, paired_difference
from nlp_gym_agents.runs.metrics_log import processor_seconds
from tests.conftest import tiny_run

pytestmark = pytest.mark.usefixtures("one_thread")


def score_of(right: Any, metric: str = "accuracy", signature: str = "") -> Score:
    """Accuracy of decisions that are right (1) or wrong (0)."""
    right = np.asarray(right, float)
    counts = np.stack([right, np.ones(len(right))], axis=1)
    return Score.from_counts(metric, counts, mean_of_first, signature=signature, bootstrap=1)


def test_a_score_less_itself_is_nothing() -> None:
    one = score_of([1, 0, 1, 1])
    found = paired_difference([one], [one], draws=100)
    assert (found.difference, found.low, found.high) == (0.0, 0.0, 0.0)
    assert found.verdict == "open"


@pytest.mark.parametrize("gain", [0.0, 0.06])
def test_intervals_cover_the_true_difference_about_as_often_as_they_say(gain: float) -> None:
    """Two systems that share what is hard: 95 of 100 intervals should hold the true difference."""
    rng = np.random.default_rng(1)
    held, better = 0, 0
    trials, n = 100, 200
    for _ in range(trials):
        hard = rng.random(n)  # of each sample, for both
        own, other = (hard + 0.3 * rng.random(n) < limit for limit in (0.8 + gain, 0.8))
        found = paired_difference([score_of(own)], [score_of(other)], draws=100)
        held += found.low <= gain <= found.high
        better += found.verdict == "better"
    assert 0.90 <= held / trials <= 0.99
    # Where there is nothing, about 1 in 40 is called better; a real gain is mostly found.
    assert better / trials <= 0.06 if not gain else better / trials > 0.6


def test_the_interval_is_narrower_than_that_of_scores_of_other_samples() -> None:
    rng = np.random.default_rng(0)
    hard = rng.random(500)
    own, other = score_of(hard < 0.8), score_of(hard < 0.75)
    apart = score_of(rng.permutation(hard) < 0.75)
    widths = [(d := paired_difference([own], [one])).high - d.low for one in (other, apart)]
    assert widths[0] < 0.6 * widths[1]


def test_seeds_are_averaged_before_they_are_compared() -> None:
    seeds = [score_of([1, 1, 0, 0]), score_of([1, 0, 0, 0])]
    found = paired_difference(seeds, [score_of([1, 0, 0, 0])], draws=50)
    assert found.difference == pytest.approx(0.125)
    assert found.runs == (2, 1)
    assert found.each == ()
    assert paired_difference(seeds, seeds, draws=50).each == (0.0, 0.0)
    line = difference_line(found)
    assert "accuracy 0.3750 (2 runs) less 0.2500 (1) = +0.1250" in line


def test_what_cannot_be_compared_is_refused() -> None:
    one = score_of([1, 0])
    bare = Score.from_counts("accuracy", np.ones((2, 2)), mean_of_first, signature="", bootstrap=0)
    for own, other, words in (
        ([one], [bare], "without counts"),
        ([one], [score_of([1, 0, 1])], "on 2 samples cannot be compared with|on 3 samples"),
        ([one], [score_of([1, 0], "entity_f1")], "entity_f1 on 2"),
        ([one], [score_of([1, 1], signature="unit:text|bs:9")], "other settings or versions"),
        ([], [one], "0 and 1"),
    ):
        with pytest.raises(InvalidArgumentError, match=words):
            paired_difference(own, other)
    with pytest.raises(InvalidArgumentError, match="draws=0"):
        paired_difference([one], [one], draws=0)


IDS = (
    "NER-CoNLL-v0",
    "POS-EWT-v0",
    "Topic-AGNews-v0",
    "MultiLabel-GoEmotions-v0",
    "Relation-SemEval-v0",
    "Relation-CoNLL04-v0",
    "SpanQA-SQuAD-v0",
    "Summary-SciTLDR-v0",
    "Summary-AESLC-v0",
    "Translation-Multi30k-v0",
    "Dialogue-DailyDialog-v0",
    "DialoguePolicy-SGD-v0",
    "KnowledgeGraph-WN18RR-v0",
)


@pytest.mark.parametrize("env_id", IDS)
def test_every_metric_has_counts_that_give_its_value(env_id: str) -> None:
    task = make_task(env_id, "dev", corpus="sample", encoder="hashed")
    rows = list(range(min(6, len(task.corpus))))
    scores = run_baselines(task, task, ["random", "oracle"], rows=rows, report=False)
    assert scores["oracle"].value > scores["random"].value
    sides = []
    for name in ("oracle", "random"):
        score = scores[name]
        assert score.sums is not None
        counts, formula = score.sums
        assert counts.shape[0] == len(rows) == score.n
        whole = np.asarray(counts.sum(axis=0), np.float64)[None]
        assert formula(whole)[0] == pytest.approx(score.value, abs=1e-6)
        sides.append([score])
    found = paired_difference(*sides, draws=50)
    assert found.difference > 0
    assert found.low <= found.difference <= found.high


def test_runs_are_compared_from_their_folders(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [tiny_run(tmp_path / "0"), tmp_path / "1"]
    copytree(runs[0], runs[1])
    found = compare_runs(runs[:1], runs[1:], "dev", draws=20, device="cpu")
    assert found.difference == 0.0  # the same weights twice
    used = processor_seconds(runs[0])
    assert used is not None
    assert 0 < used < 60
    target = tmp_path / "difference.json"
    options = ["--with", str(runs[1]), "--split", "dev", "--draws", "20", "--json", str(target)]
    with pytest.raises(SystemExit) as ended:
        main(["compare", str(runs[0]), *options])
    assert ended.value.code == 0
    record = json.loads(target.read_text())
    assert record["verdict"] == "open"
    assert record["runs"] == [str(runs[0])]
    told = dict.fromkeys([str(run) for run in runs], "bandit")
    assert record["information"] == told
    assert re.search(
        r"processor seconds of training, learned from: bandit\n", capsys.readouterr().out
    )
    (runs[1] / "config.yml").unlink()
    with pytest.raises(SystemExit):
        main(["compare", str(runs[0]), *options])
    assert json.loads(target.read_text())["information"] == {**told, str(runs[1]): "not known"}
