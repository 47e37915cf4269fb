"""A torch module: a pretrained transformer with pooling of sub-words to words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn.functional import embedding_bag

from nlp_gym.encode.base import BOUND
from nlp_gym.encode.options import LayerChoice
from nlp_gym.encode.standardise import Standardiser
from nlp_gym.encode.transformer.windows import Batch
from nlp_gym.encode.weights.folders import first_line
from nlp_gym.errors import EncoderError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from nlp_gym.encode.weights.plain_bert import PlainBert

# Families whose layers end with a normalisation, so that the first k layers alone give hidden state
# k of the whole model; and the attribute that holds their layers.
_POST_NORM = {
    "bert": "encoder",
    "camembert": "encoder",
    "distilbert": "transformer",
    "electra": "encoder",
    "roberta": "encoder",
    "xlm-roberta": "encoder",
}


class WordVectors(nn.Module):
    """Computes the raw word vectors of a batch; differentiable.

    Layers above the highest one that is read are removed.

    Args:
        model: A fresh copy of the model, which the module changes.
        layers: The hidden states that make a vector.

    Attributes:
        width: Width of a word's vector.
    """

    def __init__(self, model: PreTrainedModel | PlainBert, layers: LayerChoice) -> None:
        super().__init__()
        self.hidden = int(model.config.hidden_size)
        self.layers, self.width = layers, layers.parts * self.hidden
        drop_layers(model, max(layers.indices))
        self.model: Any = model.train(mode=False)  # either class, both called alike

    def forward(self, batch: Batch) -> torch.Tensor:
        """(K, width) float32, one vector per bag of the batch; those of one word are to be added.

        Raises:
            EncoderError: Memory ran out, or the model is of another kind.
        """
        device = self.model.device
        slots, weights, starts = (
            send(array, device) for array in (batch.slots, batch.weights, batch.starts)
        )
        pooled = [
            embedding_bag(
                slots,
                state.reshape(-1, self.hidden).float(),
                starts,
                mode="sum",
                per_sample_weights=weights,
            )
            for state in self._states(batch)
        ]
        return torch.stack(pooled).mean(dim=0) if self.layers.mean else torch.cat(pooled, dim=1)

    def _states(self, batch: Batch) -> list[torch.Tensor]:
        """The (B, L, hidden) hidden states of `layers`."""
        device = self.model.device
        options = {}
        if batch.segments is not None and getattr(self.model.config, "type_vocab_size", 0) > 1:
            options["token_type_ids"] = send(batch.segments, device)
        try:
            states = self.model(
                input_ids=send(batch.ids, device),
                attention_mask=send(batch.mask, device),
                output_hidden_states=True,
                **options,
            ).hidden_states
            return [states[index] for index in self.layers.indices]
        except torch.cuda.OutOfMemoryError as error:
            raise EncoderError(
                f"Out of memory on {device} in a batch of {batch.ids.size} sub-words. "
                f"Give batch_tokens={batch.ids.size // 2} or less."
            ) from error
        except Exception as error:  # a model of another kind fails in ways of its own
            raise EncoderError(
                f"A {type(self.model).__name__} cannot be used as an encoder of text: "
                f"{first_line(error)}."
            ) from error


def standardised(raw: torch.Tensor, by: Standardiser) -> torch.Tensor:
    """Standardise raw vectors (n, D) as `Encoder.encode` does, in float32 and differentiable."""
    mean, scale = (
        torch.from_numpy(a.astype(np.float32)).to(raw.device) for a in (by.mean, by.scale)
    )
    return ((raw - mean) * scale).clamp(-BOUND, BOUND)


def send(array: npt.NDArray[Any], device: torch.device) -> torch.Tensor:
    """Copy an array to a device as a tensor."""
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    if device.type == "cuda":
        # Pinned and asynchronous: the copy overlaps with the previous batch.
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def default_batch_tokens(device: torch.device) -> int:
    """Most sub-words in a batch by default: what fits a CPU core's cache, or keeps a GPU busy.

    On two CPU cores 512 and 1,024 were equally fast, 4,096 a quarter slower.
    """
    if device.type == "cpu":
        return max(1024, 512 * torch.get_num_threads())
    return 16_384


def layer_stack(model: PreTrainedModel | PlainBert) -> Any:
    """The module whose attribute `layer` holds the model's layers; None in other families."""
    return getattr(model, _POST_NORM.get(model.config.model_type, ""), None)


def drop_layers(model: PreTrainedModel | PlainBert, highest: int) -> None:
    """Remove the layers above hidden state `highest`, in families where that changes nothing."""
    stack = layer_stack(model)
    if stack is not None:
        stack.layer = stack.layer[: max(highest, 1)]
