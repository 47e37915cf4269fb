"""Translations, written summaries, replies: free text rewarded by its likeness to references."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from typing_extensions import override

from nlp_gym.checks import check_int, check_name
from nlp_gym.data.text.vocabulary import KINDS, STOP, Vocabulary
from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym.metrics.base import Score, on_grid
from nlp_gym.metrics.incremental.metric import METRICS, IncrementalMetric
from nlp_gym.metrics.text.bleu import TOKENIZERS
from nlp_gym.metrics.text.corpus import VALUES, generation_score
from nlp_gym.tasks.core.kinds import HookedTask, Text
from nlp_gym.tasks.core.tables import Extra, Tables
from nlp_gym.tasks.core.task import Played
from nlp_gym.tasks.core.token_observation import SourceTokens
from nlp_gym.tasks.generation.samples import (
    WritingState,
    check_references,
    each_reference,
    learnt_vocabulary,
    reference_sets,
    source_pieces,
    source_text,
    targets,
    warn_cut_sources,
    warn_uncounted,
    writable,
)
from nlp_gym.types import BoolArray, Corpus, Float64Array, Int64Array, Observation, Sample, Units

if TYPE_CHECKING:
    from nlp_gym.render import Frame


class WriteText(HookedTask):
    """A kind of task: a text is written for a source, token by token, then STOP.

    A subclass overrides `references` and, where what is read is not the sample's words, `source`::

        class Shout(WriteText):
            family = "tagging"

            def source(self, row):
                return self.sample(row).words[:1]

            def references(self, row):
                return [" ".join(self.source(row)).upper()]

    It reads files of sources with references, unless `family` says otherwise, as here. What can be
    written is a vocabulary learnt from the references of the training split. The score is corpus
    BLEU or another of `metric`; the potential is the same metric of the text so far.

    Args:
        metric: Metric of the score.
        reward_metric: Metric of rewards; None: that of the score.
        tokenize: sacreBLEU's tokenizer.
        smooth_method: How sentence BLEU is smoothed.
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
    trace_view = "writing"
    baselines = ("lead", "copy")
    fixed_arguments = ("vocabulary", "vocabulary_size", "tokens", "max_length", "max_source")
    side_by_side = 128  # what agents keep of a text takes megabytes where its source is long
    hooks = ("source", "references")
    hooked_family = "generation"
    reward_metric: str

    def __init__(
        self,
        *,
        metric: str = "bleu",
        reward_metric: str | None = None,
        tokenize: str = "13a",
        smooth_method: str = "exp",
        vocabulary: str | None = None,
        vocabulary_size: int = 4000,
        tokens: str = "subword",
        max_length: int = 64,
        max_source: int = 64,
        beam: int = 1,
        **kwargs: Any,
    ) -> None:
        check_name("metric", metric, METRICS)
        self.reward_metric = metric if reward_metric is None else reward_metric
        check_name("reward_metric", self.reward_metric, METRICS)
        check_name("tokenize", tokenize, TOKENIZERS)
        self.metric, self.metric_name, self.tokenize = metric, VALUES[metric], tokenize
        self.rouge_tokenizer = "unicode" if tokenize in ("zh", "char") else "rouge"
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
        self._growing = None
        if self.has_gold:
            self._targets, self._sizes = targets(self.vocabulary, samples, self.max_length)
            self._growing = self._growing_metric(smooth_method)

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

    def _growing_metric(self, smooth_method: str) -> IncrementalMetric:
        """The metric of rewards, token by token."""
        samples = self.corpus.samples
        if any(name.startswith("rouge") for name in (self.metric, self.reward_metric)):
            warn_uncounted(samples, self.rouge_tokenizer)
        sets, which = reference_sets(samples)
        return IncrementalMetric(
            sets,
            self.vocabulary.pieces,
            metric=self.reward_metric,
            tokenize=self.tokenize,
            smooth_method=smooth_method,
            rouge_tokenizer=self.rouge_tokenizer,
            max_words=self.max_length,
            which=which,
        )

    @override
    def load(self, split: str) -> Corpus:
        """In training every reference of a sample is written once."""
        corpus = super().load(split)
        return each_reference(corpus) if split == "train" else corpus

    def source(self, row: int) -> Text:
        """What the text is written for; by default the words of the sample."""
        return self.sample(row).words

    def references(self, row: int) -> Sequence[str]:
        """The texts that are right, at least one."""
        found: Sequence[str] = self.sample(row).gold
        return found

    @override
    def hooked_sample(self, row: int) -> Sample:
        sample, source = self.sample(row), self.source(row)
        words = self.hooked_words("source", row, source)
        extra = {"text": source} if isinstance(source, str) else {}
        gold = self._hooked_references(row) if sample.annotated else None
        return Sample(words, None, sample.id, extra, gold)

    def _hooked_references(self, row: int) -> tuple[str, ...]:
        allowed = "a list of strings, at least one, each with a word"
        given = self.hooked_list("references", row, self.references(row), allowed)
        bad = [text for text in given if not writable(text)]
        if bad or not given:
            which = f", in which {shown(bad[0])} is none" if bad else ""
            fault = f"gave {shown(given)}{which}; allowed: {allowed}."
            raise self.hook_error("references", row, fault)
        return tuple(given)

    @property
    @override
    def learnt(self) -> dict[str, Any]:
        return {"vocabulary": self.vocabulary.settings}

    @property
    @override
    def n_actions(self) -> int:
        """Number V of tokens, STOP among them."""
        return len(self.vocabulary.tokens)

    @property
    @override
    def lengths(self) -> Int64Array:
        """(N,) L for every sample."""
        return np.full(len(self.corpus), self.max_length, np.int64)

    @override
    def action_name(self, action: int) -> str:
        """The token, as the tokenizer shows it."""
        return self.vocabulary.tokens[action]

    def token_text(self, token: int) -> str:
        """A token as text; a byte inside a character by its number, STOP as what it is."""
        piece = self.vocabulary.pieces[token]
        if not piece:
            return STOP
        try:
            return piece.decode("utf-8")
        except UnicodeDecodeError:
            return f"<0x{piece[0]:02X}>"

    @override
    def action_text(self, state: WritingState, i: int, action: int) -> str:
        """The token as text, the space before a word included."""
        return self.token_text(action)

    @cached_property
    @override
    def units(self) -> Units:
        """Every word of every source, equal sources once."""
        return Units(list(dict.fromkeys(sample.words for sample in self.corpus.samples)))

    @cached_property
    @override
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
    @override
    def token_view(self) -> SourceTokens:
        """The source as one row of ids."""
        return SourceTokens(self)

    @override
    def source_pieces(self, most: int) -> Int64Array:
        """(U+1, most) tokens that write each word, see `samples.source_pieces`."""
        return source_pieces(self.vocabulary, self.units.texts, most)

    @override
    def initial(self, rows: Int64Array) -> WritingState:
        grown = {} if self._growing is None else self._growing.initial(rows)
        return WritingState(
            **self.state_fields(rows),
            prefix=np.zeros((len(rows), self.max_length), np.int32),
            missing=np.zeros(len(rows), np.int64),
            **WritingState.named(grown),
        )

    @override
    def restored(self, state: WritingState) -> WritingState:
        """The metric's arrays are made anew: they are numbers of this object's own."""
        fresh = self.initial(state.row)
        if self._growing is not None:
            for place in range(int(state.slot.max(initial=0))):
                tokens = state.prefix[:, place].astype(np.int64)
                self._growing.append(fresh.metric, state.row, tokens, state.slot > place)
        return WritingState(**{**vars(state), **WritingState.named(fresh.metric)})

    @override
    def mask_row(self, state: WritingState) -> Int64Array:
        """(B,) which row of `Vocabulary.legal` holds."""
        row = np.where(state.missing > 0, 2, (state.slot > 0).astype(np.int64))
        row[state.slot >= self.max_length] = 3
        return row

    @override
    def mask(self, state: WritingState) -> BoolArray:
        assert self.masks is not None
        legal: BoolArray = self.masks.take(self.mask_row(state), axis=0)
        return legal

    @override
    def repair(self, state: Any, actions: Int64Array) -> tuple[Int64Array, BoolArray]:
        """The first legal token is played for an illegal one; no mask is made."""
        assert self.masks is not None
        row = self.mask_row(state)
        illegal = ~self.masks[row, actions]
        return np.where(illegal, self.masks.argmax(axis=1)[row], actions), illegal

    @override
    def oracle(self, state: WritingState) -> Int64Array:
        """(B,) the first reference's token at this place, if it is legal; else what is."""
        self.require_gold("oracle")
        return self.repair(state, self._wanted(state))[0]

    @override
    def play(self, state: WritingState, actions: Int64Array) -> Played:
        right = None
        if self._growing is not None:
            wanted = self._wanted(state) == actions  # STOP is wanted right after the last token
            right = (wanted & (state.slot <= self._sizes.take(state.row))).astype(np.float64)
            self._growing.append(state.metric, state.row, actions, actions > 0)
        return right, 0.0, self._write(state, actions)

    def _wanted(self, state: WritingState) -> Int64Array:
        place = np.minimum(state.slot, self.max_length - 1)
        wanted: Int64Array = self._targets[state.row, place].astype(np.int64)
        return wanted

    def _write(self, state: WritingState, actions: Int64Array) -> BoolArray:
        """Write (B,) tokens, changing `state` in place; gives (B,) whether the text ended."""
        at = actions.nonzero()[0]
        tokens = actions[at]
        state.prefix[at, state.slot[at]] = tokens
        change = self.vocabulary.missing.take(tokens)
        state.missing[at] = np.where(change < 0, state.missing[at] - 1, change)
        state.slot[at] += 1
        ended: BoolArray = (actions == 0) | (state.slot >= self.max_length)
        return ended

    @override
    def potential(self, state: WritingState) -> Float64Array:
        assert self._growing is not None
        return on_grid(self._growing.value(state.metric, state.row))

    @override
    def extra(self, state: WritingState) -> Observation:
        """The tokens written."""
        return {"prefix": state.prefix.copy()}

    @override
    def outputs(self, state: WritingState) -> list[str]:
        """Each output is the text so far."""
        written = zip(state.prefix.tolist(), state.slot.tolist(), strict=True)
        return [self.vocabulary.decode(tokens[:size]) for tokens, size in written]

    @override
    def corpus_score(
        self, rows: Sequence[int], outputs: Sequence[str], *, bootstrap: int, report: bool
    ) -> Score:
        samples = [self.sample(row) for row in rows]
        return generation_score(
            [sample.gold for sample in samples],
            outputs,
            [" ".join(sample.words) for sample in samples],
            value=self.metric,
            tokenize=self.tokenize,
            rouge_tokenizer=self.rouge_tokenizer,
            bootstrap=bootstrap,
            report=report,
        )

    @override
    def record(self, row: int, output: str) -> dict[str, Any]:
        return {"output": output}

    @override
    def frame(self, state: WritingState, i: int) -> Frame:
        from nlp_gym.render import Frame, Piece

        row, text = int(state.row[i]), self.outputs(state.take(np.array([i])))[0]
        sample = self.sample(row)
        pieces = [Piece(source_text(sample)), Piece(text or "...", "chosen", line=True)]
        for reference in sample.gold or ():
            pieces.append(Piece(" ".join(reference.split()), "dim", "reference", line=True))
        return Frame(self.title(row), f"token {state.slot[i]}/{self.max_length}", pieces)


class Generation(WriteText):
    """Writing a text token by token, as a decision process.

    ## Description
    The agent reads a source (a sentence, an e-mail, a dialogue) and writes a text for it: its
    translation, subject line, reply or continuation. Each action is the next token of a vocabulary
    learnt from the training references, or STOP. The reward can be the evaluation metric itself,
    as in Ranzato et al. (2016).

    ## Data
    Sources with one or more references (in training each of them is a sample's first): Multi30k
    (Elliott et al. 2016; `pair="en-de"`, ...), Tatoeba, AESLC (Zhang and Tetreault 2019),
    DailyDialog++ (Sai et al. 2020), JSONL `{"source": ..., "target": text or list}` or CSV
    `source,target`. Any script: a character that the vocabulary lacks is written in UTF-8 bytes.

    ## Observation Space
    `Dict`, with V = tokens of the vocabulary, L = `max_length`, S = `max_source`, D = width of the
    encoder, T = `max_tokens`:

    | obs_type | key | shape | dtype | values |
    |---|---|---|---|---|
    | all | `prefix` | (L,) | int32 | tokens written so far, then 0 |
    | features, tokens | `action_mask` | (V,) | int8 | 1 where the action is legal now |
    | index | `legal` | (1,) | int32 | which of the four masks holds (`env.task.masks`) |
    | features | `context` | (S*D,) | float32 | words of the source, then zeros |
    | tokens | `input_ids`, `attention_mask` | (1, T) | int32, int8 | sub-words of the source |
    | index | `row`, `position` | (1,) | int32 | sample; tokens written |

    ## Action Space
    `Discrete(V)`: 0 is STOP, the others are tokens: the 256 bytes, characters, then merges.

    ## Action Mask
    First a token that begins a word. Then any token, or STOP; inside a character that is written in
    bytes only its further bytes.

    ## Rewards
    - `metric` (default of the ids): change of the text's `reward_metric`, which is from 0 to 1.
    - `sparse`: that metric, at the end.
    - `correctness`: 1 for the token that the first reference has at this place, STOP after it.

    ## Starting State
    A source, nothing written.

    ## Episode End
    After STOP or `max_length` tokens.

    ## Metric
    Corpus BLEU (`bleu`; package sacreBLEU, whose signature the score has), as a share of 1; with it
    GLEU, chrF, ROUGE-1, 2 and L, the length ratio, and the shares of what is repeated and copied.
    The sentence metrics of rewards are sacreBLEU's BLEU (`smooth_method`, effective order) and
    chrF, NLTK's GLEU (Wu et al. 2016) and rouge-score's ROUGE.

    ## Information
    `info["score"]` at the end: the text's `reward_metric`, whatever the reward. For the rest see
    `Task`.

    ## Arguments
    Those of `Task`, and:

    | name | default | meaning |
    |---|---|---|
    | `pair` | None | languages of a parallel corpus, such as `"en-de"` |
    | `metric` | bleu | of the score: `bleu`, `gleu`, `chrf`, `rouge1`, `rouge2`, `rougeL` |
    | `reward_metric` | None | of rewards, another one of these; None: `metric`, which chooses |
    | | | the best checkpoint in any case |
    | `tokenize` | 13a | words of BLEU and GLEU: sacreBLEU's `13a`, `intl`, `zh`, `char`, `none` |
    | | | (with `zh` and `char` ROUGE counts words of any script, else English stems) |
    | `smooth_method` | exp | of sentence BLEU: sacreBLEU's `exp`, `floor`, `add-k`, `none` |
    | `tokens` | subword | `character`: no token has more than one character |
    | `vocabulary_size` | 4000 | most tokens V; those of all characters are kept |
    | `vocabulary` | None | settings of a vocabulary that was learnt |
    | `max_length` | 64 | most decisions L |
    | `max_source` | 64 | words S of a source that are seen |
    | `beam` | 1 | texts that a search in evaluation keeps; 1: greedy |

    ## Registered Ids
    `Translation-Multi30k-v0`, `Translation-Tatoeba-v0`, `Translation-v0`, `Summary-AESLC-v0`,
    `DialogueGeneration-v0`, `Generation-v0`

    ## Version History
    * v0: initial version.
    """

    def __init__(self, *, pair: str | None = None, **kwargs: Any) -> None:
        self._pair = pair
        super().__init__(**kwargs)
