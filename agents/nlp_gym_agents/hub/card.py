"""The model card: Markdown and metadata, written from the files of a run and nothing else.

Names and labels are anybody's text. In the prose each of them is inert: HTML and Markdown in it
are escaped, and so are characters that act or cannot be seen. The metadata is YAML that a library
wrote.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import jinja2
import yaml
from markupsafe import Markup, escape

from nlp_gym.data import DATASETS
from nlp_gym.inert import one_line, visible
from nlp_gym.tasks.core.make import task_class
from nlp_gym_agents.hub.client import default_name
from nlp_gym_agents.runs.calibration import Calibration, read_calibration
from nlp_gym_agents.runs.files import schema
from nlp_gym_agents.runs.files.plain_files import read_json
from nlp_gym_agents.runs.files.trust import named_modules, registered_modules
from nlp_gym_agents.runs.folder import find_snapshot, read_config
from nlp_gym_agents.runs.metrics_log import read_metrics
from nlp_gym_agents.runs.settings import SnapshotSettings

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

HOMEPAGE = "https://github.com/nlp-gym/nlp_gym"
_SECTIONS = ("Description", "Action Space", "Action Mask", "Rewards", "Episode End", "Metric")
"""What of a task's docstring is told."""
_MOST_LABELS = 40
_LONGEST_LABEL = 60
_MOST_LINES = 80
"""Lines of the report that are shown."""
_PIPELINES = {
    "choice": "multiple-choice",
    "classification": "text-classification",
    "dialogue": "text-ranking",
    "generation": "text-generation",
    "kg": "graph-ml",
    "multilabel": "text-classification",
    "policy": "text-classification",
    "spanqa": "question-answering",
    "summary": "summarization",
    "tagging": "token-classification",
}
"""The Hub's name of what a family does; the others are filed under reinforcement learning."""
_MARKDOWN = re.compile(r"([\\`*_\[\]|~$])")


class Row(TypedDict):
    """A score of the report.

    Attributes:
        value: The metric.
        interval: Its 95% interval; None: there is none.
    """

    value: float
    interval: list[float] | None


class _Scored(Row):
    """What every ``report.json`` has for the card.

    Attributes:
        split: The split that was scored.
        metric: Name of the metric.
        signature: How exactly it was computed.
        n: Samples.
        baselines: By name.
        text: The report for people.
        corpus: What was scored.
    """

    split: str
    metric: str
    signature: str
    n: schema.Count
    baselines: dict[str, Row]
    text: str
    corpus: dict[str, Any]


class Report(_Scored, total=False):
    """What the card takes from ``report.json``.

    Attributes:
        information: What was learned from; older reports do not say it.
    """

    information: str


def markdown(text: object) -> Markup:
    """A text of others for the prose or a table of the card, on one line and inert."""
    line = str(escape(one_line(str(text))))
    line = _MARKDOWN.sub(r"\\\1", line)
    return Markup(line.replace("://", ":&#47;&#47;").replace("@", "&#64;"))


def fence(text: str, language: str) -> Markup:
    """A block of code that its text cannot close.

    Args:
        text: Lines; what acts or cannot be seen in them is spelled.
        language: For colours.
    """
    text = visible(text, lines=True).rstrip("\n")
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    ticks = "`" * max(3, longest + 1)
    return Markup(f"{ticks}{language}\n{text}\n{ticks}")


def make_card(run: str | Path, repo: str, *, trust: Sequence[str] | str = ()) -> str:
    """The model card of a run.

    Args:
        run: A run folder, or the folder that is uploaded for one.
        repo: Name of the repository, for the commands of the card; ``USER`` stands for an owner
            that is not known.
        trust: Modules that the run's settings may have imported; see `runs.files.trust`.

    Returns:
        Markdown with a block of metadata before it.

    Raises:
        RunError: A file of the run is damaged.
    """
    from huggingface_hub import ModelCard

    run = Path(run)
    repo = repo if "/" in repo else f"USER/{repo}"
    _, settings = find_snapshot(run, "best", trust=trust)
    config = read_config(run, trust=trust)
    versions = read_json(run / "versions.json")
    report = _report(run)
    facts = _facts(run, repo, settings, config, versions, report)
    body = _environment().get_template("card.md.jinja").render(facts)
    metadata = _metadata(settings, report, repo).to_yaml()
    return str(ModelCard(f"---\n{metadata}\n---\n\n{body}"))


def _facts(
    run: Path,
    repo: str,
    settings: SnapshotSettings,
    config: Mapping[str, Any],
    versions: Mapping[str, Any],
    report: Report | None,
) -> dict[str, Any]:
    """What the template is filled with."""
    task = task_class(settings["env"])
    corpus = _corpus(settings, report)
    reads_text = getattr(task, "reads_text", False) and not getattr(task, "is_mixture", False)
    calibration: Calibration | None = read_calibration(run, settings.get("timesteps", 0))
    return {
        "homepage": Markup(HOMEPAGE),
        "run": {
            "algo": settings["algo"],
            "env_id": settings["env"],
            "metric": settings.get("metric", ""),
            "value": settings.get("value"),
            "timesteps": settings.get("timesteps", 0),
        },
        "report": report,
        "bundled": corpus.get("bundled") is True,
        "calibration": calibration,
        "install": _install(settings),
        "python": _python(repo, reads_text=reads_text),
        "commands": _commands(repo, settings, reads_text=reads_text),
        "modules": [m for m in named_modules(settings) if m not in registered_modules()],
        "versions": _packages(versions),
        "sections": _sections(task),
        "labels": [_cut(label) for label in settings["labels"][:_MOST_LABELS]]
        + [""] * max(0, len(settings["labels"]) - _MOST_LABELS),
        "most_labels": _MOST_LABELS,
        "corpus": corpus,
        "dataset": DATASETS.get(corpus.get("name", "")) if corpus.get("known") else None,
        "corpora": settings.get("corpora", {}),
        "learnt": sorted(settings.get("learnt", {})),
        "training": _training(run, settings, config, versions, report),
        "hyperparams": _yaml(
            {"hyperparams": settings["hyperparams"], "env_kwargs": settings["env_kwargs"]}
        ),
    }


def _report(run: Path) -> Report | None:
    """What the card takes from ``report.json``, checked; None: there is none."""
    path = run / "report.json"
    if not path.exists():
        return None
    found = read_json(path)
    if isinstance(found, dict):
        found = {key: found[key] for key in schema.fields(Report) if key in found}
    schema.check(found, Report, path)
    report: Report = found
    lines = report["text"].split("\n")
    if len(lines) > _MOST_LINES:
        report["text"] = "\n".join([*lines[:_MOST_LINES], "..."])
    return report


def _corpus(settings: SnapshotSettings, report: Report | None) -> dict[str, Any]:
    """Name of the corpus and what is known of it; a user's own file is not in the catalogue."""
    trained = settings.get("corpora", {}).get("train")
    found: dict[str, Any] = {"name": trained and trained["name"], "bundled": None}
    if report is not None:
        found |= {key: report["corpus"].get(key) for key in ("name", "bundled")}
    found["name"] = str(found["name"] or "")
    own = settings["env_kwargs"].get("data") is not None
    return {**found, "known": not own and found["name"] in DATASETS}


def _cut(label: str) -> str:
    return label if len(label) <= _LONGEST_LABEL else f"{label[:_LONGEST_LABEL]}..."


def _install(settings: SnapshotSettings) -> str:
    extras = ["agents"]
    if settings["encoder"]["name"] == "minilm":
        extras.append("minilm")
    if settings.get("encoder_mode") == "lora":
        extras.append("lora")
    return f"pip install 'nlp-gymnasium[{','.join(extras)}]'"


def _python(repo: str, *, reads_text: bool) -> str:
    lines = ["from nlp_gym_agents import load_agent, load_from_hub", ""]
    lines.append(f'agent = load_agent(load_from_hub("{repo}"))')
    if reads_text:
        lines.append('agent.predict(["A text of your own."])')
    else:
        lines.append("agent.predict(samples)  # of nlp_gym.data: this task reads more than a text")
    return "\n".join(lines)


def _commands(repo: str, settings: SnapshotSettings, *, reads_text: bool) -> str:
    given = "'A text of your own.'" if reads_text else "--input samples.jsonl"
    return "\n".join(
        [
            f"nlp-gym load-from-hub {repo}   # the last line printed is the run folder",
            f"nlp-gym predict RUN {given}",
            "nlp-gym evaluate RUN",
        ]
    )


def _packages(versions: Mapping[str, Any]) -> list[str]:
    packages = versions.get("packages")
    named = packages if isinstance(packages, Mapping) else {}
    found = [f"{name} {version}" for name, version in named.items() if version]
    return [f"Python {versions.get('python', 'unknown')}", *found]


def _sections(task: type) -> list[tuple[str, Markup]]:
    """Sections of a task's docstring, which is Markdown of whoever wrote the task."""
    text = inspect.getdoc(task) or ""
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    found = dict(zip(parts[1::2], parts[2::2], strict=False))
    return [(name, Markup(found[name].strip())) for name in _SECTIONS if name in found]


def _training(
    run: Path,
    settings: SnapshotSettings,
    config: Mapping[str, Any],
    versions: Mapping[str, Any],
    report: Report | None,
) -> dict[str, Any]:
    """Rows of the table of the training; what is not on record has none."""
    evaluations = read_metrics(run)
    last = evaluations[-1] if evaluations else {}
    processor = versions.get("cpu")
    cores = versions.get("cpu_count")
    rows: dict[str, Any] = {
        "Algorithm": settings["algo"],
        "Learned from": None if report is None else report.get("information"),
        "Timesteps": f"{last['timesteps']:,}" if "timesteps" in last else None,
        "Seconds": f"{last['seconds']:,.0f}" if "seconds" in last else None,
        "Seed": config.get("seed"),
        "Environments side by side": config.get("n_envs"),
        "Warm start": config.get("warm_start"),
        "Encoder": f"{settings['encoder']['name']}, {settings.get('encoder_mode', 'frozen')}",
        "Processor": f"{processor}, {cores} cores" if processor and cores else processor,
        "Threads of torch": versions.get("torch_threads"),
        "GPU": versions.get("cuda"),
        "System": versions.get("platform"),
    }
    return {name: value for name, value in rows.items() if value not in (None, "")}


def _metadata(settings: SnapshotSettings, report: Report | None, repo: str) -> Any:
    from huggingface_hub import ModelCardData

    task, corpus = task_class(settings["env"]), _corpus(settings, report)
    tags = ["nlp-gym", "reinforcement-learning", "stable-baselines3"]
    tags += [one_line(settings["algo"]), one_line(settings["env"])]
    pipeline = _pipeline(task.family, settings)
    results: list[EvalResult] | None = None
    if report is not None:
        results = [_result(settings, report, corpus, pipeline)]
    return ModelCardData(
        library_name="nlp-gym",
        tags=tags,
        pipeline_tag=pipeline,
        model_name=one_line(repo.rpartition("/")[2])
        or default_name(settings["algo"], settings["env"]),
        eval_results=results,
        datasets=[corpus["name"]] if corpus["known"] else None,
    )


def _pipeline(family: str, settings: SnapshotSettings) -> str:
    if family == "generation" and settings["env_kwargs"].get("pair"):
        return "translation"
    return _PIPELINES.get(family, "reinforcement-learning")


def _result(
    settings: SnapshotSettings, report: Report, corpus: Mapping[str, Any], pipeline: str
) -> EvalResult:
    from huggingface_hub import EvalResult

    sample = " (bundled sample)" if corpus.get("bundled") is True else ""
    name = one_line(corpus["name"]) or "unnamed"
    return EvalResult(
        task_type=pipeline,
        task_name=one_line(settings["env"]),
        dataset_type=name,
        dataset_name=f"{name}{sample}",
        dataset_split=one_line(report["split"]),
        metric_type=one_line(report["metric"]),
        metric_value=round(report["value"], 6),
        metric_name=one_line(report["metric"]),
        metric_args={"signature": one_line(report["signature"])},
    )


def _interval(row: Row) -> str:
    if not row["interval"]:
        return ""
    return " to ".join(f"{end:.4f}" for end in row["interval"])


def _yaml(tree: Any) -> str:
    return yaml.safe_dump(_plain(tree), sort_keys=False, allow_unicode=True, width=100)


def _plain(tree: Any) -> Any:
    """A tree whose texts are on one line each and inert."""
    if isinstance(tree, Mapping):
        return {one_line(str(key)): _plain(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_plain(item) for item in tree]
    return one_line(tree) if isinstance(tree, str) else tree


def _inert(value: object) -> object:
    return value if isinstance(value, Markup) else markdown(value)


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_inert,
    )
    made.globals |= {"fence": fence, "interval": _interval, "plain": lambda text: Markup(text)}
    return made
