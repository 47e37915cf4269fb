"""Classification by reading a text chunk by chunk and committing to a label."""

from __future__ import annotations

from typing import Any

from nlp_gym.checks import check_text
from nlp_gym.tasks.labels.label_text import LabelText


class Classification(LabelText):
    """Classification as a decision process.

    ## Description
    The agent reads a text chunk by chunk and may commit to a label at any time; to read on costs a
    little (Dulac-Arnold et al. 2011). With `reading=False` it decides once, on the whole text. With
    `skips` and `jump` it can pass over chunks (Yu et al. 2017), and `read_cost="dial"` draws what
    reading costs with each episode: one agent learns the whole trade.

    ## Data
    Texts with one label: SST-2, AG News, TREC (`column="fine"`: 50 labels), CLINC150, BANKING77,
    SNIPS; your CSV, TSV (columns `text`, `label`), JSON Lines (`{"text", "label"}`). Gold labels
    that the inventory lacks are counted as missed.

    ## Observation Space
    `Dict`, with A actions, D = width of the encoder, L = `max_tokens`, G settings of the dial:

    | obs_type | key | shape | dtype | values |
    |---|---|---|---|---|
    | all | `action_mask` | (A,) | int8 | 1 where the action is legal now |
    | features | `chunks` | (8,) | float32 | number of the chunk read last, from 0, one-hot |
    | features | `left` | (8,) | float32 | chunks behind it, one-hot; with moves or a dial |
    | features | `cost` | (G-1,) | float32 | 1 up to the dial's setting; with a dial |
    | features | `context` | (D,) | float32 | mean vector of the words read so far |
    | tokens | `input_ids`, `attention_mask` | (1, L) | int32, int8 | sub-words read so far |
    | tokens, index | `chunks`, `left` | (1,) | int32 | the same numbers |
    | tokens, index | `cost` | (G-1,) | int8 | the same |
    | index | `row`, `position` | (1,) | int32 | text, and which of its chunks were read |

    What was read is encoded as a text of its own: vectors of the whole text would tell of words not
    read yet. Where chunks can be passed over, a text of n chunks has 2**(n-1) such texts (n is at
    most 8), so a frozen encoder then sees each chunk alone, and `context` is the mean over the
    words of those that were read: a text is encoded once, however it is read (`pieces="mean"`;
    `"joint"` encodes them all). With `reading=False` there is no `chunks`.

    ## Action Space
    `Discrete(A)`: the labels, numbered as `task.labels`, then (not with `reading=False`) READ, then
    SKIP n for each n of `skips`, then JUMP with `jump=True`. READ reads the next chunk, SKIP n the
    one behind the next n, JUMP the last one: conclusions come last, and to jump behind it would be
    to commit on what is known. What is passed over is never seen, and is not paid for.

    ## Action Mask
    READ is not legal at the end of the text; SKIP n and JUMP need a chunk behind those that are
    passed over (JUMP: at least one).

    ## Rewards
    1 for the gold label, else 0, with each `reward`; reading a chunk costs `read_cost`, or, with
    `cost_per="text"`, its share of the words of the text times `read_cost`. The first chunk is
    free. The expert reads to the end before it commits: one that did not could not be learned from
    the words it has seen.

    ## Starting State
    The first chunk of a text. With a dial a price is drawn with the sample; `reset(options=
    {"read_cost": 1/8})` asks for one, and `task.at_cost(1/8)` is the task with the dial held there.
    Where samples are played in order, without a draw, that of a text is its number modulo G;
    predictions on texts of your own are at the lowest price.

    ## Episode End
    With a label. A text has at most 8 chunks; the last is all the rest.

    ## Metric
    Accuracy. The report has macro F1 (over labels in gold or prediction), the share of all words
    that was read, the table of up to 60 labels; where `out_of_scope` occurs, its recall.

    ## Information
    `info["score"]` at the end: 1 for the gold label, else 0. For the rest see `Task`.

    ## Arguments
    Those of `Task`; `reading` (True), `chunk` (words; by id, else 8), `read_cost` (1/64; `"dial"`:
    0, 1/64, 1/32, 1/16, 1/8, 1/4 and 1/2 of a text; or a list of 2 to 32 ascending prices),
    `cost_per` (`"chunk"`; `"text"` with a dial), `skips` (()), `jump` (False), `pieces`
    (`"joint"`; `"mean"` with moves), `holdout` (0: episodes are drawn from all training texts; else
    from this share, and `bc` with `exits` learns from the others), `out_of_scope` (`"oos"`): the
    label of texts in no class.

    ## Registered Ids
    `Sentiment-SST2-v0`, `Topic-AGNews-v0`, `Question-TREC-v0`, `Intent-CLINC-v0` and
    `Classification-v0`

    ## Version History
    * v0: initial version; `skips`, `jump`, `pieces`, `cost_per` and the dial are off by default.
    """

    def __init__(
        self, *, reading: bool = True, out_of_scope: str | None = "oos", **kwargs: Any
    ) -> None:
        if out_of_scope is not None:
            self.out_of_scope = check_text("out_of_scope", out_of_scope)
        super().__init__(reading=reading, **kwargs)
