"""Translations, written summaries, replies: free text rewarded by its likeness to references."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nlp_gym.checks import check_name
from nlp_gym.data.text.vocabulary import normalise_spaces
from nlp_gym.metrics.base import Score, on_grid
from nlp_gym.metrics.incremental.metric import METRICS, IncrementalMetric
from nlp_gym.metrics.text.bleu import TOKENIZERS
from nlp_gym.metrics.text.corpus import VALUES, generation_score
from nlp_gym.tasks.core.kinds import HookedTask, Text, words_of
from nlp_gym.tasks.core.task import Played
from nlp_gym.tasks.generation.samples import WritingState, warn_uncounted
from nlp_gym.tasks.generation.writing import Writing
from nlp_gym.types import Float64Array, Int64Array, Sample


class WriteText(Writing, HookedTask):
    """A kind of task: a text is written for a source, token by token, then STOP.

    A subclass overrides `source` and `references`. The score is corpus BLEU or another of
    `metric`; the potential is the same metric of the text so far.

    Args:
        metric: Metric of the score.
        reward_metric: Metric of rewards; None: that of the score.
        tokenize: sacreBLEU's tokenizer.
        smooth_method: How sentence BLEU is smoothed.
        **kwargs: Those of `Writing`.
    """

    hooks = ("source", "references")

    def __init__(
        self,
        *,
        metric: str = "bleu",
        reward_metric: str | None = None,
        tokenize: str = "13a",
        smooth_method: str = "exp",
        **kwargs: Any,
    ) -> None:
        check_name("metric", metric, METRICS)
        self.reward_metric = metric if reward_metric is None else reward_metric
        check_name("reward_metric", self.reward_metric, METRICS)
        check_name("tokenize", tokenize, TOKENIZERS)
        self.metric, self.metric_name, self.tokenize = metric, VALUES[metric], tokenize
        self.rouge_tokenizer = "unicode" if tokenize in ("zh", "char") else "rouge"
        super().__init__(**kwargs)
        self._growing = None
        if self.has_gold:
            if any(name.startswith("rouge") for name in (metric, self.reward_metric)):
                warn_uncounted(self.corpus.samples, self.rouge_tokenizer)
            self._growing = IncrementalMetric(
                [
                    [normalise_spaces(text) for text in sample.gold]
                    for sample in self.corpus.samples
                ],
                self.vocabulary.pieces,
                metric=self.reward_metric,
                tokenize=tokenize,
                smooth_method=smooth_method,
                rouge_tokenizer=self.rouge_tokenizer,
                max_words=self.max_length,
            )

    def source(self, row: int) -> Text:
        """What the text is written for."""
        return self.sample(row).words

    def references(self, row: int) -> Sequence[str]:
        """The texts that are right, at least one."""
        found: Sequence[str] = self.sample(row).gold
        return found

    def hooked_sample(self, row: int) -> Sample:
        """The source and its references."""
        sample, source = self.sample(row), self.source(row)
        extra = {"text": source} if isinstance(source, str) else {}
        gold = tuple(self.references(row)) if sample.annotated else None
        return Sample(words_of(source), None, sample.id, extra, gold)

    def initial(self, rows: Int64Array) -> WritingState:
        """See `Task.initial`."""
        grown = {} if self._growing is None else self._growing.initial(rows)
        return WritingState(**self.blank(rows), **WritingState.named(grown))

    def restored(self, state: WritingState) -> WritingState:
        """See `Task.restored`: the metric's arrays are numbers of this object's own."""
        fresh = self.initial(state.row)
        if self._growing is not None:
            for place in range(int(state.slot.max(initial=0))):
                tokens = state.prefix[:, place].astype(np.int64)
                self._growing.append(fresh.metric, state.row, tokens, state.slot > place)
        return WritingState(**{**vars(state), **WritingState.named(fresh.metric)})

    def play(self, state: WritingState, actions: Int64Array) -> Played:
        """See `Task.play`."""
        right = None
        if self._growing is not None:
            right = self._right(state, actions)
            self._growing.append(state.metric, state.row, actions, actions > 0)
        return right, 0.0, self.write(state, actions)

    def potential(self, state: WritingState) -> Float64Array:
        """See `Task.potential`."""
        assert self._growing is not None
        return on_grid(self._growing.value(state.metric, state.row))

    def oracle(self, state: WritingState) -> Int64Array:
        """(B,) the first reference's token at this place, if it is legal; else what is."""
        self.require_gold("oracle")
        return self.repair(state, self._wanted(state))[0]

    def _right(self, state: WritingState, actions: Int64Array) -> Float64Array:
        """(B,) 1 for the reference's token at its place, and for STOP right after the last."""
        right = (self._wanted(state) == actions) & (state.slot <= self._sizes.take(state.row))
        credit: Float64Array = right.astype(np.float64)
        return credit

    def _wanted(self, state: WritingState) -> Int64Array:
        place = np.minimum(state.slot, self.max_length - 1)
        wanted: Int64Array = self._targets[state.row, place].astype(np.int64)
        return wanted

    def corpus_score(
        self, rows: Sequence[int], outputs: Sequence[str], *, bootstrap: int, report: bool
    ) -> Score:
        """See `Task.corpus_score`."""
        samples = [self.sample(row) for row in rows]
        return generation_score(
            [[normalise_spaces(text) for text in sample.gold] for sample in samples],
            outputs,
            [" ".join(sample.words) for sample in samples],
            value=self.metric,
            tokenize=self.tokenize,
            rouge_tokenizer=self.rouge_tokenizer,
            bootstrap=bootstrap,
            report=report,
        )


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
