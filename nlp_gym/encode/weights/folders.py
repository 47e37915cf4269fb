"""A pretrained transformer in a folder, as ``save_pretrained`` or the Hub's cache lays it out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from nlp_gym.encode.weights.file_digests import file_digest
from nlp_gym.encode.weights.weight_source import WeightSource
from nlp_gym.errors import EncoderError, shown

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
_SETTINGS = ("*.json", "*.txt", "*.model")
_VOCABULARIES = ("vocab.*", "*.model")


class ModelFolder(WeightSource):
    """A folder as ``save_pretrained`` writes it, or a snapshot in the Hub's cache."""

    def __init__(self, path: Path, name: str) -> None:
        """Read the settings.

        Raises:
            EncoderError: ``config.json`` is missing or unreadable, or there are no weights
                in the safetensors format.
        """
        self.path, self.name = path, name
        try:
            self.config: dict[str, Any] = json.loads((path / "config.json").read_bytes())
        except (OSError, ValueError) as error:
            raise EncoderError(
                f"encoder={shown(name)}: {path} has no readable config.json ({error}). Give a "
                "folder written by save_pretrained."
            ) from error
        if not self._files(("*.safetensors",)):
            raise EncoderError(
                f"encoder={shown(name)}: {path} has no weights in the safetensors format "
                "(model.safetensors). Weights in pytorch_model.bin are a pickle, which could run "
                "code, and are not read: choose a model or revision that has safetensors, or load "
                "it with transformers where you trust it and save_pretrained it to a folder."
            )

    @override
    def identity(self) -> str:
        """Return the sha256 over the bytes of every weight and settings file."""
        digest = hashlib.sha256()
        for file in self._files((*_WEIGHTS, *_SETTINGS)):
            digest.update(f"{file.name}\0{file_digest(file)}\n".encode())
        return digest.hexdigest()

    @override
    def tokenizer_json(self) -> str:
        """Return the text of ``tokenizer.json``, made from other files if the folder lacks it."""
        file = self.path / "tokenizer.json"
        if file.is_file():
            return file.read_text(encoding="utf-8")
        if not self._files(_VOCABULARIES):  # transformers would make one that knows no word
            raise EncoderError(f"encoder={shown(self.name)}: {self.path} has no tokenizer.json.")
        from transformers import AutoTokenizer

        try:
            tokenizer = AutoTokenizer.from_pretrained(self.path, local_files_only=True)
            return str(tokenizer.backend_tokenizer.to_str())
        except Exception as error:  # transformers raises many kinds here, none of them its own
            raise EncoderError(
                f"encoder={shown(self.name)}: {self.path} has no fast tokenizer (tokenizer.json) "
                f"and none could be made from its files ({first_line(error)})."
            ) from error

    @override
    def load_model(self) -> PreTrainedModel:
        """Build the torch module; neither code nor pickles of a model are ever loaded."""
        from transformers import AutoModel
        from transformers.utils import logging

        verbosity, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        try:
            model, found = AutoModel.from_pretrained(
                self.path, local_files_only=True, use_safetensors=True, output_loading_info=True
            )
        except Exception as error:  # transformers raises many kinds here, none of them its own
            raise EncoderError(
                f"encoder={shown(self.name)}: transformers cannot load {self.path}: "
                f"{first_line(error)}"
            ) from error
        finally:
            logging.set_verbosity(verbosity)
            if bar:
                logging.enable_progress_bar()
        require_weights(self.name, found["missing_keys"])
        whole: PreTrainedModel = model.float()
        return whole

    def _files(self, patterns: tuple[str, ...]) -> list[Path]:
        return sorted({file for pattern in patterns for file in self.path.glob(pattern)})


def require_weights(name: str, missing: Iterable[str]) -> None:
    """Raise `EncoderError` unless weights are complete: missing ones would be random numbers."""
    # The pooler sits on top of all layers; checkpoints of language models do not have it.
    lacking = sorted(key for key in missing if not key.startswith("pooler."))
    if lacking:
        raise EncoderError(
            f"encoder={shown(name)}: its weights lack {len(lacking)} tensors of the model, "
            f"{lacking[0]} among them. Is config.json that of these weights?"
        )


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its class where it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
