"""RL Zoo's own files of hyperparameters, as ``--conf-file`` takes them beside files of settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym_agents.config.train_config import TrainConfig
from nlp_gym_agents.runs.files.plain_files import read_yaml

_SETTINGS = {field.name for field in dataclasses.fields(TrainConfig)} | {"format_version"}

_MODULES = "nlp_gym_agents.rl_zoo"
"""Where the hyperparameters of this project are for RL Zoo's own trainer."""


def zoo_section(path: Path, env: str) -> Mapping[str, Any] | None:
    """The hyperparameters that a file has for an environment.

    Args:
        path: A YAML file.
        env: Environment id.

    Returns:
        The section named as the id, or else `default`; None: the file is one of settings.

    Raises:
        RunError: The file is missing or no plain YAML.
        InvalidArgumentError: It has neither section, or is a Python module.
    """
    _check_no_module(path)
    table = read_yaml(path)
    sections = isinstance(table, dict) and all(isinstance(v, Mapping) for v in table.values())
    if not table or not sections or _SETTINGS & set(table):
        return None
    for name in (env, "default"):
        if name in table:
            section: Mapping[str, Any] = table[name]
            return section
    raise InvalidArgumentError(
        f"conf_file={shown(str(path))} is a table of hyperparameters by environment, and has no "
        f"section {env} and no default: add one."
    )


def _check_no_module(path: Path) -> None:
    """Refuse what RL Zoo's own trainer takes beside files: the name of a module of hyperparameters.

    Raises:
        InvalidArgumentError: It names this project's module, or a file of Python.
    """
    name = str(path)
    ours = name.startswith(f"{_MODULES}.") and not path.exists()
    if ours or path.suffix == ".py":
        kept = f"the values of {_MODULES} are used here without it: leave --conf-file out"
        raise InvalidArgumentError(
            f"conf_file={shown(name)} is Python, which is for `python -m rl_zoo3.train`; {kept}, "
            "or give a YAML file."
        )
