"""The `WeightSource` protocol: the files of one pretrained transformer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from nlp_gym.encode.weights.plain_bert import PlainBert


class WeightSource(Protocol):
    """The files of a pretrained transformer.

    Attributes:
        name: Name of the encoder, for messages.
        config: The model's ``config.json``.
    """

    name: str
    config: dict[str, Any]

    def identity(self, *, fresh: bool = False) -> str:
        """Return the sha256 over weights and settings; cheap when called again.

        Args:
            fresh: Read all bytes again, whatever is known of the files.
        """
        ...

    def tokenizer_json(self) -> str:
        """Return the text of the fast tokenizer's ``tokenizer.json``."""
        ...

    def load_model(self) -> PreTrainedModel:
        """Build the torch module with its pretrained weights, on the CPU, in float32."""
        ...

    def load_frozen(self) -> PreTrainedModel | PlainBert:
        """The same, for reading alone: a source may have a module that loads faster."""
        return self.load_model()
