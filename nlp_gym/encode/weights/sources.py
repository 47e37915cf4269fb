"""Finds a transformer's files: in the package that carries MiniLM, a folder, or the Hub's cache.

Nothing here imports torch, and nothing goes to the network unless ``NLP_GYM_ALLOW_DOWNLOAD=1``.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from nlp_gym.encode.weights.folders import ModelFolder, first_line
from nlp_gym.encode.weights.minilm import MiniLMPackage
from nlp_gym.encode.weights.weight_source import WeightSource
from nlp_gym.errors import EncoderError, UnknownNameError, shown

_HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
_LONGEST_NAME = 200
_DOWNLOAD_VARIABLE = "NLP_GYM_ALLOW_DOWNLOAD"


def find_source(name: str, known: tuple[str, ...]) -> WeightSource:
    """Find the files of ``"minilm"``, of a folder or of a Hub name in the local cache.

    Args:
        name: What the user gave as ``encoder=``.
        known: The built-in names, for the message.

    Raises:
        UnknownNameError: There is no such folder or model; names the nearest built-in name.
        EncoderError: A path or a Hub name with an owner does not exist, or the Hub's client failed.
        MissingDependencyError: ``"minilm"`` without its package.
    """
    if name == "minilm":
        return MiniLMPackage()
    folder = os.path.expanduser(name)
    if os.path.isdir(folder):
        return ModelFolder(Path(folder), name)
    if len(name) > _LONGEST_NAME or not _HUB_NAME.fullmatch(name):
        raise EncoderError(f"encoder={shown(name)}: there is no such folder.")
    return ModelFolder(_hub_snapshot(name, known), name)


def _hub_snapshot(name: str, known: tuple[str, ...]) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    allowed = os.environ.get(_DOWNLOAD_VARIABLE) == "1"
    try:
        # With a download, Flax, TensorFlow and ONNX copies of the weights are left out.
        patterns = ["*.json", "*.txt", "*.model", "model*.safetensors"] if allowed else None
        return Path(snapshot_download(name, local_files_only=not allowed, allow_patterns=patterns))
    except LocalEntryNotFoundError as error:
        fix = (
            f"If it is a Hugging Face Hub name, fetch it first: hf download {name} "
            f"(or set {_DOWNLOAD_VARIABLE}=1). A folder's path works too."
        )
        if "/" in name:
            raise EncoderError(
                f"encoder={shown(name)} is neither a folder nor in the local Hugging Face cache. "
                f"{fix}"
            ) from error
        raise UnknownNameError("encoder", name, known, fix) from error
    except Exception as error:  # the Hub client and its HTTP library raise many kinds
        raise EncoderError(
            f"encoder={shown(name)}: the Hugging Face Hub client failed: {first_line(error)}. "
            f"Check the name and the connection, or fetch it with: hf download {name}"
        ) from error
