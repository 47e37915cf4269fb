"""Runs a pretrained transformer over texts and returns one raw vector per word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from nlp_gym.encode.options import LayerChoice
from nlp_gym.encode.transformer.pooling import WordVectors, default_batch_tokens, send
from nlp_gym.encode.transformer.subwords import SubWords, WordTokenizer
from nlp_gym.encode.transformer.windows import Batcher, batches, plan_windows
from nlp_gym.errors import EncoderError, shown
from nlp_gym.progress import progress_bar

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from nlp_gym.encode.weights.plain_bert import PlainBert


@dataclass(frozen=True, kw_only=True)
class RunnerOptions:
    """What a `Runner` computes, and how.

    Attributes:
        layers: The hidden states that make a vector.
        first: Whether a word's vector is that of its first sub-word, not the mean.
        dtype: Number format, the name of a torch dtype.
        device: Name of a device, see `find_device`.
        window_size: Most sub-words of a text in one pass, without special tokens.
        batch_tokens: Most sub-words in a batch; None: `default_batch_tokens`.
    """

    layers: LayerChoice
    first: bool
    dtype: str
    device: str
    window_size: int
    batch_tokens: int | None


class Runner:
    """A loaded transformer that gives raw word vectors."""

    def __init__(
        self, model: PreTrainedModel | PlainBert, tokenizer: WordTokenizer, options: RunnerOptions
    ) -> None:
        """Move the model to its device and number format, and remove layers that are not needed.

        Raises:
            EncoderError: The device is not there.
        """
        self._options = options
        self._batcher = Batcher(tokenizer, options.first)
        self.device = find_device(options.device)
        words = WordVectors(model, options.layers)
        self._words = words.to(self.device, getattr(torch, options.dtype))

    def vectors(self, tokens: SubWords, *, progress: bool = False) -> torch.Tensor:
        """Return the (W, D) float32 word vectors, not standardised, on the runner's device.

        Raises:
            EncoderError: Memory ran out, or a vector is not finite.
        """
        budget = self._options.batch_tokens or default_batch_tokens(self.device)
        windows = plan_windows(tokens, self._options.window_size)
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
    """The torch device of a name; ``"auto"`` is CUDA if present.

    Raises:
        EncoderError: This machine has no such device.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    found = torch.device(device)
    missing = (found.type == "cuda" and (found.index or 0) >= torch.cuda.device_count()) or (
        found.type == "mps" and not torch.backends.mps.is_available()
    )
    if missing:
        raise EncoderError(
            f"device={shown(device)}: torch sees {torch.cuda.device_count()} CUDA devices here"
            f"{'' if torch.cuda.is_available() else ' (CUDA is not available)'}. "
            'Use device="cpu" or "auto".'
        )
    return found
