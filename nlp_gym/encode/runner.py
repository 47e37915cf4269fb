"""The torch side of the transformer encoder: batches in, one raw vector a word out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import embedding_bag

from nlp_gym.encode.folders import first_line
from nlp_gym.encode.options import LayerChoice
from nlp_gym.encode.progress import bar
from nlp_gym.encode.subwords import SubWords, WordTokenizer
from nlp_gym.encode.windows import Windows, batches, plan_windows
from nlp_gym.errors import EncoderError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# Families whose layers end with their own normalisation, so that the first k layers alone give
# hidden state k of the whole model; and where their layers are.
_POST_NORM = {
    "bert": "encoder",
    "camembert": "encoder",
    "distilbert": "transformer",
    "electra": "encoder",
    "roberta": "encoder",
    "xlm-roberta": "encoder",
}

_I64 = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What the runner computes: `room` is the most tokens of a text in one pass."""

    layers: LayerChoice
    first: bool
    dtype: str
    device: str
    room: int
    batch_tokens: int | None


@dataclass(frozen=True)
class _Bags:
    """Which slots of a (B, L) batch make up which word.

    `slots` and `weights` list the tokens used, `starts` cuts them into bags, `words` names the
    word that each bag belongs to.
    """

    slots: _I64
    weights: npt.NDArray[np.float32]
    starts: _I64
    words: _I64


class Runner:
    """A loaded transformer that gives raw word vectors."""

    def __init__(self, model: PreTrainedModel, tokenizer: WordTokenizer, plan: Plan) -> None:
        """Move the model to its device and number format and drop layers that are not needed.

        Raises:
            EncoderError: The device is not there.
        """
        self._plan, self._tokenizer = plan, tokenizer
        self.device = _find_device(plan.device)
        drop_layers(model, max(plan.layers.indices))
        model.train(mode=False)
        # Module.to: the subclass's wrapper is typed as taking nothing.
        self._model = torch.nn.Module.to(model, self.device, getattr(torch, plan.dtype))
        self._width = int(model.config.hidden_size)

    def vectors(self, tokens: SubWords, *, progress: bool = False) -> torch.Tensor:
        """Return the (W, D) float32 word vectors, not standardised, on the runner's device.

        Raises:
            EncoderError: Memory ran out, or a vector is not finite.
        """
        plan = self._plan
        budget = plan.batch_tokens or default_batch_tokens(self.device)
        windows = plan_windows(tokens, plan.room)
        n_words = len(tokens.word_starts) - 1
        sums = torch.zeros(n_words, plan.layers.parts * self._width, device=self.device)
        extra = len(self._tokenizer.prefix) + len(self._tokenizer.suffix)
        sizes = windows.stops - windows.starts
        with torch.inference_mode(), bar(int(sizes.sum()), "token", show=progress) as advance:
            for chosen in batches(windows, extra, budget):
                self._add_batch(sums, tokens, windows, chosen)
                advance(int(sizes[chosen].sum()))
        if not bool(torch.isfinite(sums).all()):
            raise EncoderError(
                "The encoder gave vectors that are not finite (NaN or infinite). Its weights may "
                'be damaged; if not, try dtype="float32".'
            )
        return sums

    def _add_batch(
        self, sums: torch.Tensor, tokens: SubWords, windows: Windows, chosen: _I64
    ) -> None:
        ids, mask = self._batch(tokens, windows, chosen)
        states = self._forward(ids, mask)
        bags = self._bags(tokens, windows, chosen, ids.shape[1])
        slots, weights = self._send(bags.slots), self._send(bags.weights)
        starts, words = self._send(bags.starts), self._send(bags.words)
        layers = self._plan.layers
        for part, state in enumerate(states):
            flat = state.reshape(-1, self._width).float()
            pooled = embedding_bag(slots, flat, starts, mode="sum", per_sample_weights=weights)
            if layers.mean:
                sums.index_add_(0, words, pooled, alpha=1 / len(layers.indices))
            else:
                columns = slice(part * self._width, (part + 1) * self._width)
                sums[:, columns].index_add_(0, words, pooled)

    def _forward(self, ids: _I64, mask: _I64) -> list[torch.Tensor]:
        """The (B, L, width) hidden states of the layers asked for."""
        try:
            states = self._model(
                input_ids=self._send(ids),
                attention_mask=self._send(mask),
                output_hidden_states=True,
            ).hidden_states
            return [states[index] for index in self._plan.layers.indices]
        except torch.cuda.OutOfMemoryError as error:
            raise EncoderError(
                f"Out of memory on {self.device} in a batch of {ids.size} sub-words. "
                f"Give batch_tokens={ids.size // 2} or less."
            ) from error
        except Exception as error:  # a model of another kind fails in ways of its own
            raise EncoderError(
                f"A {type(self._model).__name__} cannot be used as an encoder of text: "
                f"{first_line(error)}."
            ) from error

    def _batch(self, tokens: SubWords, windows: Windows, chosen: _I64) -> tuple[_I64, _I64]:
        """(B, L) ids and mask of the chosen windows with their special tokens."""
        prefix, suffix = self._tokenizer.prefix, self._tokenizer.suffix
        lengths = (windows.stops - windows.starts)[chosen]
        total = len(prefix) + int(lengths.max()) + len(suffix)
        column = np.arange(total)[None, :] - len(prefix)
        source = np.clip(windows.starts[chosen][:, None] + column, 0, len(tokens.ids) - 1)
        inside = column < lengths[:, None]
        ids = np.where(inside, tokens.ids[source], self._tokenizer.pad_id).astype(np.int64)
        ids[:, : len(prefix)] = prefix
        for place, special in enumerate(suffix):
            ids[np.arange(len(chosen)), len(prefix) + lengths + place] = special
        return ids, (column < lengths[:, None] + len(suffix)).astype(np.int64)

    def _bags(self, tokens: SubWords, windows: Windows, chosen: _I64, total: int) -> _Bags:
        lengths = (windows.stops - windows.starts)[chosen]
        row = np.repeat(np.arange(len(chosen)), lengths)
        place = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        token = windows.starts[chosen][row] + place
        word = np.searchsorted(tokens.word_starts, token, side="right") - 1
        used = windows.token_window[token] == chosen[row]
        if self._plan.first:
            used &= token == tokens.word_starts[word]
        row, place, word = row[used], place[used], word[used]
        size = np.diff(tokens.word_starts)[word]
        begins = np.ones(len(word), bool)
        begins[1:] = (word[1:] != word[:-1]) | (row[1:] != row[:-1])
        return _Bags(
            slots=row * total + len(self._tokenizer.prefix) + place,
            weights=(np.ones(len(word)) if self._plan.first else 1 / size).astype(np.float32),
            starts=np.flatnonzero(begins),
            words=word[begins],
        )

    def _send(self, array: npt.NDArray[Any]) -> torch.Tensor:
        tensor = torch.from_numpy(np.ascontiguousarray(array))
        if self.device.type == "cuda":
            # Pinned and asynchronous: the copy overlaps with the previous batch.
            return tensor.pin_memory().to(self.device, non_blocking=True)
        return tensor.to(self.device)


def default_batch_tokens(device: torch.device) -> int:
    """Sub-words in a batch: what stays in a CPU core's cache, or what keeps a GPU busy.

    On two CPU cores 512 and 1,024 were equally fast, 4,096 a quarter slower.
    """
    if device.type == "cpu":
        return max(1024, 512 * torch.get_num_threads())
    return 16_384


def drop_layers(model: PreTrainedModel, highest: int) -> None:
    """Remove the layers above hidden state `highest`, in families where that changes nothing."""
    stack = getattr(model, _POST_NORM.get(model.config.model_type, ""), None)
    if stack is not None:
        stack.layer = stack.layer[: max(highest, 1)]


def _find_device(device: str) -> torch.device:
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
