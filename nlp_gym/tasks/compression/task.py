"""Sentence compression from left to right: keep or drop each word."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from typing_extensions import override

from nlp_gym.checks import check_bool, check_int, check_name, check_number
from nlp_gym.encode.units import encode_units
from nlp_gym.errors import DataError, DataFormatError, InvalidArgumentError
from nlp_gym.metrics.base import Score
from nlp_gym.metrics.text.rouge import TOKENIZERS, make_tokenizer
from nlp_gym.tasks.compression.language import BOUNDARY, UNIT, Bigrams
from nlp_gym.tasks.compression.quality import (
    Goal,
    Kept,
    Quality,
    check_weights,
    mask_of,
    with_means,
)
from nlp_gym.tasks.compression.references import ACTIONS, check_compressions, joined, kept_words
from nlp_gym.tasks.compression.score import (
    quality_score,
    quality_table,
    reference_score,
    with_quality,
)
from nlp_gym.tasks.compression.search import (
    all_words,
    first_words,
    hill_climbing,
    random_words,
)
from nlp_gym.tasks.core.positions import Positions
from nlp_gym.tasks.core.tables import Extra, Tables
from nlp_gym.tasks.core.task import Focus, Output, Played, State, Task
from nlp_gym.types import BoolArray, Corpus, Encoded, Float64Array, Int64Array, Observation, Units

if TYPE_CHECKING:
    from nlp_gym.render import Frame

DROP, KEEP = 0, 1
_NONE = 2
"""In `decided`: there was no word so far back."""
_SHARES = 12
"""`share` counts eighths of the words that are asked for, up to this."""
_TENTHS = 10
_JOINS = np.array([-1.0, -0.5, -0.2, 0.5, 1.5, 3.0, 5.0]) * UNIT
"""Gains between the steps of `joins`."""
_RARITIES = np.array([0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.85])
"""Weights of words (`Bigrams.weights`) between the steps of `rarity`."""


@lru_cache(maxsize=4)
def learnt_model(texts: tuple[tuple[str, ...], ...]) -> Bigrams:
    """The language model of some texts, learnt once for all splits and environments."""
    return Bigrams.learn(texts)


@dataclass
class CompressionState(State):
    """State of B texts.

    Attributes:
        kept: (B, T) bool words that were kept.
        last: (B,) int64 the last of them; -1: none yet.
        count: (B,) int64 as in `Kept`.
        along: (B,) int64 as in `Kept`.
        norm: (B,) int64 as in `Kept`.
        chain: (B,) int64 as in `Kept`.
    """

    kept: BoolArray
    last: Int64Array
    count: Int64Array
    along: Int64Array
    norm: Int64Array
    chain: Int64Array


class Compression(Task):
    """Sentence compression as a decision process.

    ## Description
    The agent reads a text from left to right and keeps or drops each word. What is kept should say
    what the whole says, in as many words as are asked for, and still be language: a reward that
    needs no references, as in SCRL (Ghalandari, Hokamp and Ifrim 2022). The baseline to beat is
    their baseline, hill climbing on the same objective (Schumann et al. 2020).

    ## Data
    Any texts; references are optional. JSONL `{"sentence": text, "compression": text or texts}` or
    CSV `sentence,compression` (other names of the two: those of the family `generation`, such as
    `source`, `text`, `target`, `summary`). A file without references is read with
    `references=False`; a `.txt` file has one text per line and none. The bundled sentences were
    written for this project. The large corpora of compressed news are not in the catalogue; those
    of `aeslc`, `dialogsum` and `scitldr_written` have references that are written freely.

    ## Observation Space
    `Dict`, with D = width of the encoder, L = `max_tokens`, H = `history_length`, and
    w = 2 * `window` + 1:

    | obs_type | key | shape | dtype | values |
    |---|---|---|---|---|
    | all | `action_mask` | (2,) | int8 | 1 where the action is legal now |
    | features | `context` | ((1+w)*D,) | float32 | mean of the text, then the words around |
    | features | `decided` | (H*3,) | float32 | last decisions, one-hot, latest first |
    | features | `share` | (13,) | float32 | kept so far, in eighths of what is asked for, one-hot |
    | features | `left` | (11,) | float32 | words to come, in tenths of the text, one-hot |
    | features | `joins` | (24,) | float32 | how well the word follows the last kept one, the next |
    | | | | | word follows it, and the next follows the last kept one, each in eight steps |
    | features | `rarity` | (8,) | float32 | how few training texts have the word, one-hot |
    | tokens, index | `decided` | (H,) | int32 | 0 dropped, 1 kept, 2 there was none |
    | tokens, index | `joins` | (3,) | int32 | the same as numbers |
    | tokens, index | `share`, `left`, `rarity` | (1,) | int32 | the same as numbers |
    | tokens | `input_ids`, `attention_mask` | (1+w, L) | int32, int8 | their sub-words |
    | index | `row`, `position` | (1,) | int32 | text and word |

    ## Action Space
    `Discrete(2)`: 0 drops the current word, 1 keeps it.

    ## Action Mask
    At least one word is kept: DROP is illegal at the last word where none is. KEEP is illegal after
    `max_words` kept words.

    ## Rewards
    The quality of the words kept so far, from 0 to 1, is the weighted mean of three parts:

    - similarity: cosine of the summed vectors of the kept words and of all words. They are those of
      the frozen encoder (also where an encoder learns), weighted by how few training texts have the
      word (idf);
    - length: a Gaussian of the share of words kept, with its centre at `target_ratio` and a
      standard deviation of 0.2;
    - fluency: by how much the kept words and the end are likelier in their order than without
      context (the exponential of SLOR, Kann et al. 2018), divided by the same of the whole text; at
      most 1. The bigram model is learnt from the training texts and is part of a run.

    The kinds of reward:

    - `metric` (default of the id): change of the quality.
    - `sparse`: the quality, at the end.
    - `correctness`: with references 1 for the oracle's decision, else 0; without the same as
      `metric`.

    ## Starting State
    The first word of a text, nothing kept.

    ## Episode End
    After the last word.

    ## Metric
    With references `rouge_1`: F1 of their words (package rouge-score; `tokenizer="unicode"`: words
    of any script, no stemming), mean over texts, of several references the best; the report has
    ROUGE-1, 2 and L. Without references `quality`, mean over texts. The report has the quality, its
    parts and the share of kept words in either case, and the same of all words, the first words,
    words by chance and hill climbing.

    The oracle keeps the words of a reference: a longest common subsequence of the two. Without
    references, or where they have no word in common, it keeps what hill climbing finds with
    `search` swaps per text.

    ## Information
    `info["score"]` at the end: the quality, whatever the metric. For the rest see `Task`.

    ## Arguments
    Those of `Task`, and:

    | name | default | meaning |
    |---|---|---|
    | `target_ratio` | 0.5 | share of the words to keep |
    | `max_words` | None | most words that can be kept |
    | `reward_weights` | 1, 1, 1 | of similarity, length and fluency: a list or a mapping by name |
    | `references` | None | whether the file has references; None: yes, but for `.txt` |
    | `tokenizer` | unicode | words that ROUGE counts; `"rouge"`: English stems |
    | `history_length` | 2 | number H of earlier decisions seen |
    | `window` | 1 | words seen on each side of the current one |
    | `search` | 200 | swaps that hill climbing tries for each text |
    | `language_model` | None | settings of a language model that was learnt |

    ## Registered Ids
    `Compression-v0`

    ## Version History
    * v0: initial version.
    """

    family = "generation"
    exact_oracle = False
    reads_text = True
    trace_view = "tagging"
    own_baselines = ("keep-all", "first-words", "random-words", "hill-climbing")
    reward_metric = "quality"

    def __init__(
        self,
        *,
        target_ratio: float = 0.5,
        max_words: int | None = None,
        reward_weights: Mapping[str, float] | Sequence[float] = (1.0, 1.0, 1.0),
        references: bool | None = None,
        tokenizer: str = "unicode",
        history_length: int = 2,
        window: int = 1,
        search: int = 200,
        language_model: str | None = None,
        **kwargs: Any,
    ) -> None:
        ratio = check_number("target_ratio", target_ratio, 0.01, 1.0)
        most = 2**31 if max_words is None else check_int("max_words", max_words, 1, 2**31)
        self.goal = Goal(ratio, most, check_weights(reward_weights))
        self._references = None if references is None else check_bool("references", references)
        check_name("tokenizer", tokenizer, TOKENIZERS)
        self.tokenizer = tokenizer
        self.history_length = check_int("history_length", history_length, 1, 64)
        self.window = check_int("window", window, 0, 16)
        self.search = check_int("search", search, 0, 100_000)
        given = None if language_model is None else Bigrams.read(language_model)
        super().__init__(**kwargs)
        if kwargs.get("labels") is not None:
            raise InvalidArgumentError("labels: words are kept or dropped, and have no labels.")
        samples = self.corpus.samples
        self.has_references = self.has_gold and check_compressions(samples)
        self.metric_name = "rouge_1" if self.has_references else "quality"
        self.model = given or learnt_model(self._training_texts())
        self._positions = Positions(self.corpus)
        self._last_slot = self._positions.ends()
        self._place = self._positions.places()[1]
        self._numbers = np.concatenate([self.model.numbers(sample.words) for sample in samples])
        text, sizes = self._positions.places()[0], self.lengths
        # What steps look up by slot or row: entries of words, tenths to come, words asked for.
        self._entry = np.full(len(text), BOUNDARY)
        self._entry[~self._last_slot] = self._numbers
        following = np.append(self._entry[1:], BOUNDARY)
        following[self._last_slot] = BOUNDARY
        self._following = following
        self._onward = np.searchsorted(_JOINS, self.model.gains(self._entry, following))
        self._rarity = np.searchsorted(_RARITIES, self.model.weights.take(self._entry))
        self._left = _TENTHS * (sizes.take(text) - self._place) // sizes.take(text)
        self._asked = self.goal.words(sizes)
        self.extras = {
            "decided": Extra(self.history_length, _NONE),
            "joins": Extra(3, len(_JOINS)),
            "left": Extra(1, _TENTHS),
            "rarity": Extra(1, len(_RARITIES)),
            "share": Extra(1, _SHARES),
        }

    def _training_texts(self) -> tuple[tuple[str, ...], ...]:
        samples = self.corpus.samples if self.split == "train" else self.load("train").samples
        return tuple(tuple(sample.words) for sample in samples)

    @override
    def read_split(self, split: str) -> Corpus:
        """Texts with references or, where a file has none, texts that are scored without them."""
        bare = self._references is False
        if self._references is None:
            bare = _is_plain(self._loading["data"], split)
        if not bare:
            try:
                return super().read_split(split)
            except DataFormatError as error:
                if not self._is_readable_bare(split):
                    raise
                problem = f"{error.problem}. A file without references needs references=False"
                raise DataFormatError(error.path, error.line, problem) from error
        return self._read_bare(split)

    def _is_readable_bare(self, split: str) -> bool:
        try:
            self._read_bare(split)
        except DataError:
            return False
        return True

    def _read_bare(self, split: str) -> Corpus:
        self._loading["gold"] = False
        try:
            corpus = super().read_split(split)
        finally:
            del self._loading["gold"]
        if _is_samples(self._loading["data"]):
            return corpus
        return replace(corpus, samples=[replace(sample, gold=()) for sample in corpus.samples])

    @property
    @override
    def learnt(self) -> dict[str, Any]:
        return {"language_model": self.model.settings}

    @property
    @override
    def n_actions(self) -> int:
        """Two."""
        return len(ACTIONS)

    @override
    def action_name(self, action: int) -> str:
        """DROP or KEEP."""
        return ACTIONS[action]

    @property
    @override
    def lengths(self) -> Int64Array:
        """(N,) words of each text."""
        return self._positions.lengths

    @cached_property
    @override
    def units(self) -> Units:
        """Every word of every text, then every text as a whole."""
        texts = [sample.words for sample in self.corpus.samples]
        sizes = self._positions.lengths
        text = np.repeat(np.arange(len(texts)), sizes)
        place = np.arange(len(text)) - self.corpus.offsets.take(text)
        words = np.stack([text, place, place + 1], axis=1)
        whole = np.stack([np.arange(len(texts)), np.zeros_like(sizes), sizes], axis=1)
        return Units(texts, np.concatenate([words, whole]))

    @override
    def _vectors(self, **options: Any) -> Encoded:
        """Words are encoded as those of taggers, whose cache they share; texts are their means."""
        words = Units([sample.words for sample in self.corpus.samples])
        return with_means(encode_units(words, self.encoder, **options), self.lengths)

    @cached_property
    @override
    def tables(self) -> Tables:
        """A slot per word and one for each end; a text's own unit before the words around."""
        words, n = int(self.corpus.offsets[-1]), len(self.corpus)
        near = self._positions.neighbours(self.window)
        return Tables.build(
            words + n,
            offsets=self._positions.offsets,
            context=np.where(near == words, -1, near),
            row_units=words + np.arange(n)[:, None],
        )

    @cached_property
    def quality(self) -> Quality:
        """What any choice of words is worth; made when it is first needed, with the vectors."""
        return Quality(self.corpus.samples, self._numbers, self.model, self.encoded, self.goal)

    @override
    def initial(self, rows: Int64Array) -> CompressionState:
        b = len(rows)
        return CompressionState(
            **self.state_fields(rows),
            kept=np.zeros((b, int(self.lengths.max())), bool),
            last=np.full(b, -1),
            count=np.zeros(b, np.int64),
            along=np.zeros(b, np.int64),
            norm=np.zeros(b, np.int64),
            chain=np.zeros(b, np.int64),
        )

    @override
    def mask(self, state: CompressionState) -> BoolArray:
        legal = np.empty((len(state.row), len(ACTIONS)), bool)
        # The slot after the last word is the end: its mask is that of the last decision.
        end = self._last_slot.take(np.minimum(state.slot + 1, len(self._last_slot) - 1))
        legal[:, DROP] = (state.count > 0) | ~end
        legal[:, KEEP] = state.count < self.goal.most
        return legal

    @cached_property
    def wanted(self) -> BoolArray:
        """(N, T) the words that the oracle keeps."""
        self.require_gold("oracle")
        found = np.zeros((len(self.corpus), int(self.lengths.max())), bool)
        samples = self.corpus.samples
        lists = [kept_words(s.words, s.gold) if s.gold else [] for s in samples]
        for row, places in zip(found, lists, strict=True):
            row[places[: self.goal.most]] = True
        bare = np.flatnonzero(~found.any(axis=1))
        if len(bare):
            climbed = hill_climbing(self.quality, bare, evaluations=self.search)
            found[bare, : climbed.shape[1]] = climbed
        return found

    @override
    def oracle(self, state: CompressionState) -> Int64Array:
        """(B,) keep the words of a reference, or of what hill climbing found."""
        wanted = self.wanted[state.row, self._decided_place(state)].astype(np.int64)
        return self.repair(state, wanted)[0]

    def _decided_place(self, state: CompressionState) -> Int64Array:
        """(B,) the word that is decided on; at the end the last one."""
        place = self._place.take(state.slot)
        return np.minimum(place, self.lengths.take(state.row) - 1)

    @override
    def play(self, state: CompressionState, actions: Int64Array) -> Played:
        right, credited = None, self.has_gold and self.reward == "correctness"
        if self.has_references:
            wanted = self.wanted[state.row, self._place.take(state.slot)]
            right = (actions == wanted).astype(np.float64)
        elif self.has_gold:
            right = -self.potential(state) if credited else np.zeros(len(actions))
        (at,) = (actions == KEEP).nonzero()
        if len(at):
            self._keep(state, at)
        state.slot += 1
        if credited and not self.has_references:
            right += self.potential(state)  # type: ignore[operator]
        return right, 0.0, self._last_slot.take(state.slot)

    def _keep(self, state: CompressionState, at: Int64Array) -> None:
        """Keep the current word in the episodes `at`."""
        rows, place = state.row.take(at), self._place.take(state.slot.take(at))
        last = state.last.take(at)
        if self.has_gold:
            kept = state.kept.take(at, axis=0)
            along, norm, chain = self.quality.add(rows, place, last, kept)
            state.along[at] += along
            state.norm[at] += norm
            state.chain[at] += chain
        state.kept[at, place] = True
        state.last[at] = place
        state.count[at] += 1

    @override
    def potential(self, state: CompressionState) -> Float64Array:
        kept = Kept(state.count, state.along, state.norm, state.chain)
        return self.quality.value(state.row, kept)

    @override
    def extra(self, state: CompressionState) -> Observation:
        """The last decisions, how much is kept and to come, and how well words would follow."""
        slot, place = state.slot, self._place.take(state.slot)
        back = place[:, None] - 1 - np.arange(self.history_length)
        each = np.arange(len(place))[:, None]
        decided = np.where(back >= 0, state.kept[each, np.maximum(back, 0)], _NONE)
        share = np.minimum(8 * state.count // self._asked.take(state.row), _SHARES)
        left, after = self._left.take(slot), self._entry.take(slot)
        before = self._entry.take(slot - place + np.maximum(state.last, 0))
        before[state.last < 0] = BOUNDARY
        skipped = self._following.take(slot)
        joins = np.empty((len(slot), 3), np.int32)
        joins[:, 0] = np.searchsorted(_JOINS, self.model.gains(before, after))
        joins[:, 1] = self._onward.take(slot)
        joins[:, 2] = np.searchsorted(_JOINS, self.model.gains(before, skipped))
        flat = {"left": left, "rarity": self._rarity.take(slot), "share": share}
        return {
            "decided": decided.astype(np.int32),
            "joins": joins,
            **{key: values.astype(np.int32)[:, None] for key, values in flat.items()},
        }

    @override
    def outputs(self, state: CompressionState) -> list[Output]:
        """Each output is a tuple of the places of the words kept so far."""
        return [tuple(np.flatnonzero(row).tolist()) for row in state.kept]

    @override
    def baseline_outputs(self, name: str, rows: Int64Array, seed: int) -> list[Output]:
        """What a baseline of `own_baselines` keeps of texts."""
        check_name("baseline", name, self.own_baselines)
        kept = self.choices(rows, seed)[name]()
        return [tuple(np.flatnonzero(row).tolist()) for row in kept]

    def choices(self, rows: Int64Array, seed: int = 0) -> dict[str, Callable[[], BoolArray]]:
        """By name of `own_baselines`, what makes its choice of words (B, T) of texts."""
        quality = self.quality
        found = (
            partial(all_words, quality, rows),
            partial(first_words, quality, rows),
            partial(random_words, quality, rows, seed),
            partial(hill_climbing, quality, rows, evaluations=self.search, seed=seed),
        )
        return dict(zip(self.own_baselines, found, strict=True))

    @override
    def corpus_score(
        self, rows: Sequence[int], outputs: Sequence[Output], *, bootstrap: int, report: bool
    ) -> Score:
        chosen = np.array(rows, np.int64)
        samples = [self.sample(row) for row in rows]
        kept = mask_of(outputs, int(self.lengths.max()))
        choices: dict[str, BoolArray] = {"compressions": kept}
        if report:
            choices |= {name: make() for name, make in self.choices(chosen).items()}
        if self.has_references:
            texts = {
                name: [
                    joined(sample, np.flatnonzero(row).tolist())
                    for sample, row in zip(samples, flags, strict=True)
                ]
                for name, flags in choices.items()
            }
            own, tokenizer = texts.pop("compressions"), make_tokenizer(self.tokenizer)
            score = reference_score(
                samples, own, tokenizer, beside=texts, bootstrap=bootstrap, report=report
            )
        else:
            score = quality_score(self.quality, chosen, kept, bootstrap=bootstrap)
        if not report:
            return score
        return with_quality(score, quality_table(self.quality, chosen, choices), "compressions")

    @override
    def record(self, row: int, output: Output) -> dict[str, Any]:
        """The compressed text, the places of its words, and the share that they are."""
        sample = self.sample(row)
        ratio = round(len(output) / len(sample.words), 4)
        return {"compression": joined(sample, output), "kept": list(output), "ratio": ratio}

    @override
    def focus(self, state: CompressionState, i: int) -> Focus:
        """The word."""
        place = int(self.position(state)[i])
        return Focus((place, place + 1))

    @override
    def frame(self, state: CompressionState, i: int) -> Frame:
        from nlp_gym.render import Frame, Piece

        row, n = int(state.row[i]), int(self.position(state)[i])
        sample, kept = self.sample(row), state.kept[i]
        pieces = []
        for place, word in enumerate(sample.words):
            if place >= n:
                pieces.append(Piece(word, "here" if place == n else "dim"))
            else:
                pieces.append(Piece(word, "plain" if kept[place] else "dropped"))
        for reference in sample.gold or ():
            pieces.append(Piece(" ".join(reference.split()), "dim", "reference", line=True))
        return Frame(self.title(row), f"word {n}/{len(sample.words)}", pieces)

    @override
    def __getstate__(self) -> dict[str, Any]:
        """As `CorpusTask.__getstate__`; what is made again quickly is left out too."""
        dropped = {"tables", "views", "quality", "wanted", "units"}
        return {k: v for k, v in super().__getstate__().items() if k not in dropped}


def _is_samples(data: object) -> bool:
    return isinstance(data, Sequence) and not isinstance(data, str)


def _is_plain(data: object, split: str) -> bool:
    """Whether a split is a file with one text per line, by its name."""
    path = data.get(split, data.get("train")) if isinstance(data, Mapping) else data
    if not isinstance(path, str | Path):
        return False
    name = str(path).lower().removesuffix(".gz")
    return name.endswith(".txt")
