"""Names of numbered labels, as Hugging Face's datasets write them beside a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from nlp_gym.data.readers.shared.json_tools import RowError, load_json
from nlp_gym.data.readers.shared.options import Options
from nlp_gym.errors import shown

FILES = ("dataset_info.json", "dataset_infos.json")
UNLABELLED = -1
"""Number of a label that is not known, as in the test parts of GLUE."""


def name_files(name: str, options: Options) -> tuple[str, ...]:
    """Files beside a file that may have the names of its labels."""
    return FILES if options.gold else ()


def read_names(options: Options, keys: Sequence[str]) -> tuple[str, ...]:
    """Names of the labels under the first of `keys` that has some; none where no file says so."""
    for file in FILES:
        if file not in options.companions:
            continue
        try:
            value = load_json("\n".join(options.companions[file]))
        except RowError:
            continue
        infos = value.values() if file == FILES[1] and isinstance(value, dict) else [value]
        for info in infos:
            features = info.get("features") if isinstance(info, dict) else None
            if not isinstance(features, dict):
                continue
            found = (_names(features.get(key)) for key in keys)
            if names := next(filter(None, found), None):
                return names
    return ()


def names_of(value: Any, key: str) -> Iterator[tuple[str, ...]]:
    """The lists of names of the feature `key` in features of a data set, however deep they are.

    Features are ``{"ner_tags": {"feature": {"names": [...]}}}``, or a list of ``{"name":
    "ner_tags", "sequence": {"class_label": {"names": {"0": "O"}}}}``.
    """
    stack = [value]
    while stack:
        value = stack.pop()
        if isinstance(value, list):
            stack.extend(reversed(value))
        elif isinstance(value, dict):
            feature = value if value.get("name") == key else value.get(key)
            if names := _names(feature):
                yield names
            else:
                stack.extend(item for item in value.values() if isinstance(item, (dict, list)))


def numbered_names(value: Any) -> tuple[str, ...]:
    """The names in ``{"O": 0, "B-PER": 1}`` or ``{"0": "O", "1": "B-PER"}``; none if it is neither.

    Each number from 0 has one name.
    """
    if not isinstance(value, dict):
        return ()
    pairs = [(n, name) if type(n) is int else (name, n) for name, n in value.items()]
    names = {str(n): name for n, name in pairs if isinstance(name, str) and name.strip()}
    return tuple(names.get(str(i), "") for i in range(len(value))) if _counts(names, value) else ()


def _counts(names: dict[str, str], value: dict[str, Any]) -> bool:
    return len(names) == len(value) and all(str(i) in names for i in range(len(names)))


def _names(feature: Any) -> tuple[str, ...]:
    """Names of the classes of a feature, or of the items of a list of it."""
    stack = [feature]
    while stack:
        feature = stack.pop()
        if isinstance(feature, list) and len(feature) == 1:
            feature = feature[0]
        if not isinstance(feature, dict):
            continue
        names = feature.get("names")
        if isinstance(names, list) and all(isinstance(x, str) and x.strip() for x in names):
            return tuple(names)
        if found := numbered_names(names):
            return found
        stack.extend(feature[key] for key in feature if key != "names")
    return ()


def named(value: Any, names: Sequence[str], key: str) -> Any:
    """The name of a numbered label; anything but a whole number is left as it is.

    Raises:
        RowError: There is no name of that number.
    """
    number = value
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 10:
        number = int(value)
    if type(number) is not int or not names:
        return value
    if not 0 <= number < len(names):
        raise RowError(
            f"{key!r} is {shown(value)}, but the names beside the file are of 0 to {len(names) - 1}"
        )
    return names[number]
