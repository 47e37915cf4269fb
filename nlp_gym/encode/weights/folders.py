"""A pretrained transformer in a folder, as ``save_pretrained`` or the Hub's cache lays it out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from nlp_gym.encode.weights.file_digests import file_digest
from nlp_gym.encode.weights.folder_checks import (
    check_folder,
    code_error,
    read_object,
    wants_code,
)
from nlp_gym.encode.weights.weight_source import WeightSource
from nlp_gym.errors import EncoderError, shown
from nlp_gym.files import read_regular

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
_SETTINGS = ("*.json", "*.txt", "*.model")
_LONGEST_LINE = 300
_VOCABULARIES = ("vocab.*", "*.model")


class ModelFolder(WeightSource):
    """A folder as ``save_pretrained`` writes it, or a snapshot in the Hub's cache."""

    def __init__(self, path: Path, name: str) -> None:
        """Read the settings.

        Raises:
            EncoderError: ``config.json`` is missing or unreadable, there are no weights in the
                safetensors format, or see `check_folder`.
        """
        self.path, self.name = path, name
        self.config: dict[str, Any] = read_object(name, path / "config.json")
        if not self._files(("*.safetensors",)):
            raise EncoderError(
                f"encoder={shown(name)}: {path} has no weights in the safetensors format "
                "(model.safetensors). Weights in pytorch_model.bin are a pickle, which could run "
                "code, and are not read: choose a model or revision that has safetensors, or load "
                "it with transformers where you trust it and save_pretrained it to a folder."
            )
        check_folder(name, path, self.config)

    @override
    def identity(self, *, fresh: bool = False) -> str:
        """Return the sha256 over the bytes of every weight and settings file.

        Raises:
            EncoderError: One of them cannot be read.
        """
        digest = hashlib.sha256()
        try:
            for file in self._files((*_WEIGHTS, *_SETTINGS)):
                digest.update(f"{file.name}\0{file_digest(file, fresh=fresh)}\n".encode())
        except OSError as error:
            raise EncoderError(
                f"encoder={shown(self.name)}: {self.path} cannot be read ({error.strerror})."
            ) from error
        return digest.hexdigest()

    @override
    def tokenizer_json(self) -> str:
        """Return the text of ``tokenizer.json``, made from other files if the folder lacks it."""
        file = self.path / "tokenizer.json"
        if file.is_file():
            try:
                return read_regular(file).decode("utf-8")
            except (OSError, ValueError) as error:
                raise EncoderError(
                    f"encoder={shown(self.name)}: {file} cannot be read ({error})."
                ) from error
        if not self._files(_VOCABULARIES):  # transformers would make one that knows no word
            raise EncoderError(f"encoder={shown(self.name)}: {self.path} has no tokenizer.json.")
        from transformers import AutoTokenizer

        try:
            tokenizer = AutoTokenizer.from_pretrained(
                self.path, local_files_only=True, trust_remote_code=False
            )
            return str(tokenizer.backend_tokenizer.to_str())
        except Exception as error:  # transformers raises many kinds here, none of them its own
            settings = self.path / "tokenizer_config.json"
            for known in [settings] if settings.exists() else []:
                if wants_code(read_object(self.name, known)):
                    raise code_error(self.name, known) from error
            if wants_code(self.config):
                raise code_error(self.name, self.path / "config.json") from error
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
                self.path,
                local_files_only=True,
                output_loading_info=True,
                trust_remote_code=False,  # by default it asks on stdin
                use_safetensors=True,
            )
        except Exception as error:  # transformers raises many kinds here, none of them its own
            if wants_code(self.config):
                raise code_error(self.name, self.path / "config.json") from error
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
        found = {file for pattern in patterns for file in self.path.glob(pattern)}
        return sorted(file for file in found if file.is_file())  # no pipes, whose end never comes


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
    line = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
    return line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]}..."
