"""What a model folder may not ask for: code of its own or of the Hub, and files beyond its own.

`transformers` follows several hints in a folder's JSON files. Some of them import modules, fetch
compiled code, or read weights from elsewhere, which are then no part of the encoder's identity.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nlp_gym.errors import EncoderError, shown
from nlp_gym.files import read_json

_IMPLEMENTATIONS = (None, "eager", "sdpa")
"""Ways to compute attention that are part of torch; others are fetched as code."""
_COMPUTED = ("attn_implementation", "experts_implementation")
_INDEX = "model.safetensors.index.json"
_ADAPTER = "adapter_config.json"


def read_object(name: str, file: Path) -> dict[str, Any]:
    """Read a JSON file of a model folder.

    Args:
        name: What the user gave as ``encoder=``.
        file: The file.

    Raises:
        EncoderError: It is missing, no regular file, too large, or holds no object.
    """
    try:
        found = read_json(file)
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or str(error)
        raise EncoderError(
            f"encoder={shown(name)}: {file.parent} has no readable {file.name} ({reason}). Give a "
            "folder written by save_pretrained."
        ) from error
    if not isinstance(found, dict):
        raise EncoderError(
            f"encoder={shown(name)}: {file} holds {type(found).__name__}, not an object. Give a "
            "folder written by save_pretrained."
        )
    return found


def check_folder(name: str, path: Path, config: Mapping[str, Any]) -> None:
    """Refuse a folder that would have more than its own tensors read.

    Args:
        name: What the user gave as ``encoder=``.
        path: The folder.
        config: Its ``config.json``.

    Raises:
        EncoderError: Naming the file and what it asks for.
    """
    for place, value in _asked(config):
        raise EncoderError(
            f"encoder={shown(name)}: config.json of {path} asks for {place}={shown(value)}, which "
            "is not supported: weights are read in full precision, from the folder alone, and are "
            "computed by torch. Save the model with save_pretrained without it."
        )
    if (path / _ADAPTER).exists():
        raise EncoderError(
            f"encoder={shown(name)}: {path} has an adapter of peft ({_ADAPTER}), whose settings "
            "may name modules to import. Merge it into the model with merge_and_unload, and save "
            "that with save_pretrained."
        )
    if (path / _INDEX).exists():
        parts = read_object(name, path / _INDEX).get("weight_map")
        for part in parts.values() if isinstance(parts, dict) else [parts]:
            file = path / Path(str(part)).name
            if file.name != part or file.suffix != ".safetensors" or not file.is_file():
                raise EncoderError(
                    f"encoder={shown(name)}: {path / _INDEX} names {shown(part)}, which is no "
                    "safetensors file of this folder."
                )


def _asked(settings: Any) -> Iterator[tuple[str, Any]]:
    """Every setting that is refused, at any depth, with its value."""
    if isinstance(settings, list):
        for item in settings:
            yield from _asked(item)
    if not isinstance(settings, Mapping):
        return
    for key, value in settings.items():
        if key in ("quantization_config", "transformers_weights") and value is not None:
            yield key, value
        elif key.removeprefix("_").removesuffix("_internal") in _COMPUTED:
            for one in value.values() if isinstance(value, Mapping) else [value]:
                if one not in _IMPLEMENTATIONS:
                    yield key, one
        else:
            yield from _asked(value)


def wants_code(config: Mapping[str, Any]) -> bool:
    """Whether a file of a folder names classes that come with the folder."""
    return bool(config.get("auto_map"))


def code_error(name: str, file: Path) -> EncoderError:
    """The error for a folder that cannot be loaded without running its code."""
    return EncoderError(
        f"encoder={shown(name)}: {file} asks to run code of its own (auto_map), because "
        "transformers has no class for it. That is never done. Choose a model whose type "
        "transformers knows."
    )
