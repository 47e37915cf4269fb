"""The report of a benchmark: one HTML file with its figures, tables, settings and versions.

It needs no network and no script, is read by screen readers (each figure has a table beside it),
follows a light or a dark system, and prints. Without matplotlib it has the tables alone.
"""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlp_gym.errors import MissingDependencyError, NLPGymError
from nlp_gym.files import atomic_path
from nlp_gym.render.pages import page_templates
from nlp_gym_agents.evaluation.benchmark.controls import read_controls
from nlp_gym_agents.evaluation.benchmark.markdown import control_row
from nlp_gym_agents.evaluation.benchmark.table import (
    BASELINES,
    build_table,
    learned_from,
    read_cells,
)
from nlp_gym_agents.plots import style
from nlp_gym_agents.plots.scores.aggregate import (
    Normalised,
    improvements,
    interquartile_mean,
    normalised,
)
from nlp_gym_agents.plots.scores.learning import LearningRun, Panel, panels, read_learning
from nlp_gym_agents.runs.files.trust import named_modules
from nlp_gym_agents.runs.folder import writing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REPORT = "report.html"
"""The file in the folder of results."""


@dataclass(frozen=True)
class Drawing:
    """A figure of the page.

    Attributes:
        title: Its heading.
        svg: The drawing, which needs no escaping.
    """

    title: str
    svg: str


def write_report(out: Path, command: Sequence[str]) -> str | None:
    """Write ``report.html`` from all results in a folder, whichever calls measured them.

    Args:
        out: The folder of results.
        command: The command line, as a list.

    Returns:
        Why it has no figures; None where it has.

    Raises:
        RunError: The folder cannot be written to.
    """
    results = read_cells(out)
    text, missing = report_html(results, out, command)
    with writing(out), atomic_path(out / REPORT) as path:
        path.write_text(text, encoding="utf-8")
    return missing


def report_html(
    results: Sequence[Mapping[str, Any]], out: Path, command: Sequence[str]
) -> tuple[str, str | None]:
    """The page, and why it has no figures (None: it has).

    Args:
        results: Records of cells, as `read_cells` gives them.
        out: The folder that their training runs are in.
        command: The command line, as a list.
    """
    table = build_table(results, read_controls(out, results))
    found, missing = normalised(table), None
    try:
        style.check_matplotlib("figures of the report")
        drawings = _drawings(table, found, _panels(results, table, out))
    except MissingDependencyError as error:
        drawings, missing = {}, str(error)
    page = page_templates("nlp_gym_agents.plots", lines=True).get_template("benchmark.html")
    text = page.render(
        table=table,
        columns=[_column(table, algo) for algo in table["algos"]],
        controls=[control_row(record) for record in table["controls"]],
        drawings=drawings,
        missing=missing,
        found=found,
        means={algo: interquartile_mean(own) for algo, own in found.scores.items()},
        improvements=improvements(found),
        captions=_captions(found),
        best={row["id"]: _best(row) for row in table["rows"]},
        runs=[_about(record) for record in results if record["status"] == "done"],
        failed=[record for record in results if record["status"] == "failed"],
        settings=_settings(results),
        versions=_distinct(record.get("versions") for record in results),
        corpora=_corpora(results),
        signatures=_distinct(record.get("signature") for record in results),
        command=shlex.join(command),
        out=str(out),
        on_dark=style.ON_DARK,
    )
    return text, missing


def _captions(found: Normalised) -> list[str]:
    from nlp_gym_agents.plots.scores.benchmark import aggregate_caption

    return aggregate_caption(found) if found.scores else [f"{text}." for text in found.left_out]


def _panels(
    results: Sequence[Mapping[str, Any]], table: Mapping[str, Any], out: Path
) -> list[Panel]:
    """Learning curves of the training runs, with what does not learn as levels on dev."""
    runs: list[LearningRun] = []
    for record in results:
        if record["status"] != "done" or record["algo"] in BASELINES or "run" not in record:
            continue
        trust = named_modules({"env": record["id"], "algo": record["algo"]})
        # The folder may have been moved since, and its runs with it.
        folder = out / "runs" / record["id"] / Path(record["run"]).name
        with suppress(NLPGymError, OSError):
            runs.append(read_learning(folder, trust=trust))
    levels = {
        row["id"]: {
            algo: column["dev"]["mean"]
            for algo, column in row["columns"].items()
            if algo in BASELINES and "dev" in column
        }
        for row in table["rows"]
    }
    return [
        dataclasses.replace(panel, baselines=levels.get(panel.env_id, {}), baselines_split="dev")
        for panel in panels(runs)
    ]


def _drawings(
    table: Mapping[str, Any], found: Normalised, curves: Sequence[Panel]
) -> dict[str, Drawing]:
    from nlp_gym_agents.plots.scores.benchmark import aggregate_figure, scores_figure
    from nlp_gym_agents.plots.scores.curves import curves_figure

    made = {}
    if found.scores:
        title = "Performance profiles, interquartile means and probabilities of improvement"
        made["aggregate"] = _drawing(aggregate_figure(found), title, "aggregate")
    if any("test" in column for row in table["rows"] for column in row["columns"].values()):
        made["scores"] = _drawing(scores_figure(table), "Test scores by id", "scores")
    if curves:
        figure = curves_figure(curves, ("steps",), columns=2)
        made["curves"] = _drawing(figure, "Learning curves on dev by id", "curves")
    return made


def _drawing(figure: Figure, title: str, salt: str) -> Drawing:
    text = f"{title}; its numbers are in the tables."
    return Drawing(title, style.inline_svg(figure, title=text, salt=salt))


def _column(table: Mapping[str, Any], algo: str) -> dict[str, str]:
    seeds = sorted({s for row in table["rows"] for s in row["columns"][algo]["seeds"]})
    look = style.look(algo)
    return {
        "algo": algo,
        "colour": style.variable(look.colour),
        "seeds": ", ".join(map(str, seeds)),
        "information": table["information"][algo],
    }


def _best(row: Mapping[str, Any]) -> dict[str, str]:
    """The column that is best on each split, what knows the gold left out."""
    best = {}
    for split in ("test", "dev"):
        done = {
            algo: column[split]["mean"]
            for algo, column in row["columns"].items()
            if split in column and algo != "oracle"
        }
        if done:
            best[split] = max(done, key=lambda algo: done[algo])
    return best


def _about(record: Mapping[str, Any]) -> dict[str, Any]:
    """One line of the table of single measurements."""
    keys = ("id", "algo", "seed", "seconds", "test", "dev", "settings_hash")
    rest = ("timesteps", "best_timesteps", "scoring_seconds", "stopped")
    known = {"information": learned_from(record) or "", "alarms": record.get("alarms") or []}
    return {**{key: record[key] for key in keys}, **{key: record.get(key) for key in rest}, **known}


def _settings(results: Iterable[Mapping[str, Any]]) -> list[tuple[str, str, str]]:
    """Id, algorithm and settings of each pair, without repetition over seeds."""
    found: dict[tuple[str, str, str], None] = {}
    for record in results:
        text = json.dumps(record["settings"], indent=2, ensure_ascii=False, sort_keys=True)
        found[record["id"], record["algo"], text] = None
    return list(found)


def _distinct(values: Iterable[Any]) -> list[str]:
    """Values as text, each once."""
    texts = (
        value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
        for value in values
        if value
    )
    return list(dict.fromkeys(texts))


def _corpora(results: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The texts that were scored: id, split, name, size, hash, whether it is a sample."""
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for record in results:
        for split in ("dev", "test"):
            score = record.get(split)
            corpus = score.get("corpus") if isinstance(score, dict) else None
            if isinstance(score, dict) and isinstance(corpus, dict):
                text_hash = str(corpus.get("text_sha256", ""))
                row = {"id": record["id"], "split": split, "n": score["n"], "hash": text_hash}
                row |= {"name": corpus.get("name", ""), "bundled": bool(corpus.get("bundled"))}
                found[record["id"], split, text_hash] = row
    return list(found.values())
