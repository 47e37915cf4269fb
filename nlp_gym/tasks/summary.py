"""Extractive summaries: pick sentences of a document, then stop."""

from __future__ import annotations

from typing import Any

import numpy as np

from nlp_gym.metrics.base import on_grid
from nlp_gym.metrics.overlap import TOKENIZERS, make_tokenizer
from nlp_gym.tasks import documents, summary_gold
from nlp_gym.tasks.base import Played
from nlp_gym.tasks.checks import check_int, check_name
from nlp_gym.tasks.documents import SummaryState
from nlp_gym.tasks.views import Extra
from nlp_gym.types import Float64Array, Int64Array, Observation


class Summary(documents.DocumentTask):
    """Extractive summary as a decision process.

    ## Description
    The agent picks sentences of a document, which in the document's order are the summary, and
    says STOP. The reward is ROUGE itself, as in Narayan et al. (2018).

    ## Data
    Documents with reference summaries: SciTLDR (Cachola et al. 2020; abstracts), JSONL
    `{"document": text or sentences, "summary": text or references}` or CSV `document,summary`. Only
    the first C = `max_sentences` sentences can be picked (a warning counts longer documents).

    ## Observation Space
    `Dict`, with D = width of the encoder, P = `max_picks`, L = `max_tokens`:

    | obs_type | key | shape | dtype | values |
    |---|---|---|---|---|
    | all | `action_mask` | (C+1,) | int8 | 1 where the action is legal now |
    | all | `chosen` | (C,) | | sentence was picked, 0 or 1 |
    | all | `first`, `last`, `early` | (C,) | | place of a sentence: first, last, in first third |
    | features | `count` | (max(P, 2)+1,) | float32 | sentences picked, one-hot |
    | features | `context` | (D,) | float32 | the document, mean of its words |
    | features | `candidates` | (C, D) | float32 | the sentences, as they stand in the document |
    | tokens | `input_ids`, `attention_mask` | (1, L) | int32, int8 | sub-words of the same |
    | tokens | `candidate_ids`, `candidate_mask` | (C, L) | int32, int8 | sub-words of the same |
    | tokens, index | `count` | (1,) | int32 | sentences picked |
    | index | `row`, `position` | (1,) | int32 | document; 0 |

    Binary keys: float32 in `features`, else int8. Zero beyond the last sentence.

    ## Action Space
    `Discrete(C+1)`: the sentence to pick, or C, STOP.

    ## Action Mask
    Sentences that are there and not picked yet; STOP after one pick.

    ## Rewards
    - `metric` (default of the ids): change of the summary's ROUGE-1 F1 (best reference).
    - `sparse`: the ROUGE-1 F1, at the end.
    - `correctness`: 1 for a sentence of the greedy summary, or STOP when it is complete; else 0.

    ## Starting State
    A document, nothing picked.

    ## Episode End
    After STOP or `max_picks` picks, or when no sentence is left.

    ## Metric
    ROUGE-1 F1 (`rouge_1`; package rouge-score, stemming), mean over documents; of several
    references the best by ROUGE-1 counts. The report has ROUGE-1, 2 and L, and beside them those of
    the first sentence, the first three and the greedy summary (always the sentence that raises
    ROUGE-1 most, while one does), which is the oracle and not quite the optimum.

    ## Information
    `info["score"]` at the end: the ROUGE-1 F1. For the rest see `Task`.

    ## Arguments
    Those of `Task`; `max_sentences` (40), C; `max_picks` (3), the most sentences of a summary;
    `tokenizer` (`"rouge"`): `"unicode"` is ROUGE over words of any script, without stemming.

    ## Registered Ids
    `Summary-SciTLDR-v0`, `Summary-v0`

    ## Version History
    * v0: initial version.
    """

    exact_oracle = False
    stop = True

    def __init__(
        self, *, max_sentences: int = 40, max_picks: int = 3, tokenizer: str = "rouge", **kw: Any
    ) -> None:
        c = check_int("max_sentences", max_sentences, 1, 512)
        p = check_int("max_picks", max_picks, 1, c)
        check_name("tokenizer", tokenizer, TOKENIZERS)
        self.tokenizer = tokenizer
        super().__init__(**kw)
        sizes = documents.check_documents(self.corpus.samples, c)
        self.set_candidates(np.minimum(sizes, c), c, p)
        self._flags = documents.place_flags(sizes, c)
        marks = {key: Extra(c, 1) for key in ("chosen", *documents.PLACES)}
        self.extras = {**marks, "count": Extra(1, max(p, 2))}
        if self.has_gold:
            cut = make_tokenizer(tokenizer)
            self._overlap = summary_gold.sentence_overlap(self.corpus.samples, self._sizes, cut)
            self._expert = summary_gold.Expert(self._overlap.greedy(self._sizes, p), c)

    def extra(self, state: SummaryState) -> Observation:
        """Sentences picked, places of sentences, and how many are picked."""
        places = zip(documents.PLACES, self._flags.take(state.row, axis=1), strict=True)
        count = state.count.astype(np.int32)[:, None]
        return {"chosen": state.chosen.astype(np.int32), "count": count, **dict(places)}

    def play(self, state: SummaryState, actions: Int64Array) -> Played:
        """See `Task.play`."""
        picks = actions != self.n_candidates
        right = None
        if self.has_gold:
            right = np.zeros(len(actions))  # other rewards do not look at it
            if self.reward == "correctness":
                right[self._expert.right(state.row, state.chosen, actions)] = 1.0
            at = np.flatnonzero(picks)
            sentence = self._overlap.starts.take(state.row[at]) + actions[at]
            state.tokens[at] += self._overlap.counts.take(sentence, axis=0)
        return right, 0.0, self.pick(state, actions, picks) | ~picks

    def potential(self, state: SummaryState) -> Float64Array:
        """See `Task.potential`."""
        return on_grid(self._overlap.f1(state.row, state.tokens))

    def oracle(self, state: SummaryState) -> Int64Array:
        """(B,) the next sentence of the greedy summary, else STOP."""
        self.require_gold("oracle")
        return self._expert.action(state.row, state.chosen)
