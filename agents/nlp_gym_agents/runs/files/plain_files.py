"""Reading the JSON and YAML of a run, which may come from a stranger: data, and nothing else.

Files are read only if they are regular and of a size that such a file can have. What they hold is
plain: lists and mappings of texts, finite numbers, booleans and null, of bounded depth. YAML has
neither aliases, by which a few lines stand for gigabytes, nor tags that make objects.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from nlp_gym import files
from nlp_gym.errors import RunError
from nlp_gym.files import JSON_LIMIT, check_tree, read_regular
from nlp_gym.inert import shown

YAML_LIMIT = 8 * 1024**2
"""Bytes of the largest YAML file that is read."""
_MOST_NODES = 100_000
"""Values of a YAML file; each takes about a kilobyte while it is parsed."""
_DEEPEST = 64
_LONGEST_NUMBER = 60
# Digits to the base 60 (``1:30:00``) among them, which take quadratic time.
_BASE_60 = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?")
_NUMBER = re.compile(r"[-+]?[0-9.][0-9a-fA-F_xXoObB.:]*")


def read_json(path: Path, *, limit: int = JSON_LIMIT) -> Any:
    """Parse a JSON file of a run.

    Raises:
        RunError: It is missing, no regular file, larger than `limit` bytes, or not plain JSON.
    """
    try:
        return files.read_json(path, limit=limit)
    except (OSError, ValueError) as error:
        raise RunError(f"{path} is missing or damaged ({problem_of(error)}).") from error


def read_text(path: Path, *, limit: int = JSON_LIMIT) -> str:
    """The text of a file of a run; what is not UTF-8 in it is replaced.

    Raises:
        RunError: It is missing, no regular file, or larger than `limit` bytes.
    """
    try:
        return read_regular(path, limit=limit).decode("utf-8", "replace")
    except (OSError, ValueError) as error:
        raise RunError(f"{path} is missing or damaged ({problem_of(error)}).") from error


def read_yaml(path: Path) -> Any:
    """Parse a YAML file of settings.

    Raises:
        RunError: It is missing, no regular file, too large, or not plain YAML.
    """
    try:
        tree = parse_yaml(read_regular(path, limit=YAML_LIMIT).decode("utf-8"))
        check_tree(tree)
        return tree
    except (OSError, ValueError) as error:
        raise RunError(f"{path} is missing or damaged ({problem_of(error)}).") from error


def problem_of(error: OSError | ValueError) -> str:
    """What an error says, without the path that the caller names."""
    return (isinstance(error, OSError) and error.strerror) or str(error)


def parse_yaml(text: str) -> Any:
    """Parse YAML without anchors and aliases, keys that are given twice, and tags of objects.

    Numbers may be infinite and values dates, which `check_tree` refuses.

    Raises:
        ValueError: It is not YAML, or not plain.
    """
    try:
        _check_events(text)
        tree = yaml.load(text, Loader=_PlainLoader)
    except yaml.YAMLError as error:
        raise ValueError(_first_lines(error)) from error
    except (ArithmeticError, AttributeError, LookupError, TypeError, RecursionError) as error:
        # What PyYAML's constructors raise where a tag does not fit its value: `!!bool x`.
        raise ValueError(f"a value does not fit its tag ({type(error).__name__})") from error
    return tree


_TEXT, _MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"
SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""PyYAML's safe loader, in C where it was built with it, which is seven times as fast."""


class _PlainLoader(SafeLoader):
    """PyYAML's safe loader, but keys are texts as they are written, each once in a mapping."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        """Make a mapping."""
        seen: set[str] = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
                continue
            key.tag = _TEXT
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {shown(key.value)} is given twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _check_events(text: str) -> None:
    """Refuse what would take long to build, before anything of it is built."""
    depth = 0
    for nodes, event in enumerate(yaml.parse(text, Loader=SafeLoader)):
        anchor = getattr(event, "anchor", None)
        if anchor is not None:
            raise ValueError(
                f"line {_line(event)} has the anchor or alias {shown(anchor)}: write the "
                "value out where it is wanted"
            )
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.ScalarEvent) and event.implicit[0]:
            _check_number(event)
        if depth > _DEEPEST:
            raise ValueError(f"it is nested deeper than {_DEEPEST} levels")
        if nodes > _MOST_NODES:
            raise ValueError(f"it has more than {_MOST_NODES:,} values")


def _check_number(event: yaml.ScalarEvent) -> None:
    """Refuse numbers that take long to read, and those that are not what they look like."""
    value = event.value
    if len(value) > _LONGEST_NUMBER and _NUMBER.fullmatch(value):
        raise ValueError(f"line {_line(event)} has a number of {len(value):,} digits")
    if _BASE_60.fullmatch(value):
        raise ValueError(
            f"line {_line(event)}: {value} is a number to the base 60 in YAML 1.1: write it in "
            "quotes if it is text"
        )


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _first_lines(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return str(problem) if mark is None else f"line {mark.line + 1}: {problem}"
