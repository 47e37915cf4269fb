"""The torch side of the transformer encoder: batches in, one raw vector a word out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from nlp_gym.encode.options import LayerChoice
from nlp_gym.encode.transformer.pooling import WordVectors, default_batch_tokens, send
from nlp_gym.encode.transformer.subwords import SubWords, WordTokenizer
from nlp_gym.encode.transformer.windows import Batcher, batches, plan_windows
from nlp_gym.errors import EncoderError
from nlp_gym.progress import progress_bar

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What the runner computes: `room` is the most tokens of a text in one pass."""

    layers: LayerChoice
    first: bool
    dtype: str
    device: str
    room: int
    batch_tokens: int | None


class Runner:
    """A loaded transformer that gives raw word vectors."""

    def __init__(self, model: PreTrainedModel, tokenizer: WordTokenizer, plan: Plan) -> None:
        """Move the model to its device and number format and drop layers that are not needed.

        Raises:
            EncoderError: The device is not there.
        """
        self._plan = plan
        self._batcher = Batcher(tokenizer, plan.first)
        self.device = find_device(plan.device)
        self._words = WordVectors(model, plan.layers).to(self.device, getattr(torch, plan.dtype))

    def vectors(self, tokens: SubWords, *, progress: bool = False) -> torch.Tensor:
        """Return the (W, D) float32 word vectors, not standardised, on the runner's device.

        Raises:
            EncoderError: Memory ran out, or a vector is not finite.
        """
        budget = self._plan.batch_tokens or default_batch_tokens(self.device)
        windows = plan_windows(tokens, self._plan.room)
        sums = torch.zeros(len(tokens.word_starts) - 1, self._words.width, device=self.device)
        sizes = windows.stops - windows.starts
        total = int(sizes.sum())
        with (
            torch.inference_mode(),
            progress_bar(total, "encoding", unit="tokens", show=progress) as advance,
        ):
            for chosen in batches(windows, self._batcher.extra, budget):
                batch = self._batcher.batch(tokens, windows, chosen)
                sums.index_add_(0, send(batch.words, self.device), self._words(batch))
                advance(int(sizes[chosen].sum()))
        if not bool(torch.isfinite(sums).all()):
            raise EncoderError(
                "The encoder gave vectors that are not finite (NaN or infinite). Its weights may "
                'be damaged; if not, try dtype="float32".'
            )
        return sums


def find_device(device: str) -> torch.device:
    """The device of a name.

    Raises:
        EncoderError: It is not there.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    found = torch.device(device)
    missing = (found.type == "cuda" and (found.index or 0) >= torch.cuda.device_count()) or (
        found.type == "mps" and not torch.backends.mps.is_available()
    )
    if missing:
        raise EncoderError(
            f"device={device!r}: torch sees {torch.cuda.device_count()} CUDA devices here"
            f"{'' if torch.cuda.is_available() else ' (CUDA is not available)'}. "
            'Use device="cpu" or "auto".'
        )
    return found
