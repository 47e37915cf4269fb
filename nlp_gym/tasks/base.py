"""What every task shares: its corpus, its encoding, index tables and the interface of the rules.

A task is a set of pure rules over a batch of B decision processes. It holds no episode: the state
is a `State` of index arrays, which the shells in `nlp_gym.envs` and `nlp_gym.tasks.rollout` carry
along.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from nlp_gym.errors import InvalidArgumentError
from nlp_gym.metrics.base import Score
from nlp_gym.tasks.checks import REWARDS, check_int, check_name, check_options
from nlp_gym.tasks.positions import Positions
from nlp_gym.types import SPLITS, BoolArray, Corpus, Encoded, Observation, Sample, Tokens

if TYPE_CHECKING:
    from nlp_gym.encode import Encoder
    from nlp_gym.envs.render import Frame

ILLEGAL_COST = 0.125
"""Reward lost by an action the mask forbids; a power of two keeps reward sums exact."""

Output = Sequence[str]
S = TypeVar("S", bound="State")


@dataclass
class State:
    """Index arrays of B running episodes, first axis B. Subclasses add the task's own.

    Attributes:
        row: (B,) int64 sample that is played.
        slot: (B,) int64 index into the task's tables of positions (see `Task.offsets`).
    """

    row: npt.NDArray[np.int64]
    slot: npt.NDArray[np.int64]

    def take(self: S, indices: npt.NDArray[np.integer[Any]] | BoolArray) -> S:
        """The episodes at `indices`, as a state of their own."""
        return type(self)(**{name: array[indices] for name, array in vars(self).items()})

    def put(self: S, indices: npt.NDArray[np.integer[Any]], other: S) -> None:
        """Overwrite the episodes at `indices` by those of `other`."""
        for name, array in vars(self).items():
            array[indices] = getattr(other, name)


class Task(abc.ABC):
    """Rules of one decision process over a corpus.

    Args:
        dataset: Catalogue name of the corpus.
        split: ``"train"``, ``"dev"`` or ``"test"``.
        reward: ``"correctness"``, ``"metric"`` or ``"sparse"``.
        encoder: Encoder name, path or instance (`nlp_gym.encode.load_encoder`).
        encoder_kwargs: Options of the encoder, such as ``{"layers": (0, 2, 4)}``.
        window: Words seen on each side of the current one in `features` observations.
        max_tokens: Length L of `tokens` observations; longer texts are seen through a window.
        data: The user's own file(s) or samples in place of the catalogue's.
        data_dir: Folder that holds corpora by catalogue name.
        corpus: ``"auto"``, ``"full"`` (no fallback to the bundled sample) or ``"sample"``.
        labels: Label inventory; default: the corpus's.
        data_format: Reader to use where the file's extension does not say.
        column: Label column of the file: ``"upos"`` or ``"xpos"`` (CoNLL-U), a number (CoNLL), a
            column's or key's name (CSV, JSONL). Default: the format's usual one.
        data_scheme: Tag scheme of the file (``"iob1"``, ``"bioes"``, ...; see
            `nlp_gym.data.schemes`), converted to IOB2. ``"auto"``: detected; ``"none"``: labels are
            taken as they are.
    """

    metric_name: str

    def __init__(
        self,
        *,
        dataset: str,
        split: str = "train",
        reward: str = "correctness",
        encoder: str | Encoder = "minilm",
        encoder_kwargs: Mapping[str, Any] | None = None,
        window: int = 1,
        max_tokens: int = 128,
        data: Any = None,
        data_dir: str | Path | None = None,
        corpus: str = "auto",
        labels: Sequence[str] | None = None,
        data_format: str | None = None,
        column: str | int | None = None,
        data_scheme: str = "auto",
    ) -> None:
        from nlp_gym.data import READERS, load_corpus
        from nlp_gym.data.schemes import canonical_scheme

        check_name("split", split, SPLITS)
        check_name("reward", reward, REWARDS)
        if data_format is not None:
            check_name("data_format", data_format, tuple(READERS))
        self.window = check_int("window", window, 0, 16)
        self.max_tokens = check_int("max_tokens", max_tokens, 8, 512)
        self.reward = reward
        self.dataset = dataset
        self._encoder_name = encoder
        self._encoder_kwargs = check_options("encoder_kwargs", encoder_kwargs)
        if not isinstance(encoder, str):
            _ = self.encoder  # an object is checked now; a name when it is needed
        self.corpus: Corpus = load_corpus(
            dataset,
            split,
            data=data,
            data_dir=data_dir,
            corpus=corpus,
            labels=labels,
            format=data_format,
            column=column,
            scheme=canonical_scheme(data_scheme, "data_scheme"),
        )
        self.labels: tuple[str, ...] = tuple(self.corpus.labels)
        if not self.labels:
            raise InvalidArgumentError(
                "labels is empty: texts without gold need the label inventory, give labels=[...]."
            )
        self._positions = Positions(self.corpus)
        self.lengths, self.offsets = self._positions.lengths, self._positions.offsets
        self.n_slots = self._positions.n_slots

    # The rules.

    @abc.abstractmethod
    def initial(self, rows: npt.NDArray[np.int64]) -> Any:
        """State of B fresh episodes on the samples `rows` (B,)."""

    @abc.abstractmethod
    def observe(self, state: Any, obs_type: str) -> Observation:
        """Observation of every episode: arrays of `observation_space(obs_type)` with B in front."""

    @abc.abstractmethod
    def mask(self, state: Any) -> BoolArray:
        """(B, A) legal actions, always at least one; at the end those after the last decision."""

    @abc.abstractmethod
    def oracle(self, state: Any) -> npt.NDArray[np.int64]:
        """(B,) the expert's action."""

    @abc.abstractmethod
    def transition(
        self, state: Any, actions: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.float64], BoolArray]:
        """Play (B,) actions, changing `state` in place; gives (B,) rewards and (B,) ended."""

    @abc.abstractmethod
    def potential(self, state: Any) -> npt.NDArray[np.float64]:
        """(B,) metric of each episode on its sample as it stands."""

    @abc.abstractmethod
    def observation_space(self, obs_type: str) -> spaces.Dict:
        """Flat Dict of Boxes for one episode."""

    @abc.abstractmethod
    def outputs(self, state: Any) -> list[Output]:
        """What was decided in each of the B episodes, in the terms of the metric."""

    @abc.abstractmethod
    def score(
        self,
        outputs: Sequence[Output],
        *,
        rows: Sequence[int] | None = None,
        bootstrap: int = 1000,
        report: bool | None = None,
    ) -> Score:
        """Official corpus score of `outputs`, one for each of `rows` (default: all samples)."""

    @abc.abstractmethod
    def frame(self, state: Any, i: int) -> Frame:
        """What a person sees of episode `i`."""

    # What the rules stand on.

    @property
    def has_gold(self) -> bool:
        """Whether the corpus is annotated. Without gold nothing is scored."""
        return self.corpus.samples[0].labels is not None

    @property
    def n_actions(self) -> int:
        """Number A of actions."""
        return len(self.labels)

    @property
    def action_space(self) -> spaces.Discrete:
        """One of A actions."""
        return spaces.Discrete(self.n_actions)

    @cached_property
    def encoder(self) -> Encoder:
        """The encoder, loaded on first use (weights are read at the first encoding)."""
        from nlp_gym.encode import load_encoder

        return load_encoder(self._encoder_name, **self._encoder_kwargs)

    @cached_property
    def encoded(self) -> Encoded:
        """Word vectors of the corpus, from the cache or encoded now."""
        from nlp_gym.encode import encode_corpus

        return encode_corpus(self.corpus, self.encoder)

    @cached_property
    def tokens(self) -> Tokens:
        """Sub-word tokens of the corpus."""
        return self.encoder.tokenize([sample.words for sample in self.corpus.samples])

    @cached_property
    def neighbours(self) -> npt.NDArray[np.int64]:
        """(n_slots, 2*window+1) rows of `encoded.features` around each position.

        Positions outside the text, and all of a text's end slot, point at the zero row W.
        """
        return self._positions.neighbours(self.window)

    @property
    def context_dim(self) -> int:
        """Width of `context`."""
        return (2 * self.window + 1) * self.encoder.dim

    def context(self, slots: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """(B, context_dim) float32 vectors of the words around `slots` (B,)."""
        near = self.neighbours.take(slots, axis=0)
        return self.encoded.gather(near).reshape(len(slots), -1)

    def __getstate__(self) -> dict[str, Any]:
        """Encodings are left out of a pickle: where it is opened, the cache has them."""
        dropped = {"encoded", "tokens", "neighbours"}
        return {k: v for k, v in self.__dict__.items() if k not in dropped}

    def _sample(self, row: int) -> Sample:
        return self.corpus.samples[row]
