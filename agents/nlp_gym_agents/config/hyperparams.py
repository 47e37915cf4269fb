"""Hyperparameters: RL Zoo's YAML files, overrides from the command line, and what a class takes.

A file ``hyperparams/<algo>.yml`` has mappings by name, of which the first that exists is taken
whole: the environment's id, ``writes`` where its task writes texts (these have other networks) and
else ``family:NAME`` with the task's family (``family:choice``), and `default` (inherit with YAML's
own anchors and ``<<:``). Where the encoder learns, the same names with ``@lora`` (its mode) or
``@finetune`` (any mode that learns) after them come first; for a warm start from a frozen encoder
those with ``@bc`` do. Values are plain YAML: nothing is evaluated. Schedules are written
``lin_1e-3`` (falls linearly to 0), classes by a name of a small table.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from stable_baselines3.common.utils import LinearSchedule

from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym.tasks.core.make import is_task_id, task_class
from nlp_gym.tasks.core.task import Task
from nlp_gym_agents.algorithms.registry import resolve
from nlp_gym_agents.config.validation import POLICY_CLASSES, RUN_KEYS, SCHEDULES, check_params
from nlp_gym_agents.networks.encoder.schedule import schedule_value
from nlp_gym_agents.runs.files.plain_files import SafeLoader, parse_yaml

FOLDER = Path(__file__).parent.parent / "hyperparams"

_DEEPEST = 20
_EXPONENT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)[eE][+-]?\d+")

_EXAMPLES = {
    "hyperparams": "learning_rate:3e-4 or policy_kwargs.features_extractor_kwargs.hidden:[512]",
    "--env-kwargs": "window:2 or reward:metric",
}

Params = dict[str, Any]


def load_hyperparams(
    algo: str,
    env_id: str,
    overrides: Sequence[str] | Mapping[str, Any] = (),
    *,
    encoder_mode: str = "frozen",
    warm: bool = False,
) -> Params:
    """The hyperparameters of an algorithm on an environment, as plain YAML-able values.

    Args:
        algo: A name of `registry.ALGORITHMS`, or ``"package.module:Class"``, which starts
            from ``hyperparams/default.yml``.
        env_id: Environment id.
        overrides: ``"key:value"`` strings with YAML values and dotted keys
            (``"policy_kwargs.features_extractor_kwargs.hidden:[512]"``), or a nested mapping.
            Nested mappings are merged into those of the file.
        encoder_mode: ``"frozen"``, ``"finetune"``, ``"lora"`` or ``"adapter"``.
        warm: Whether training starts from behaviour cloning.

    Returns:
        Values for `build_arguments`, checked.

    Raises:
        UnknownNameError: No such algorithm, or it has no such argument.
        InvalidArgumentError: A value of the wrong type or outside what is allowed, or an override
            that is not ``key:value``.
    """
    row, task = resolve(algo), _task(env_id)
    path = FOLDER / f"{algo}.yml"
    table = _read(path if path.exists() else FOLDER / "default.yml")
    names = [env_id, "writes" if task.writes else f"family:{task.family}", "default"]
    # A section for warm starts stands for itself; one for a learning encoder is added.
    found = [f"{name}@bc" for name in names] * warm + names
    params: Params = copy.deepcopy(next(table[name] for name in found if name in table))
    if encoder_mode != "frozen":
        found = [f"{name}@{mode}" for mode in (encoder_mode, "finetune") for name in names]
        params = nested_merge(params, next((table[name] for name in found if name in table), {}))
    changes = overrides if isinstance(overrides, Mapping) else parse_overrides(overrides)
    merged = nested_merge(params, _numbers(changes))
    return check_params(row, merged, writes=task.writes)


def parse_overrides(items: Sequence[str], *, argument: str = "hyperparams") -> Params:
    """Nested mapping of ``"a.b:value"`` strings; a later item wins over an earlier one.

    Args:
        items: The strings.
        argument: What the user gave them as, for the message: ``"--env-kwargs"``.

    Raises:
        InvalidArgumentError: An item has no ``:``, no key, or a value that is not YAML.
    """
    parsed: Params = {}
    for item in items:
        key, colon, text = item.partition(":")
        names = [name.strip() for name in key.split(".")]
        if not colon or not all(names):
            raise InvalidArgumentError(_not_a_pair(argument, item))
        nested = parse_value(text, f"{argument}={shown(item)}")
        for name in reversed(names):
            nested = {name: nested}
        parsed = nested_merge(parsed, nested)
    return parsed


def _not_a_pair(argument: str, item: str) -> str:
    key, sign, value = item.partition("=")
    if sign and key.strip() and ":" not in item:
        fix = f"write {key.strip()}:{value.strip()}"
    else:
        fix = f"such as {_EXAMPLES.get(argument, _EXAMPLES['hyperparams'])}"
    return f"{argument}={shown(item)} is not of the form key:value; {fix}."


def parse_value(text: str, given: str | None = None) -> Any:
    """A YAML value; ``1e-3`` is a number (YAML 1.1 reads a string) and ``None`` is null.

    Args:
        text: The value.
        given: The argument and what the user typed for it, for the message.

    Raises:
        InvalidArgumentError: It is not YAML.
    """
    try:
        return _numbers(parse_yaml(text))
    except ValueError as error:
        raise InvalidArgumentError(
            f"{given or f'value={shown(text)}'}: the value is not YAML ({error}). Quote strings "
            "with special characters."
        ) from error


def build_arguments(params: Mapping[str, Any]) -> Params:
    """The arguments of the algorithm's class, from values as in the files.

    Schedules become Stable-Baselines3's, names become classes; `policy_kwargs` gets the empty
    `net_arch` that lets all heads share the extractor's trunk. The command's own keys are left out.

    Args:
        params: From `load_hyperparams`.

    Returns:
        Keyword arguments, `policy` among them.

    Raises:
        InvalidArgumentError: A schedule or name that is not known.
    """
    arguments = {k: v for k, v in params.items() if k not in RUN_KEYS or k == "policy"}
    for key in SCHEDULES & set(arguments):
        if arguments[key] is not None:
            value, falls = schedule_value(key, arguments[key])
            arguments[key] = LinearSchedule(value, 0.0, 1.0) if falls else value
    if isinstance(arguments.get("train_freq"), list):
        arguments["train_freq"] = tuple(arguments["train_freq"])
    policy_kwargs = {"net_arch": [], **copy.deepcopy(arguments.get("policy_kwargs") or {})}
    for key, names in POLICY_CLASSES.items():
        if isinstance(policy_kwargs.get(key), str):
            policy_kwargs[key] = names[policy_kwargs[key]]
    return {**arguments, "policy_kwargs": policy_kwargs}


def _task(env_id: str) -> type[Task]:
    """The task class of an id; `Task` for one that is not registered."""
    return task_class(env_id) if is_task_id(env_id) else Task


def _read(path: Path) -> Params:
    table = yaml.load(path.read_text(encoding="utf-8"), Loader=SafeLoader)
    return dict(_numbers(table))


def _numbers(value: Any, depth: int = 0) -> Any:
    """The value with number-like strings as numbers and ``"None"`` as null, throughout.

    Raises:
        InvalidArgumentError: Mappings or lists lie in one another too deep.
    """
    if isinstance(value, Mapping | list | tuple) and depth > _DEEPEST:
        raise InvalidArgumentError(
            f"hyperparams: mappings and lists lie in one another more than {_DEEPEST} deep."
        )
    if isinstance(value, Mapping):
        return {str(k): _numbers(v, depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_numbers(v, depth + 1) for v in value]
    if not isinstance(value, str):
        return value
    if value == "None":
        return None
    return float(value) if _EXPONENT.fullmatch(value) else value


def nested_merge(into: Mapping[str, Any], changes: Mapping[str, Any]) -> Params:
    """`into` with the values of `changes`; mappings inside are merged rather than replaced."""
    result = dict(into)
    for key, value in changes.items():
        old = result.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            value = nested_merge(old, value)
        result[key] = value
    return result
