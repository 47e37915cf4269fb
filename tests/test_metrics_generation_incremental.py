"""Metrics after every token of a text against sacreBLEU and rouge-score on the same texts."""

from __future__ import annotations

import random

import numpy as np
import pytest
from nltk.translate.gleu_score import sentence_gleu
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import BLEU, CHRF

from nlp_gym.metrics.incremental import tokenizer
from nlp_gym.metrics.incremental.metric import METRICS, IncrementalMetric
from nlp_gym.metrics.text.rouge import make_tokenizer

# What is hard: parts of characters and of what a tokenizer replaces, hyphens at line ends, white
# space of many kinds, punctuation beside digits, scripts without spaces, bytes that are no UTF-8.
PIECES = [
    *(b"", b" ", b"\n", b"-", b"-\n", b".", b",", b"5", b"1", b"!", b"(", b"&", b"&qu", b"ot;"),
    *(b"<skip", b"ped>", b" <skipped>", b"\t", b"+", b"'", b"&am", b"p;", b"...", b"$", b"%"),
    *(b" Haus", b"Ha", b"us", b" M", b"ann", b" der", b" Hund", b"hund", b" the", b" dog", b"s"),
    *(b" running", b"run", b"ning", b"a", b"\xc3", b"\xbc", b"\xff", b"\xe4", b"\xb8", b"\xad"),
    *(b"\xe3\x80", b"\x80", b"n't", b"Mr", b" e-mail", b"U.S", b"@x.de", b"\r\n", b"\xc2\xa0"),
    *(b"\x1c", b"\xe2\x80\x8b", b"foo bar baz", b" (", b" .5", b"\x07", b"\x1b", b"\xc2\x93"),
    *(b"\xc2\x85", b"\xe2\x80\xa8", b"\xef\xbb\xbf", b" \xe2\x96\x81", b"\r", b"\x7f"),
    *(
        text.encode()
        for text in (" für", "ü", "中", "天气", "。", "，", "\u3000", " 中", "Σ", "😀")
    ),
]
CASES = [
    *(("bleu", tokenize, "exp") for tokenize in ("13a", "intl", "zh", "char", "none")),
    *(("bleu", "13a", smooth) for smooth in ("floor", "add-k", "none")),
    *(("gleu", tokenize, "exp") for tokenize in ("13a", "zh")),
    *((metric, "rouge", "exp") for metric in ("chrf", "rouge1", "rouge2", "rougeL")),
    *((metric, "unicode", "exp") for metric in ("rouge1", "rouge2", "rougeL")),
]


def make_references(rng, n, longest=9, pieces=PIECES):
    """Texts made of the pieces, one to three a row, and the pieces of the first of each."""
    rows, made = [], []
    while len(rows) < n:
        tokens = [
            rng.choices(range(len(pieces)), k=rng.randint(1, longest))
            for _ in range(rng.choice([1, 1, 2, 3]))
        ]
        texts = [b"".join(pieces[t] for t in some).decode("utf-8", "replace") for some in tokens]
        plain = [text.strip() for text in texts]
        if all(plain):
            rows.append(plain)
            made.append(tokens[0])
    return rows, made


def library(metric, tokenize, smooth):
    """The same metric of one text by the library that defines it."""
    if metric == "bleu":
        bleu = BLEU(tokenize=tokenize, smooth_method=smooth, effective_order=True)
        return lambda text, golds: bleu.sentence_score(text, golds).score / 100
    if metric == "gleu":
        cut = BLEU(tokenize=tokenize, force=True).tokenizer
        return lambda text, golds: sentence_gleu(
            [cut(gold).split() for gold in golds], cut(text).split()
        )
    if metric == "chrf":
        return lambda text, golds: CHRF().sentence_score(text, golds).score / 100
    scorer = RougeScorer([metric], tokenizer=make_tokenizer(tokenize))
    return lambda text, golds: max(scorer.score(gold, text)[metric].fmeasure for gold in golds)


def build(references, pieces, metric, tokenize, smooth, max_words):
    option = "rouge_tokenizer" if metric.startswith("rouge") else "tokenize"
    options = {} if metric == "chrf" else {option: tokenize}
    return IncrementalMetric(
        references, pieces, metric=metric, smooth_method=smooth, max_words=max_words, **options
    )


def follow(rng, metric, one, references, made, pieces, steps, width):
    """Write `width` texts in step, half like references; assert all values; return the highest."""
    rows = np.array([rng.randrange(len(references)) for _ in range(width)])
    state, texts, best = metric.initial(rows), [b""] * width, 0.0
    assert not metric.value(state, rows).any()
    for step in range(steps):
        tokens = np.array(
            [
                rng.choice([rng.randrange(len(pieces)), *made[row][step : step + 1] * 3])
                for row in rows
            ]
        )
        where = np.array([rng.random() < 0.9 for _ in range(width)])
        metric.append(state, rows, tokens, where)
        for i in np.flatnonzero(where).tolist():
            texts[i] += pieces[tokens[i]]
        for text, row, value in zip(texts, rows, metric.value(state, rows), strict=True):
            plain = text.decode("utf-8", "replace").strip()
            expected = one(plain, references[row]) if plain else 0.0
            assert value == pytest.approx(expected, abs=1e-9), (text, references[row])
            best = max(best, value)
    return best


@pytest.mark.parametrize(("metric", "tokenize", "smooth"), CASES)
def test_equals_the_library_after_every_token(metric, tokenize, smooth):
    rng = random.Random(f"{metric}{tokenize}{smooth}")
    best = 0.0
    for _ in range(3):
        references, made = make_references(rng, 10)
        ours = build(references, PIECES, metric, tokenize, smooth, 14)
        one = library(metric, tokenize, smooth)
        best = max(best, follow(rng, ours, one, references, made, PIECES, 14, 24))
    assert best > 0.3  # the texts were not all wrong: what was compared is more than zeros


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("metric", "tokenize", "smooth"), CASES)
def test_equals_the_library_after_every_token_of_many_texts(metric, tokenize, smooth, seed):
    rng = random.Random(seed)
    pieces = rng.sample(PIECES, rng.randint(5, 25))  # few: the same things meet more often
    references, made = make_references(rng, 10, 14, pieces)
    ours = build(references, pieces, metric, tokenize, smooth, 25)
    one = library(metric, tokenize, smooth)
    follow(rng, ours, one, references, made, pieces, 25, 30)


@pytest.mark.parametrize(("metric", "tokenize", "smooth"), CASES)
def test_tables_that_are_full_are_dropped_and_nothing_changes(
    metric, tokenize, smooth, monkeypatch
):
    rng = random.Random(5)
    references, made = make_references(rng, 6)
    monkeypatch.setattr(tokenizer, "MAX_STEPS", 15)
    ours = build(references, PIECES, metric, tokenize, smooth, 12)
    one = library(metric, tokenize, smooth)
    follow(rng, ours, one, references, made, PIECES, 12, 10)
    assert ours._tokenizer._base > 0  # tables were dropped at all


def test_memory_stays_bounded_when_nothing_ever_ends(monkeypatch):
    """Digits and commas without white space: each text is one chunk that never was before."""
    monkeypatch.setattr(tokenizer, "MAX_STEPS", 2000)
    monkeypatch.setattr(tokenizer, "MAX_BYTES", 50_000)
    pieces = [b"1", b"2", b",3", b"4,5"]
    rows, steps = np.zeros(64, np.int64), 60
    ours = IncrementalMetric([["1,2 3"]], pieces, max_words=steps)
    rng = np.random.default_rng(0)
    for _ in range(3):
        state = ours.initial(rows)
        for _ in range(steps):
            ours.append(state, rows, rng.integers(0, 4, 64))
            assert len(ours._tokenizer._memo) <= 2000 + 64
            assert ours._tokenizer._bytes <= 50_000 + 64 * 2 * 3 * steps
    token = state["tokens"][0]
    text = b"".join(pieces[t] for t in token).decode()
    expected = BLEU(effective_order=True).sentence_score(text, ["1,2 3"]).score / 100
    assert ours.value(state, rows)[0] == pytest.approx(expected, abs=1e-9)


def test_words_that_can_match_nothing_are_one_and_the_same():
    """Random letters: tables hold what begins a word of the references, and one more."""
    pieces = [b"a", b"b", b"c", b"d", b" e"]
    ours = IncrementalMetric([["abc dab"]], pieces, max_words=40)
    rows, rng = np.zeros(50, np.int64), np.random.default_rng(0)
    state = ours.initial(rows)
    for _ in range(40):
        ours.append(state, rows, rng.integers(0, len(pieces), 50))
    # a, ab, abc, d, da, dab; the blank text, and the run of letters for all others
    assert len(ours._tokenizer._chunks) <= 8


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("text", "tokenize", "rouge"),
    [
        ("Two dogs run over the wet grass, quickly.", "13a", "rouge"),
        ("Größere Männer mit 3,5 Äpfeln; schön!", "13a", "unicode"),
        ("今天天气很好，我们去公园散步吧。", "zh", "unicode"),
    ],
)
def test_text_equal_to_the_reference_scores_exactly_one(metric, text, tokenize, rouge):
    pieces = [char.encode() for char in dict.fromkeys(text)]
    tokens = [pieces.index(char.encode()) for char in text]
    rows = np.zeros(1, np.int64)
    ours = IncrementalMetric(
        [[text, "other"]],
        pieces,
        metric=metric,
        tokenize=tokenize,
        rouge_tokenizer=rouge,
        max_words=len(text),
    )
    state = ours.initial(rows)
    values = []
    for token in tokens:
        ours.append(state, rows, np.array([token]))
        values.append(ours.value(state, rows)[0])
    assert values[-1] == 1.0
    assert min(values) < 0.5


def test_rows_of_a_state_can_be_copied_and_set():
    """Beam search copies hypotheses, an environment starts single ones anew."""
    references = [["the dog runs home now"], ["a man and a dog"]]
    pieces = [b" the", b" dog", b" runs", b" a", b" man", b"s"]
    ours = IncrementalMetric(references, pieces, max_words=8)
    rows = np.array([0, 1])
    state = ours.initial(rows)
    for tokens in ([0, 3], [1, 4]):
        ours.append(state, rows, np.array(tokens))
    before = ours.value(state, rows)
    twice = {name: array[[1, 0, 1]] for name, array in state.items()}
    more = rows[[1, 0, 1]]
    np.testing.assert_array_equal(ours.value(twice, more), before[[1, 0, 1]])
    fresh = ours.initial(more)
    for name, array in twice.items():
        array[0] = fresh[name][0]
    ours.append(twice, more, np.array([3, 2, 5]))
    expected = [("a", 1), ("the dog runs", 0), ("a mans", 1)]
    bleu = BLEU(effective_order=True)
    for value, (text, row) in zip(ours.value(twice, more), expected, strict=True):
        score = bleu.sentence_score(text, references[row]).score / 100
        assert value == pytest.approx(score, abs=1e-9)


@pytest.mark.parametrize("metric", METRICS)
def test_long_references_and_texts(metric):
    """Two hundred words: rows of several integers in the bit-parallel subsequence."""
    rng = random.Random(0)
    words = ["the", "dog", "ran", "home", "on", "a", "day", "of", "rain", "again"]
    references = [[" ".join(rng.choices(words, k=n)) for n in (200, 130)] for _ in range(2)]
    pieces = [b" " + word.encode() for word in words]
    ours = build(references, pieces, metric, "rouge" if "rouge" in metric else "13a", "exp", 200)
    rows, text = np.array([0, 1]), [[], []]
    state = ours.initial(rows)
    one = library(metric, "rouge" if "rouge" in metric else "13a", "exp")
    for step in range(200):
        tokens = np.array([rng.randrange(len(words)) for _ in rows])
        ours.append(state, rows, tokens)
        for i, token in enumerate(tokens):
            text[i].append(words[token])
        if step % 40 == 39:
            expected = [one(" ".join(text[i]), references[i]) for i in rows]
            np.testing.assert_allclose(ours.value(state, rows), expected, atol=1e-9)
