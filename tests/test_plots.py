"""`nlp_gym_agents.plots`: what figures show, by the data of their artists, and the report."""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from nlp_gym.errors import (
    InvalidArgumentError,
    MissingDependencyError,
    NLPGymError,
    RunError,
    UnknownNameError,
)
from nlp_gym_agents.cli.main import main
from nlp_gym_agents.config.train_config import TrainConfig
from nlp_gym_agents.evaluation.benchmark.table import Cell, build_table, read_cells, write_cell
from nlp_gym_agents.evaluation.evaluate import evaluate
from nlp_gym_agents.plots import style
from nlp_gym_agents.plots.decisions.calibration import (
    Z,
    binned,
    calibration_figure,
    values_figure,
    wilson,
)
from nlp_gym_agents.plots.decisions.confusion import confusion_figure, confusion_of
from nlp_gym_agents.plots.decisions.played import decisions_of, forced_outputs, open_player
from nlp_gym_agents.plots.decisions.reading import reading_figure, reading_of
from nlp_gym_agents.plots.figure import WHAT, plot
from nlp_gym_agents.plots.report import REPORT, write_report
from nlp_gym_agents.plots.scores.aggregate import (
    improvements,
    interquartile_mean,
    normalised,
    profile,
)
from nlp_gym_agents.plots.scores.benchmark import ONE_SEED, benchmark_figure
from nlp_gym_agents.plots.scores.curves import curves_figure
from nlp_gym_agents.plots.scores.learning import mean_of, panels, read_learning
from nlp_gym_agents.runs.calibration import read_calibration
from nlp_gym_agents.runs.folder import write_config
from nlp_gym_agents.runs.metrics_log import METRICS, append_metrics
from nlp_gym_agents.training.train import train

pytestmark = pytest.mark.usefixtures("one_thread")
SAMPLE = {"corpus": "sample", "encoder": "hashed"}
HOSTILE = "<script>alert(1)</script>$\\frac{x}$\x1b[31m\u202e$"


def made_run(folder: Path, values: list[float], **changes: Any) -> Path:
    """A run folder with evaluations every 100 decisions, as training writes them."""
    folder.mkdir(parents=True)
    config = {"env": "NER-CoNLL-v0", "algo": "ppo", "n_timesteps": 100 * len(values) - 100}
    config |= {"seed": 0, "hyperparams": {"gamma": 0.5}, **changes}
    metric = config.pop("metric", "entity_f1")
    corpus = config.pop("corpus", "aa")
    facts = {"corpora": {"dev": {"text_sha256": corpus}}}
    write_config(folder, config, command=["nlp-gym", "train"], facts=facts)
    for i, value in enumerate(values):
        row = {"timesteps": 100 * i, "seconds": 0.5 * i, "split": "dev"}
        append_metrics(folder, {**row, "metric": metric, "value": value})
    return folder


def made_results(out: Path, scores: dict[str, dict[str, list[float]]]) -> Path:
    """A folder of results: by id and algorithm the test score of each seed."""
    for env_id, columns in scores.items():
        for algo, values in columns.items():
            for seed, value in enumerate(values):
                corpus = {"name": "made", "text_sha256": "00", "bundled": True}
                split = {"value": value, "interval": None, "n": 10, "corpus": corpus}
                result = {
                    "status": "done",
                    "seconds": 1.0,
                    "metric": "f1",
                    "signature": "metric:f1",
                }
                result |= {"dev": split, "test": split, "versions": {"python": "3"}}
                write_cell(Cell(env_id, algo, seed, {}), out, result)
    return out


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tagger with probabilities, one with values, and a classifier that reads."""
    root = tmp_path_factory.mktemp("plots")
    ppo = {"n_steps": 8, "batch_size": 64, "n_epochs": 1}
    settings: dict[str, dict[str, Any]] = {
        "ppo": {"env": "NER-CoNLL-v0", "algo": "maskable_ppo", "hyperparams": ppo},
        "dqn": {"env": "NER-CoNLL-v0", "algo": "masked_dqn"},
        "reader": {"env": "Sentiment-SST2-v0", "algo": "maskable_ppo", "hyperparams": ppo},
    }
    for name, own in settings.items():
        kwargs = {**SAMPLE, **({"window": 0} if name != "reader" else {"chunk": 3})}
        config = TrainConfig(n_timesteps=64, n_envs=8, env_kwargs=kwargs, device="cpu", **own)
        train(config, run_dir=root / name, progress=False)
    return {name: root / name for name in settings}


def test_plots_mean_over_seeds_has_students_interval(tmp_path: Path) -> None:
    curves = {0: [0.0, 0.2, 0.4], 1: [0.0, 0.4, 0.4], 2: [0.0, 0.6, 1.0]}
    runs = [
        read_learning(made_run(tmp_path / str(seed), values, seed=seed))
        for seed, values in curves.items()
    ]
    mean = mean_of(runs, "steps")
    np.testing.assert_allclose(mean.at, [0, 100, 200])
    np.testing.assert_allclose(mean.mean, np.mean(list(curves.values()), axis=0))
    low, high = scipy.stats.t.interval(0.95, 2, 0.4, scipy.stats.sem([0.2, 0.4, 0.6]))
    assert (mean.low[1], mean.high[1]) == pytest.approx((low, high))
    (panel,) = panels(runs)
    figure = curves_figure([panel], ["steps", "seconds"])
    thick = [line for line in figure.axes[0].lines if line.get_label() == "ppo"]
    np.testing.assert_allclose(thick[0].get_ydata(), mean.mean)
    assert figure.axes[1].lines[-1].get_xdata()[-1] == pytest.approx(1.0)  # seconds
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()
    assert any("(3 seeds)" in text.get_text() for text in figure.axes[1].texts)


def test_plots_runs_are_compared_where_all_have_been(tmp_path: Path) -> None:
    long = read_learning(made_run(tmp_path / "long", [0.0, 0.5, 1.0, 1.0], n_timesteps=200))
    short = read_learning(made_run(tmp_path / "short", [0.0, 0.5], n_timesteps=200, seed=1))
    assert mean_of([long, short], "steps").at[-1] == 100
    assert (long.finished, short.finished) == (True, False)
    figure = curves_figure(panels([long, short]), ["steps"])
    assert "1 of 2 runs had not ended" in figure._supxlabel.get_text()  # type: ignore[attr-defined]


def test_plots_what_differs_is_another_series_or_panel(tmp_path: Path) -> None:
    def run(name: str, **changes: Any) -> Any:
        return read_learning(made_run(tmp_path / name, [0.1, 0.2], **changes))

    runs = [
        run("a"),
        run("seed", seed=1, device="cpu", eval_freq=7),
        run("gamma", hyperparams={"gamma": 0.9}),
        run("bc", algo="bc"),
        run("warm", warm_start="bc"),
        run("metric", metric="accuracy"),
        run("corpus", corpus="bb"),
    ]
    first, *others = panels(runs)
    names = [series.name for series in first.series]
    assert names == ["ppo (gamma 0.5)", "ppo (gamma 0.9)", "bc", "ppo+bc"]
    assert [len(series.runs) for series in first.series] == [2, 1, 1, 1]
    assert [(panel.metric, panel.corpus) for panel in others] == [
        ("accuracy", "aa"),
        ("entity_f1", "bb"),
    ]
    figure = curves_figure([first], ["steps"])
    drawn = {line.get_label(): line for line in figure.axes[0].lines}
    pair = [drawn["ppo (gamma 0.5)"], drawn["ppo (gamma 0.9)"]]
    assert len({line.get_color() for line in pair}) == 1
    assert len({line.get_linestyle() for line in pair}) == 2
    assert figure.axes[0].lines[-1].get_linestyle() == "--"  # the level of bc
    assert "bc" not in {line.get_label() for line in figure.axes[0].lines}


def test_plots_a_torn_line_and_a_second_evaluation_do_no_harm(tmp_path: Path) -> None:
    folder = made_run(tmp_path / "run", [0.1, 0.2, 0.3])
    row = {"timesteps": 100, "seconds": 0.4, "split": "dev", "metric": "entity_f1", "value": 0.9}
    append_metrics(folder, row)
    with (folder / METRICS).open("a", encoding="utf-8") as file:
        file.write('{"timesteps": 300, "val')
    run = read_learning(folder)
    np.testing.assert_allclose(run.values, [0.1, 0.9, 0.3])
    assert (np.diff(run.along("seconds")) >= 0).all()


@pytest.mark.parametrize("ending", style.ENDINGS)
def test_plots_hostile_names_are_inert(tmp_path: Path, ending: str) -> None:
    hostile = {"metric": HOSTILE, "hyperparams": {HOSTILE: HOSTILE}}
    runs = [made_run(tmp_path / "a", [0.1, 0.2], env=HOSTILE, **hostile)]
    runs.append(made_run(tmp_path / "b", [0.1, 0.2], env=HOSTILE, metric=HOSTILE))
    file = plot(runs, tmp_path / f"figure{ending}")
    data = file.read_bytes()
    assert data == plot(runs, tmp_path / f"again{ending}").read_bytes()
    if ending == ".svg":
        text = data.decode()
        assert "<script" not in text
        assert "$\\frac{x}$" in text  # as it is, and no formula
        assert not set("\x1b\u202e") & set(text)
        assert "<text" in text  # which can be searched


def test_plots_names_in_any_script_are_drawn() -> None:
    assert style.name("标签 مرحبا Ελ") == "标签 مرحبا Ελ"
    assert style.name("\U0010fffd") == "[U+10FFFD]"
    with style.drawing():
        figure = style.new_figure(2, 1)
        figure.subplots().set_title(style.name("标签 مرحبا \U0001f355 \U00012000"))
    assert style.rendered(figure, "png").startswith(b"\x89PNG")  # a missing glyph would warn


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=12),
    st.floats(0.001, 0.08),
)
def test_plots_labels_are_moved_apart_in_their_order(places: list[float], gap: float) -> None:
    moved = style.spread(places, gap, 0.0, 1.0)
    order = sorted(range(len(places)), key=lambda i: places[i])
    steps = np.diff([moved[i] for i in order])
    assert (steps >= gap - 1e-9).all()
    assert max(moved) <= 1.0 + 1e-9
    if len(places) == 1:
        assert moved == places


def test_plots_an_algorithm_looks_the_same_everywhere() -> None:
    assert style.look("maskable_ppo+bc:8").colour == style.look("maskable_ppo").colour
    assert style.look("maskable_ppo+bc").dashes != style.look("maskable_ppo").dashes
    assert style.look("my.module:Algorithm") == style.look("my.module:Algorithm")


def test_plots_settings_of_matplotlib_stay_as_they_were(tmp_path: Path) -> None:
    import matplotlib

    before, pyplot = dict(matplotlib.rcParams), "matplotlib.pyplot" in sys.modules
    plot([made_run(tmp_path / "run", [0.1, 0.2])], tmp_path / "f.svg")
    assert dict(matplotlib.rcParams) == before
    assert ("matplotlib.pyplot" in sys.modules) == pyplot


def test_plots_misuse_is_refused(tmp_path: Path, trained: dict[str, Path]) -> None:
    good, out = made_run(tmp_path / "good", [0.1, 0.2]), tmp_path / "f.png"
    empty = made_run(tmp_path / "empty", [])
    (tmp_path / "d.png").mkdir()
    tagger, reader = trained["ppo"], trained["reader"]
    cases: list[tuple[type[NLPGymError], str, list[Path], Path, dict[str, str]]] = [
        (RunError, "does not exist", [tmp_path / "absent"], out, {}),
        (RunError, "no evaluation on dev yet", [empty], out, {}),
        (InvalidArgumentError, "must end in .png, .svg, .pdf", [good], tmp_path / "f.gif", {}),
        (InvalidArgumentError, "is a folder", [good], tmp_path / "d.png", {}),
        (InvalidArgumentError, "at least one run", [], out, {}),
        (UnknownNameError, "what", [tagger], out, {"what": "curve"}),
        (UnknownNameError, "x", [tagger], out, {"x": "step"}),
        (UnknownNameError, "split", [tagger], out, {"what": "values", "split": "eval"}),
        (InvalidArgumentError, "reads piece by piece", [tagger], out, {"what": "reading"}),
        (RunError, "no results", [reader], out, {"what": "benchmark"}),
        (RunError, "cannot be written", [tagger], tmp_path / "empty/config.yml/f.png", {}),
    ]
    for kind, message, runs, output, options in cases:
        with pytest.raises(kind, match=re.escape(message)):
            plot(runs, output, **options)
    assert not out.exists()


def test_plots_command_makes_missing_folders(
    tmp_path: Path, trained: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "new" / "f.svg"
    for what in ("curves", "values"):
        with pytest.raises(SystemExit) as stop:
            main(["plot", str(trained["dqn"]), "--output", str(output), "--what", what])
        assert stop.value.code == 0
        assert capsys.readouterr().out.strip() == str(output)
    assert output.read_text(encoding="utf-8").startswith("<?xml")


def test_plots_confusion_counts_every_word_once(trained: dict[str, Path]) -> None:
    player = open_player(trained["ppo"], "dev", samples=40)
    assert len(player.rows) == 40
    outputs = player.outputs()
    found = confusion_of(player.task, player.rows, outputs)
    gold = [label for row in player.rows for label in player.task.sample(row).labels or ()]
    assert found.counts.sum() == len(gold)
    assert found.labels[0] == "O"
    assert not [label for label in found.labels if label.startswith(("B-", "I-"))]
    assert found.counts[0].sum() == gold.count("O")
    np.testing.assert_allclose(found.shares.sum(axis=1)[found.counts.sum(axis=1) > 0], 1.0)
    for first, second, count, _ in found.largest(5):
        assert first != second
        assert count > 0
    figure = confusion_figure([player, player])
    assert len(figure.axes) == 2
    np.testing.assert_allclose(figure.axes[0].images[0].get_array(), found.shares)
    for what in ("confusion", "reading"):
        assert what in WHAT


def test_plots_decisions_have_their_returns(trained: dict[str, Path]) -> None:
    player = open_player(trained["ppo"], "dev")
    found = decisions_of(player)
    assert found.gamma == 0.0
    # With gamma 0 the return of a decision is its reward: whether the tag is right.
    np.testing.assert_array_equal(found.gain > 0.5, found.right)
    shares = evaluate(trained["ppo"], "dev").report["tags"]["accuracy"]["f1-score"]
    assert found.right.mean() == pytest.approx(shares)
    assert ((found.probability > 0) & (found.probability <= 1)).all()
    values = decisions_of(open_player(trained["dqn"], "dev", samples=10))
    assert values.kind == "values"
    assert ((values.probability > 0) & (values.probability <= 1)).all()
    reader = open_player(trained["reader"], "dev")
    judged = decisions_of(reader)
    assert judged.gamma == 1.0
    assert judged.judged.sum() == len(reader.rows)  # one label a text, and reading is not judged
    accuracy = evaluate(trained["reader"], "dev").value
    assert judged.right[judged.judged].mean() == pytest.approx(accuracy)
    fit = read_calibration(trained["ppo"], player.trained.settings["timesteps"])
    assert fit is None or found.temperature == fit["temperature"]
    figure = calibration_figure([player, reader])
    assert len(figure.axes) == 4
    assert sum(bar.get_height() for bar in figure.axes[2].patches) == len(found.right)
    assert "bias" in values_figure([player]).axes[0].texts[0].get_text()


def test_plots_bins_hold_every_prediction() -> None:
    bins = binned(np.array([-1.0, 0.5, 2.0]), np.array([0.0, 0.0, 1.0]), np.array([0.0, 0.5, 1.0]))
    assert bins.counts.tolist() == [1, 2]
    assert bins.found.tolist() == [0.0, 0.5]
    # A single number has no interval; two have one of Z times their standard error.
    assert np.isnan([bins.low[0], bins.high[0]]).all()
    assert [bins.low[1], bins.high[1]] == pytest.approx([0.5 - Z * 0.5, 0.5 + Z * 0.5])
    low, high = wilson(0, 20)
    assert (low, round(high, 3)) == (0.0, 0.161)


def test_plots_reading_is_made_to_stop(trained: dict[str, Path]) -> None:
    player = open_player(trained["reader"], "dev")
    words = [player.task.words_read(row) for row in player.rows]  # type: ignore[attr-defined]
    for pieces in (1, 2, 99):
        outputs = forced_outputs(player, pieces)
        assert [out[1] for out in outputs] == [stops[:pieces][-1] for stops in words]
        assert all(out[0] in player.task.labels for out in outputs)
    assert reading_of(player, outputs).share == 1.0
    figure = reading_figure([player])
    own = reading_of(player, player.outputs())
    shown = figure.axes[0].get_legend_handles_labels()[1][0]
    assert f"reads {own.share:.0%}, {own.accuracy:.3f} right" in shown
    heights = [bar.get_height() for bar in figure.axes[1].patches]
    assert sum(heights) == pytest.approx(1.0)


SCORES = {
    "A-v0": {"random": [0.1, 0.3], "bc": [0.8, 0.8], "ppo": [0.5, 0.8], "dqn": [0.2, 0.2]},
    "B-v0": {"random": [0.0, 0.0], "bc": [0.5, 0.5], "ppo": [0.5, 0.25], "dqn": [0.0, 0.5]},
}


def test_plots_scores_are_normalised_and_pooled(tmp_path: Path) -> None:
    found = normalised(build_table(read_cells(made_results(tmp_path, SCORES))))
    assert (found.reference, found.ids, found.seeds) == ("bc", ("A-v0", "B-v0"), 2)
    np.testing.assert_allclose(found.scores["ppo"]["A-v0"], [0.5, 1.0])
    mean = interquartile_mean(found.scores["ppo"])
    assert mean.value == pytest.approx(0.75)  # the middle two of 0.5, 0.5, 1, 1
    assert mean.low is not None
    assert mean.high is not None
    assert mean.low <= mean.value <= mean.high
    share, low, high = profile(found.scores["ppo"])
    assert (share[0], share[-1]) == (1.0, 0.0)
    assert ((low <= share + 1e-9) & (share <= high + 1e-9)).all()
    assert (np.diff(share) <= 0).all()
    chances = {(a, b): estimate.value for a, b, estimate in improvements(found)}
    assert chances["ppo", "dqn"] == pytest.approx((1.0 + 0.625) / 2)
    assert all(value >= 0.5 for value in chances.values())


def test_plots_say_what_cannot_be_said_of_scores(tmp_path: Path) -> None:
    one = {env_id: {a: v[:1] for a, v in own.items()} for env_id, own in SCORES.items()}
    one["C-v0"] = {"random": [0.5], "bc": [0.4], "ppo": [0.6]}
    one["D-v0"] = {"bc": [0.4], "ppo": [0.6]}
    table = build_table(read_cells(made_results(tmp_path, one)))
    found = normalised(table)
    assert found.ids == ("A-v0", "B-v0")
    assert [text.partition(":")[0] for text in found.left_out] == ["C-v0", "D-v0"]
    assert interquartile_mean(found.scores["ppo"]).low is None
    assert improvements(found) == []
    figure = benchmark_figure(table)
    words = " ".join(figure._supxlabel.get_text().split())  # type: ignore[attr-defined]
    assert ONE_SEED in words


class Page(HTMLParser):
    """Tags of a page with their attributes, and the text between them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_plots_report_is_self_contained_and_inert(tmp_path: Path) -> None:
    out = made_results(tmp_path, SCORES)
    made_run(tmp_path / "runs/A-v0/ppo-0", [0.1, 0.4], env="A-v0")
    cell = Cell("A-v0", "ppo", 0, {HOSTILE: HOSTILE})
    record = next(r for r in read_cells(out) if (r["id"], r["algo"]) == ("A-v0", "ppo"))
    own = {key: record[key] for key in ("status", "seconds", "metric", "signature", "dev", "test")}
    write_cell(cell, out, {**own, "run": "elsewhere/runs/A-v0/ppo-0"})
    write_cell(
        Cell("B-v0", "a2c", 0, {}), out, {"status": "failed", "seconds": 0, "error": HOSTILE}
    )
    assert write_report(out, ["nlp-gym", "benchmark", "--ids", HOSTILE]) is None
    text = (out / REPORT).read_text(encoding="utf-8")
    page = Page(text)
    assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in page.tags}
    assert not set("\x1b\u202e") & set(text)
    drawings = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert len(drawings) == 3
    assert all(drawing["role"] == "img" and drawing["aria-label"] for drawing in drawings)
    links = [a for _, attrs in page.tags for k, a in attrs.items() if k in ("href", "xlink:href")]
    assert all(link and link.startswith("#") for link in links)
    defined = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert {link[1:] for link in links if link} <= set(defined)
    assert len(defined) == len(set(defined))
    words = "".join(page.words)
    assert "<script>alert(1)</script>" in words  # shown, as what it is
    assert "0.650 ± 0.150" in " ".join(words.split())
    assert "prefers-color-scheme: dark" in text


def test_plots_report_has_tables_where_matplotlib_is_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    arguments = ["--ids", "POS-EWT-v0", "--algos", "random", "--out", str(tmp_path)]
    with pytest.raises(SystemExit) as stop:
        main(["benchmark", *arguments, "--env-kwargs", "corpus:sample", "encoder:hashed"])
    assert stop.value.code == 0
    captured = capsys.readouterr()
    assert captured.out.endswith(f"{tmp_path / 'table.md'}\n")
    assert captured.err.count("pip install 'nlp-gymnasium[plot]'") == 1
    page = Page((tmp_path / REPORT).read_text(encoding="utf-8"))
    assert "svg" not in {tag for tag, _ in page.tags}
    assert {"table", "caption"} <= {tag for tag, _ in page.tags}
    with pytest.raises(MissingDependencyError, match="matplotlib"):
        plot([made_run(tmp_path / "run", [0.1, 0.2])], tmp_path / "f.png")
