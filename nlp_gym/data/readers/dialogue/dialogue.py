"""Formats of the family "dialogue": contexts with candidate replies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nlp_gym.data.readers.dialogue.reply_pool import ReplyPool
from nlp_gym.data.readers.shared.base import Parsed, Reader
from nlp_gym.data.readers.shared.decoding import Problem
from nlp_gym.data.readers.shared.json_tools import (
    RowError,
    checked_int,
    checked_list,
    checked_string,
    checked_strings,
    field,
    json_samples,
    text_words,
    with_id,
)
from nlp_gym.data.readers.shared.options import Options
from nlp_gym.data.text.hash_order import hash_ranker
from nlp_gym.types import Sample

Words = tuple[str, ...]

NEGATIVES = {
    "adversarial": "adversarial_negative_responses",
    "random": "random_negative_responses",
}


def parse_jsonl(lines: list[str], name: str, options: Options) -> Parsed:
    """Read one context per line, with its candidate replies.

    A row is either ``{"context": ["turn", ...], "candidates": ["reply", ...], "answer": 2}``, whose
    answer is an index from 0, a list of indices or a reply's text (`options.column` names another
    key), or ``{"context": [...], "positive_responses": [...], "negative_responses": [...]}``.
    """

    def build(row: dict[str, Any], number: int) -> Sample:
        texts: dict[Words, str] = {}
        context = _turns(field(row, "context"), texts)
        if "candidates" in row:
            replies = _replies(row, "candidates", texts, least=2)
            (key,) = options.label_names(("answer",))
            gold = _answer(field(row, key), key, replies) if options.gold else None
        else:
            right = _replies(row, "positive_responses", texts)
            replies = [*right, *_replies(row, "negative_responses", texts)]
            replies = sorted(dict.fromkeys(replies), key=hash_ranker(0, *context))
            good = set(right)
            gold = tuple(i for i, r in enumerate(replies) if r in good) if options.gold else None
        return _require_choice(_sample(context, replies, gold, f"{name}:{number}", texts))

    return json_samples(lines, Parsed(), build)


def parse_dailydialog(lines: list[str], name: str, options: Options) -> Parsed:
    """Read DailyDialog++ (Sai et al. 2020): contexts with right and two kinds of wrong replies.

    One right (positive) reply per context is used: the one whose hash with the context is least. If
    a row has wrong (negative) replies, these are its other candidates. `extra["sets"]` then lists
    the candidates of the sets ``"adversarial"`` (all adversarial replies), ``"random"`` (all random
    replies) and ``"both"`` (with one random reply less, so that there are 1 + 5 + 4).

    A row without wrong replies gets `DRAWN` right replies of other contexts in the file (see
    `ReplyPool`), but none that is right here. Nothing depends on the order of rows.
    """
    bare: dict[int, tuple[tuple[Words, ...], str, dict[Words, str]]] = {}  # without wrong replies
    own: dict[tuple[Words, ...], set[str]] = {}  # right replies of each context
    words: dict[str, Words] = {}

    def build(row: dict[str, Any], number: int) -> Sample:
        texts: dict[Words, str] = {}
        context = _turns(field(row, "context"), texts)
        key = "positive_responses"
        fitting = checked_strings(field(row, key), key, least=1)
        rank = hash_ranker(1, *context)
        right = min(fitting, key=lambda text: rank((text,)))
        words[right] = _cut(right, key, texts)
        own.setdefault(context, set()).update(fitting)
        wrong = {k: _replies(row, key, texts) for k, key in NEGATIVES.items() if row.get(key)}
        if not wrong:
            bare[number] = context, right, texts
        sample = _hash_ordered(context, words[right], wrong, f"{name}:{number}", texts)
        return _require_choice(sample) if wrong else sample

    parsed = json_samples(lines, Parsed(), build)
    pool = ReplyPool({text: words[text] for _, text, _ in bare.values()})
    samples = parsed.samples
    parsed.samples = []
    for sample in samples:
        number = int(sample.id.rpartition(":")[2])
        if number in bare:
            context, right, texts = bare[number]
            drawn = {words[text]: text for text in pool.draw(context, own[context])}
            if not drawn:
                message = "no negative replies here, and no other dialogue to draw them from"
                parsed.problems.append(Problem(number, message))
                continue
            identity, random = sample.extra.get("id"), {"random": list(drawn)}
            arranged = _hash_ordered(context, words[right], random, sample.id, drawn | texts)
            sample = with_id(arranged, identity)
        parsed.samples.append(sample if options.gold else sample.unannotated())
    return parsed


def _hash_ordered(
    context: tuple[Words, ...],
    right: Words,
    wrong: Mapping[str, list[Words]],
    where: str,
    texts: Mapping[Words, str],
) -> Sample:
    """Make a sample whose candidates are ordered by hash, so that their order says nothing."""
    wrong = {kind: [r for r in replies if r != right] for kind, replies in wrong.items()}
    listed = dict.fromkeys([right, *(reply for replies in wrong.values() for reply in replies)])
    replies = sorted(listed, key=hash_ranker(0, *context))
    index = {reply: i for i, reply in enumerate(replies)}
    sets = {kind: [right, *some] for kind, some in wrong.items() if some}
    if len(sets) == 2:
        sets["both"] = [right, *wrong["adversarial"], *wrong["random"][:-1]]
    numbered = {kind: tuple(sorted({index[r] for r in some})) for kind, some in sets.items()}
    return _sample(context, replies, (index[right],), where, texts, numbered)


def _require_choice(sample: Sample) -> Sample:
    """The sample, unless it has fewer than two candidates."""
    if len(sample.extra["candidates"]) < 2:
        raise RowError("there is one candidate reply, at least 2 different ones are needed")
    return sample


def _turns(value: Any, texts: dict[Words, str]) -> tuple[Words, ...]:
    if isinstance(value, str):
        return (_cut(value, "context", texts),)
    turns = checked_list(value, "context", least=1)
    return tuple(_cut(turn, f"context[{i}]", texts) for i, turn in enumerate(turns))


def _replies(
    row: dict[str, Any], key: str, texts: dict[Words, str], *, least: int = 1
) -> list[Words]:
    """Words of the replies under a key; `texts` gets their texts."""
    listed = enumerate(checked_list(field(row, key), key, least=least))
    return [_cut(reply, f"{key}[{i}]", texts) for i, reply in listed]


def _cut(value: Any, key: str, texts: dict[Words, str]) -> Words:
    """Words of a text, which is stored in `texts` by its words."""
    words, text, _ = text_words(value, key)
    texts.setdefault(words, text)
    return words


def _answer(value: Any, key: str, replies: list[Words]) -> tuple[int, ...]:
    if isinstance(value, str):
        wanted = text_words(checked_string(value, key), key)[0]
        found = tuple(i for i, reply in enumerate(replies) if reply == wanted)
        if not found:
            raise RowError(f"{key!r} is {value[:80]!r}, which is none of the candidates")
        return found
    listed = checked_list(value, key, least=1) if isinstance(value, list) else [value]
    return tuple(sorted({checked_int(i, key, high=len(replies) - 1) for i in listed}))


def _sample(
    context: tuple[Words, ...],
    replies: Sequence[Words],
    gold: tuple[int, ...] | None,
    where: str,
    texts: Mapping[Words, str],
    sets: Mapping[str, tuple[int, ...]] | None = None,
) -> Sample:
    words = tuple(word for turn in context for word in turn)
    extra = {
        "context": context,
        "context_texts": tuple(texts[turn] for turn in context),
        "candidates": tuple(replies),
        "candidate_texts": tuple(texts[reply] for reply in replies),
        "sets": dict(sets or {}),
    }
    return Sample(words, None, where, extra, gold)


def _is_dailydialog(lines: list[str]) -> bool:
    return bool(lines) and '"positive_responses"' in lines[0] and '"negative_resp' not in lines[0]


FORMATS: tuple[Reader, ...] = (
    Reader(
        "jsonl",
        (".jsonl", ".ndjson"),
        parse_jsonl,
        'one context per line: {"context", "candidates", "answer"} or positive/negative_responses',
    ),
    Reader(
        "dailydialog",
        (".json", ".jsonl"),
        parse_dailydialog,
        "DailyDialog++: context, positive, adversarial and random negative responses",
        _is_dailydialog,
    ),
)
