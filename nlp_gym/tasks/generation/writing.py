"""Writing a text token by token: the state, what is legal, and what is seen; no rewards."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from nlp_gym.checks import check_int, check_name
from nlp_gym.data.text.vocabulary import KINDS, Vocabulary
from nlp_gym.errors import InvalidArgumentError
from nlp_gym.tasks.core.tables import Extra, Tables
from nlp_gym.tasks.core.task import Task
from nlp_gym.tasks.core.token_observation import SourceTokens
from nlp_gym.tasks.generation.samples import (
    WritingState,
    check_references,
    each_reference,
    learnt_vocabulary,
    source_pieces,
    source_text,
    targets,
    warn_cut_sources,
)
from nlp_gym.types import BoolArray, Corpus, Int64Array, Observation, Units

if TYPE_CHECKING:
    from nlp_gym.render import Frame


class Writing(Task):
    """A text is written from a source, one token of a vocabulary after the other, then STOP.

    Args:
        vocabulary: `Vocabulary.settings` of what can be written; None: learnt from the references
            of the training split.
        vocabulary_size: Most tokens of a vocabulary that is learnt.
        tokens: ``"subword"`` or ``"character"``.
        max_length: Most decisions L of an episode.
        max_source: Words S of a source that are read.
        beam: Texts that evaluation and prediction keep in a beam search; 1: they choose greedily.
        **kwargs: Those of `Task`.
    """

    family = "generation"
    reads_text = True
    writes = True
    baselines = ("lead", "copy")
    fixed_arguments = ("vocabulary", "vocabulary_size", "tokens", "max_length", "max_source")
    side_by_side = 128  # what agents keep of a text takes megabytes where its source is long

    def __init__(
        self,
        *,
        vocabulary: str | None = None,
        vocabulary_size: int = 4000,
        tokens: str = "subword",
        max_length: int = 64,
        max_source: int = 64,
        beam: int = 1,
        **kwargs: Any,
    ) -> None:
        check_name("tokens", tokens, KINDS)
        self.beam = check_int("beam", beam, 1, 64)
        size = check_int("vocabulary_size", vocabulary_size, 300, 65_536)
        self.max_length = check_int("max_length", max_length, 2, 1024)
        self.max_source = check_int("max_source", max_source, 1, 1024)
        given = None if vocabulary is None else Vocabulary.read(vocabulary)
        super().__init__(**kwargs)
        if kwargs.get("labels") is not None:
            raise InvalidArgumentError("labels: texts are written from a vocabulary, not labels.")
        samples = self.corpus.samples
        check_references(samples)
        warn_cut_sources(samples, self.max_source)
        self.vocabulary = given or learnt_vocabulary(self._training_texts(), size, tokens)
        self.masks = self.vocabulary.legal
        self.extras = {"prefix": Extra(self.max_length, self.n_actions - 1, plain=True)}
        if self.has_gold:
            self._targets, self._sizes = targets(self.vocabulary, samples, self.max_length)

    def load(self, split: str) -> Corpus:
        """See `TaskData.load`; in training every reference of a sample is written once."""
        corpus = super().load(split)
        return each_reference(corpus) if split == "train" else corpus

    def _training_texts(self) -> tuple[str, ...]:
        own = self.split == "train" and self.has_gold
        samples = self.corpus.samples if own else self.load("train").samples
        texts = tuple(sample.gold[0] for sample in samples if sample.gold)
        if not texts:
            raise InvalidArgumentError(
                "vocabulary=None: it is learnt from references, and the training split has none. "
                "Give the vocabulary of a run, or data with references."
            )
        return texts

    @property
    def learnt(self) -> dict[str, Any]:
        """See `TaskData.learnt`."""
        return {"vocabulary": self.vocabulary.settings}

    @cached_property
    def units(self) -> Units:
        """Every word of every source, equal sources once."""
        return Units(list(dict.fromkeys(sample.words for sample in self.corpus.samples)))

    @cached_property
    def tables(self) -> Tables:
        """The words of the source; slots count the tokens written, for all rows alike."""
        sources = self.units.texts
        numbers = {source: i for i, source in enumerate(sources)}
        mine = [numbers[sample.words] for sample in self.corpus.samples]
        sizes = np.array([len(source) for source in sources])
        first, place = np.cumsum(sizes) - sizes, np.arange(self.max_source)
        words = np.where(place < sizes[:, None], first[:, None] + place, -1)[mine]
        return Tables.build(
            int(sizes.sum()),
            offsets=np.zeros(len(mine), np.int64),
            context=np.zeros((self.max_length + 1, 0), np.int64),
            row_units=words,
        )

    @cached_property
    def token_view(self) -> SourceTokens:
        """The source as one row of ids."""
        return SourceTokens(self)

    def source_pieces(self, most: int) -> Int64Array:
        """(U+1, most) tokens of the units, see `written.source_pieces`."""
        return source_pieces(self.vocabulary, self.units.texts, most)

    @property
    def n_actions(self) -> int:
        """Number V of tokens, STOP among them."""
        return len(self.vocabulary.tokens)

    @property
    def lengths(self) -> Int64Array:
        """(N,) L for every sample."""
        return np.full(len(self.corpus), self.max_length, np.int64)

    def action_name(self, action: int) -> str:
        """The token, as the tokenizer shows it."""
        return self.vocabulary.tokens[action]

    def blank(self, rows: Int64Array) -> dict[str, Any]:
        """See `Task.blank`."""
        own = {"prefix": np.zeros((len(rows), self.max_length), np.int32)}
        return {**super().blank(rows), **own, "missing": np.zeros(len(rows), np.int64)}

    def mask_row(self, state: WritingState) -> Int64Array:
        """(B,) which row of `Vocabulary.legal` holds."""
        row = np.where(state.missing > 0, 2, (state.slot > 0).astype(np.int64))
        row[state.slot >= self.max_length] = 3
        return row

    def mask(self, state: WritingState) -> BoolArray:
        """See `Task.mask`."""
        assert self.masks is not None
        legal: BoolArray = self.masks.take(self.mask_row(state), axis=0)
        return legal

    def repair(self, state: Any, actions: Int64Array) -> tuple[Int64Array, BoolArray]:
        """See `Task.repair`; without the masks of all states."""
        assert self.masks is not None
        row = self.mask_row(state)
        illegal = ~self.masks[row, actions]
        return np.where(illegal, self.masks.argmax(axis=1)[row], actions), illegal

    def write(self, state: WritingState, actions: Int64Array) -> BoolArray:
        """Write (B,) tokens, changing `state` in place; gives (B,) whether the text ended."""
        at = actions.nonzero()[0]
        tokens = actions[at]
        state.prefix[at, state.slot[at]] = tokens
        change = self.vocabulary.missing.take(tokens)
        state.missing[at] = np.where(change < 0, state.missing[at] - 1, change)
        state.slot[at] += 1
        ended: BoolArray = (actions == 0) | (state.slot >= self.max_length)
        return ended

    def extra(self, state: WritingState) -> Observation:
        """The tokens written."""
        return {"prefix": state.prefix.copy()}

    def outputs(self, state: WritingState) -> list[str]:
        """The texts."""
        written = zip(state.prefix.tolist(), state.slot.tolist(), strict=True)
        return [self.vocabulary.decode(tokens[:size]) for tokens, size in written]

    def record(self, row: int, output: str) -> dict[str, Any]:
        """The text."""
        return {"output": output}

    def frame(self, state: WritingState, i: int) -> Frame:
        """See `Task.frame`."""
        from nlp_gym.render import Frame, Piece

        row, text = int(state.row[i]), self.outputs(state.take(np.array([i])))[0]
        sample = self.sample(row)
        pieces = [Piece(source_text(sample)), Piece(text or "...", "chosen", line=True)]
        for reference in sample.gold or ():
            pieces.append(Piece(reference, "dim", "reference", line=True))
        return Frame(self.title(row), f"token {state.slot[i]}/{self.max_length}", pieces)
