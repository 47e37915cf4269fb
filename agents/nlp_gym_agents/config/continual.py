"""Settings of a run that continues another one on new data: a chain of stages.

A stage is what one run was trained on. The settings of a run that continues another (`--continue`)
are those of that run but for the data, and list the stages before it, oldest first: where their
data is, for replay and for the report, and which run was trained on them. What decides the size of
the network is settled here: the label inventory is that of the earlier run followed by the labels
that are new, so that every old label keeps its number.
"""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from nlp_gym import make_task
from nlp_gym.checks import check_path
from nlp_gym.data import DATASETS
from nlp_gym.errors import (
    DataError,
    DataNotFoundError,
    InvalidArgumentError,
    RunError,
    UnknownNameError,
    listed,
    nearest,
    shown,
)
from nlp_gym.tasks.core.make import SHELL_ARGUMENTS, is_task_id, task_class, task_ids, task_spec
from nlp_gym.tasks.core.task import Task
from nlp_gym.types import Corpus
from nlp_gym_agents.algorithms.registry import resolve
from nlp_gym_agents.config.hyperparams import load_hyperparams, nested_merge
from nlp_gym_agents.config.lengths import fitted
from nlp_gym_agents.runs.folder import find_snapshot, read_config
from nlp_gym_agents.runs.settings import SnapshotSettings

STAGE_ARGUMENTS = (
    "dataset",
    "data",
    "data_dir",
    "corpus",
    "data_format",
    "column",
    "label_column",
    "text_column",
    "word_column",
    "label_separator",
    "comments",
    "encoding",
    "bad_rows",
    "tasks",
)
"""Arguments of a task that say which data it plays; all others stay those of the first stage."""

_NETWORK = ("policy", "policy_kwargs", "tuning")
"""Hyperparameters that decide what weights there are; kept where the algorithm changes."""
_ONCE = ("kl", "start", "n_timesteps", "n_envs", "env_kwargs")
"""Sections that belong to the beginning or the length of one run."""


class Stage(TypedDict):
    """An earlier stage of a run.

    Attributes:
        run: Folder of the run that was trained on it.
        env: Environment id of that run.
        arguments: Those of `STAGE_ARGUMENTS` that the stage was given, `dataset` always.
        n_labels: Number of labels that it ended with; later ones come after these.
    """

    run: str
    env: str
    arguments: dict[str, Any]
    n_labels: int


def stage_arguments(env: str, env_kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Which data a task plays, as arguments for the task of any other stage of its chain.

    Args:
        env: Environment id.
        env_kwargs: Arguments it is made with besides those that it is registered with.
    """
    known = {**task_spec(env).kwargs, **env_kwargs}
    return {name: known[name] for name in STAGE_ARGUMENTS if known.get(name) is not None}


def continued(run: str | Path, given: Mapping[str, Any], *, trust: Sequence[str] | str = ()) -> Any:
    """Fields of the settings of a run that continues another one.

    Args:
        run: The folder of that run.
        given: Fields of `TrainConfig` that were asked for, `data` (a file, a folder, an id or the
            catalogue name of a corpus) or the arguments of a corpus among them.
        trust: Modules that the settings of that run may have imported.

    Returns:
        Fields of `TrainConfig`, to be merged.

    Raises:
        RunError: The run is missing, damaged or has no ``best/``.
        InvalidArgumentError: There is no new data, it is of another task, or something that decides
            the size of what was trained cannot be changed.
    """
    run = Path(check_path("continue_from", run, "run folder"))
    _, saved = find_snapshot(run, trust=trust)
    before: Mapping[str, Any] = read_config(run, trust=trust)
    env, arguments = _new_data(run, saved, given)
    kwargs = _kept_arguments(run, saved, before, env, given)
    own = {**kwargs, **arguments}
    labels = _union(run, saved, env, own)
    if labels:
        own["labels"] = labels
    stage: Stage = {
        "run": os.path.abspath(run),
        "env": saved["env"],
        "arguments": stage_arguments(saved["env"], saved["env_kwargs"]),
        "n_labels": len(saved["labels"]),
    }
    _check_numbered(run, env, own, stage)
    short = _shortened(saved["algo"], before)
    kept = {"n_envs", "encoder_mode", "device"} - short
    fields: dict[str, Any] = {name: before[name] for name in kept if name in before}
    fields |= {name: value for name, value in given.items() if value is not None}
    algo = str(given.get("algo") or saved["algo"])
    return {
        **fields,
        "env": env,
        "algo": algo,
        "hyperparams": _hyperparams(run, saved, algo, given, without=short),
        "env_kwargs": own,
        "encoder": None,  # among the arguments
        "data": None,
        "data_dir": None,
        "continue_from": os.path.abspath(run),
        "stages": [*before.get("stages", []), dict(stage)],
    }


def changes_of(config: Any) -> dict[str, Any]:
    """The fields of a `TrainConfig` that differ from its defaults: what was asked for."""
    found = {}
    for item in dataclasses.fields(config):
        value = getattr(config, item.name)
        default = item.default
        if item.default_factory is not dataclasses.MISSING:
            default = item.default_factory()
        if value != default:
            found[item.name] = value
    return found


def _new_data(
    run: Path, saved: SnapshotSettings, given: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    """Id of the new stage, and the arguments that name its data."""
    extra = given.get("env_kwargs") or {}
    typed = {name: extra[name] for name in STAGE_ARGUMENTS if extra.get(name) is not None}
    data, env, before = given.get("data"), given.get("env"), saved["env"]
    named = False
    if isinstance(data, str) and not os.path.exists(os.path.expanduser(data)):
        if is_task_id(data):
            if env not in (None, data):
                raise InvalidArgumentError(
                    f"env={shown(env)} and data={shown(data)} are two ids: leave --env out."
                )
            env, data, named = data, None, True
        elif data in DATASETS:
            typed["dataset"], data = data, None
        else:
            _check_is_no_name(data)
    if data is not None:
        typed["data"] = data
    if given.get("data_dir") is not None:
        typed["data_dir"] = given["data_dir"]
    env = env or before
    if not is_task_id(env):
        raise UnknownNameError("env", env, task_ids())
    _check_family(run, before, env)
    kept = saved["env_kwargs"]
    folder = {"data_dir": kept["data_dir"]} if kept.get("data_dir") is not None else {}
    bundled = {"corpus": kept["corpus"]} if kept.get("corpus") is not None else {}
    own = task_spec(env).kwargs
    registered = {name: own[name] for name in STAGE_ARGUMENTS if own.get(name) is not None}
    arguments = {**registered, **folder, **bundled, **typed}
    # An id that was typed is its own corpus, which the run may have left for a file since.
    back = named and arguments != stage_arguments(before, kept)
    if not ({"data", "dataset", "tasks"} & set(typed)) and env == before and not back:
        raise InvalidArgumentError(
            f"continue_from={shown(str(run))} needs new data: give --data FILE, or --data ID, such "
            "as NER-WNUT-v0. To train longer on the same data, use --resume RUN -n N."
        )
    return env, arguments


def _check_is_no_name(data: str) -> None:
    """Refuse what is no file, no id and no corpus, with the name that was meant."""
    meant = nearest(data, [*task_ids(), *DATASETS])
    raise DataNotFoundError(
        f"data={shown(data)}: there is no such file or folder, and no id or corpus has that name."
        + (f" Did you mean {shown(meant)}?" if meant else " `nlp-gym data list` names the corpora.")
    )


def _check_family(run: Path, before: str, env: str) -> None:
    """Refuse an id whose decisions are others than those the run was trained on."""
    ours, theirs = task_class(before), task_class(env)
    schemes = [task_spec(name).kwargs.get("scheme") for name in (before, env)]
    if ours is not theirs or schemes[0] != schemes[1]:
        raise InvalidArgumentError(
            f"env={shown(env)} is another task ({theirs.__name__}) than {before} "
            f"({ours.__name__}), which {run} was trained on: its weights mean nothing there. Give "
            "--data of the same family, or train a new run."
        )


def _kept_arguments(
    run: Path,
    saved: SnapshotSettings,
    before: Mapping[str, Any],
    env: str,
    given: Mapping[str, Any],
) -> dict[str, Any]:
    """Arguments of the task besides those that name data: those of the run, and what was typed."""
    left_out = {"task", "labels", "split", *STAGE_ARGUMENTS}
    registered = task_spec(saved["env"]).kwargs
    kept = {k: v for k, v in registered.items() if k not in left_out}
    kept |= {k: v for k, v in saved["env_kwargs"].items() if k not in left_out}
    shells = before.get("env_kwargs") or {}
    kept |= {name: shells[name] for name in SHELL_ARGUMENTS if name in shells}
    kept |= saved.get("learnt", {})
    typed = {k: v for k, v in (given.get("env_kwargs") or {}).items() if k not in STAGE_ARGUMENTS}
    if given.get("encoder") is not None:
        typed["encoder"] = given["encoder"]
    for name in task_class(env).fixed_arguments:
        if name in typed and typed[name] != kept.get(name):
            raise InvalidArgumentError(
                f"{name}={shown(typed[name])}: what {run} learned has a fixed size there "
                f"({name}={shown(kept.get(name))}) and cannot grow. Leave it out, or train a new "
                "run on both data sets."
            )
    for name in ("encoder", "encoder_kwargs"):
        if name in typed and typed[name] != kept.get(name):
            raise InvalidArgumentError(
                f"{name}={shown(typed[name])}: {run} was trained with {name}="
                f"{shown(kept.get(name))}, and its weights read no other vectors. Leave it out, or "
                "train a new run."
            )
    mode = given.get("encoder_mode")
    if mode is not None and mode != before.get("encoder_mode", "frozen"):
        raise InvalidArgumentError(
            f"encoder_mode={shown(mode)}: {run} was trained with encoder_mode="
            f"{shown(before.get('encoder_mode', 'frozen'))}. Leave it out, or train a new run."
        )
    if "labels" in typed:
        raise InvalidArgumentError(
            f"env_kwargs: labels={shown(typed['labels'])} cannot be given with continue_from: the "
            "inventory is the run's, followed by what is new in the data."
        )
    return {**kept, **typed}


def _union(
    run: Path, saved: SnapshotSettings, env: str, kwargs: Mapping[str, Any]
) -> list[str] | None:
    """Labels of the run, then those that are new in the data; None: actions are candidates."""
    known = list(saved["labels"])
    if not known or task_class(env).is_mixture:
        return known or None
    own = {name: value for name, value in kwargs.items() if name not in SHELL_ARGUMENTS}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # said again where it is made to be trained on
        found = make_task(env, "train", **own).labels
    _check_types(run, known, found)
    return [*known, *(label for label in found if label not in known)]


def _check_numbered(run: Path, env: str, kwargs: Mapping[str, Any], stage: Stage) -> None:
    """Refuse data whose names have other numbers in observations than those that were learned."""
    if "labels" in kwargs or task_class(env).is_mixture:
        return  # names that are numbered are those of tasks without labels
    own = {name: value for name, value in kwargs.items() if name not in SHELL_ARGUMENTS}
    now = make_task(env, "train", **own).numbered
    if not now:
        return
    before = stage_task(env, "train", own, stage).numbered
    if now != before:
        changed = sorted(set(now) ^ set(before))
        raise InvalidArgumentError(
            f"data: {run} knows the relations of its graph by number, and those of the new one are "
            f"others ({listed(changed)}). Give new facts about the same relations, new queries on "
            "the old graph (--env-kwargs graph:OLD), or train a new run on both."
        )


def _entity(label: str) -> str | None:
    """Type of a tag of an entity; None: it is a plain label."""
    return label[2:] if label[:2] in ("B-", "I-") and len(label) > 2 else None


def _check_types(run: Path, known: Sequence[str], found: Sequence[str]) -> None:
    """Refuse labels that mean spans in one stage and words or texts in the other."""
    entities = [{_entity(label) for label in labels} - {None} for labels in (known, found)]
    plain = [{label for label in labels if _entity(label) is None} for labels in (known, found)]
    changed = sorted((entities[0] & plain[1]) | (entities[1] & plain[0]), key=str)
    if changed:
        label = str(changed[0])
        raise InvalidArgumentError(
            f"data: the label {shown(label)} changed its type. For {run} it is "
            f"{'an entity (B-, I-)' if label in entities[0] else 'a plain label'}, and in the new "
            f"data {'an entity (B-, I-)' if label in entities[1] else 'a plain label'}. Rename it, "
            "or write both in one scheme."
        )


def _shortened(algo: str, before: Mapping[str, Any]) -> set[str]:
    """What is smaller in a run's settings than in the files because the run was short.

    Its successor may be longer, and begins with the values of the files again.
    """
    n, warm = before.get("n_timesteps"), before.get("warm_start") is not None
    if not isinstance(n, int):
        return set()
    mode = before.get("encoder_mode", "frozen")
    base = load_hyperparams(algo, before["env"], encoder_mode=mode, warm=warm)
    n_envs, usual = int(base.pop("n_envs", 1)), int(base.pop("n_timesteps", 0))
    row = resolve(algo)
    found, envs = fitted(row, base, given=(), n_timesteps=n, n_envs=n_envs, usual=usual)
    values = {**before["hyperparams"], "n_envs": before.get("n_envs")}
    pairs = {name: (base.get(name), value) for name, value in found.items()}
    pairs["n_envs"] = (n_envs, envs)
    return {name for name, (file, now) in pairs.items() if file != now == values.get(name)}


def _hyperparams(
    run: Path,
    saved: SnapshotSettings,
    algo: str,
    given: Mapping[str, Any],
    *,
    without: Container[str],
) -> dict[str, Any]:
    """Hyperparameters of the run but for what belongs to its beginning, and what was typed."""
    ours, theirs = resolve(saved["algo"]), resolve(algo)
    actors = ("actor_critic", "supervised")
    fits = ours.policy_kind == theirs.policy_kind
    fits |= ours.policy_kind in actors and theirs.policy_kind in actors
    if not fits:
        raise InvalidArgumentError(
            f"algo={shown(algo)}: {run} was trained with {saved['algo']}, whose heads are others. "
            f"Continue it with {saved['algo']}, or train anew with --warm-start."
        )
    left_out = [key for key in saved["hyperparams"] if key in _ONCE or key in without]
    kept = {key: value for key, value in saved["hyperparams"].items() if key not in left_out}
    if ours.name != theirs.name:
        kept = {key: kept[key] for key in _NETWORK if key in kept}
        network = dict(kept.get("policy_kwargs") or {})
        for name in ("optimizer_class", "optimizer_kwargs"):
            network.pop(name, None)
        kept["policy_kwargs"] = network
    merged: dict[str, Any] = nested_merge(kept, given.get("hyperparams") or {})
    return merged


def stage_corpora(
    env: str, split: str, kwargs: Mapping[str, Any], stages: Sequence[Stage]
) -> list[Corpus]:
    """The corpora of earlier stages, the latest first.

    Args:
        env: Environment id.
        split: ``"train"``, ``"dev"`` or ``"test"``.
        kwargs: Arguments of the task of now, its labels among them.
        stages: The stages.

    Raises:
        RunError: The data of one is not where it was.
    """
    return [stage_task(env, split, kwargs, stage).corpus for stage in reversed(stages)]


def stage_task(env: str, split: str, kwargs: Mapping[str, Any], stage: Stage) -> Task:
    """The task of an id on the data of an earlier stage; see `stage_corpora`."""
    others = {name: value for name, value in kwargs.items() if name not in STAGE_ARGUMENTS}
    try:
        return make_task(env, split, **{**others, **stage["arguments"]})
    except DataError as error:
        raise _missing_data(stage, error) from error


def _missing_data(stage: Stage, error: Exception) -> RunError:
    """The error of a stage whose data is not where it was."""
    return RunError(
        f"The data of the earlier stage {stage['env']} ({shown(stage['arguments'])}) cannot be "
        f"read: {error} Restore it, or continue without it: --replay 0 --distill 1 holds the old "
        "policy on the new texts instead."
    )
