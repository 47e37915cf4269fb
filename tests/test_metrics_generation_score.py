"""Corpus scores of written texts against sacreBLEU, rouge-score and hand-made figures."""

from __future__ import annotations

import random

import numpy as np
import pytest
from nltk.translate.gleu_score import corpus_gleu
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import BLEU, CHRF

from nlp_gym.errors import InvalidArgumentError, UnknownNameError
from nlp_gym.metrics.text.bleu import BLEU_ORDER, bleu_counts, bleu_formula
from nlp_gym.metrics.text.chrf import chrf_counts, chrf_of_sums
from nlp_gym.metrics.text.corpus import VALUES, generation_score, score_difference
from nlp_gym.metrics.text.diagnostics import output_diagnostics
from nlp_gym.metrics.text.gleu import gleu_counts

WORDS = [
    *("the", "a", "dog", "cat", "runs", "sleeps", "home", "over", "grass"),
    *(",", ".", "and", "small", "red", "3.5", "isn't", "Straße", "狗", "跑"),
]


def make_corpus(seed, n=40):
    """References (one to three), outputs that share words with them, and sources."""
    rng = random.Random(seed)

    def text(most):
        return " ".join(rng.choices(WORDS, k=rng.randint(1, most)))

    references = [[text(14) for _ in range(rng.choice([1, 1, 2, 3]))] for _ in range(n)]
    outputs = [f"{' '.join(rows[0].split()[:8])} {text(6)}" for rows in references]
    outputs[3] = ""
    return references, outputs, [text(12) for _ in range(n)]


def streams(references):
    width = max(map(len, references))
    return [[row[i] if i < len(row) else None for row in references] for i in range(width)]


@pytest.mark.parametrize("tokenize", ["13a", "intl", "zh", "char", "none"])
def test_report_equals_the_libraries(tokenize):
    references, outputs, sources = make_corpus(1)
    score = generation_score(references, outputs, sources, tokenize=tokenize, bootstrap=0)
    bleu, chrf = BLEU(tokenize=tokenize, force=True), CHRF()
    found = bleu.corpus_score(outputs, streams(references))
    assert score.value == pytest.approx(found.score / 100, abs=1e-12)
    assert 0.05 < score.value < 0.95
    assert score.metric == "bleu"
    assert score.signature == f"metric:bleu|{bleu.get_signature()}"
    assert "nrefs:var" in score.signature
    assert f"tok:{tokenize}" in score.signature
    cut = bleu.tokenizer
    golds = [[cut(text).split() for text in texts] for texts in references]
    expected = corpus_gleu(golds, [cut(text).split() for text in outputs])
    assert score.report["gleu"]["value"] == expected
    same, possible = gleu_counts(outputs, references, tokenize).sum(0)
    assert same / possible == pytest.approx(expected, abs=1e-12)
    assert (
        f"metric:gleu|nrefs:var|case:mixed|orders:1-4|tok:{tokenize}|sacrebleu:"
        in (score.report["gleu"]["signature"])
    )
    table = score.report["bleu"]
    assert table["precisions"] == pytest.approx([p / 100 for p in found.precisions])
    assert table["bp"] == found.bp
    assert score.report["length_ratio"] == pytest.approx(found.sys_len / found.ref_len)
    expected = chrf.corpus_score(outputs, streams(references)).score / 100
    assert score.report["chrf"]["value"] == pytest.approx(expected)
    scorer = RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=True)
    best = [scorer.score_multi(rows, text) for rows, text in zip(references, outputs, strict=True)]
    for kind in ("rouge1", "rouge2", "rougeL"):
        expected = np.mean([scores[kind].fmeasure for scores in best])
        assert score.report[VALUES[kind]]["value"] == pytest.approx(expected)
    assert str(found.format(signature=str(bleu.get_signature()))) in score.text
    assert f"= {100 * score.value:.2f} " in score.text.splitlines()[0]


def test_sums_of_counts_are_the_libraries_corpus_scores():
    """What the bootstrap resamples: at the whole corpus it is the official number."""
    for seed in range(5):
        references, outputs, _ = make_corpus(seed)
        matches, length, closest = bleu_counts(outputs, references, "13a")
        totals = np.maximum(length[:, None] - np.arange(BLEU_ORDER), 0).sum(0, keepdims=True)
        ours = bleu_formula(
            matches.sum(0, keepdims=True),
            length.sum(keepdims=True),
            closest.sum(keepdims=True),
            totals=totals,
            effective_order=False,
        )
        found = BLEU(force=True).corpus_score(outputs, streams(references))
        assert ours[0] == pytest.approx(found.score / 100, abs=1e-12)
        sums = chrf_counts(outputs, references).sum(0, keepdims=True).astype(np.float64)
        chrf = CHRF().corpus_score(outputs, streams(references)).score / 100
        assert chrf_of_sums(sums)[0] == pytest.approx(chrf, abs=1e-12)


@pytest.mark.parametrize("value", sorted(VALUES))
def test_value_alone_is_that_of_the_report_and_lies_in_its_interval(value):
    references, outputs, sources = make_corpus(2, 80)
    full = generation_score(references, outputs, sources, value=value, bootstrap=200)
    quick = generation_score(references, outputs, sources, value=value, bootstrap=0, report=False)
    assert full.value == quick.value == full.report[VALUES[value]]["value"]
    assert (quick.interval, quick.report, quick.text) == (None, {}, "")
    assert full.metric == VALUES[value]
    assert full.signature.endswith("|bs:200|rs:12345")
    low, high = full.interval
    assert low < full.value < high
    assert high - low < 0.3
    again = generation_score(references, outputs, sources, value=value, bootstrap=200)
    assert again == full


def test_outputs_equal_to_their_references_score_one():
    texts = [
        "Two dogs run over grass.",
        "今天天气很好，我们去公园。",
        "Größere Äpfel kosten 3,50 €.",
    ]
    references = [[text] for text in texts]
    for value in ("bleu", "gleu", "chrf"):
        score = generation_score(
            references, texts, texts, value=value, tokenize="zh", rouge_tokenizer="unicode"
        )
        assert score.value == pytest.approx(1.0, abs=1e-12)
        assert score.interval == pytest.approx((1.0, 1.0), abs=1e-12)
    assert score.report["rouge_l"]["f1"] == 1.0


@pytest.mark.parametrize("value", sorted(VALUES))
@pytest.mark.filterwarnings("error")
def test_references_without_words_are_nobodys_best_and_make_no_intervals_of_nothing(value):
    """sacreBLEU's 13a drops <skipped>."""
    references = [["<skipped>", "a b"], ["a b c"]]
    score = generation_score(references, ["", "a b c"], ["x", "y"], value=value, bootstrap=100)
    assert 0 <= score.interval[0] <= score.value <= score.interval[1] <= 1
    assert np.isfinite(score_difference(references, ["", "a"], ["", "a b"], value=value)).all()
    nothing = generation_score([["<skipped>"]], [""], ["x"], value=value, bootstrap=10)
    assert nothing.interval == (0.0, 0.0)
    same, possible = gleu_counts(["", "a b c"], references, "13a").sum(0)
    assert (same, possible) == (6, 3 + 6)


def test_habits_by_hand():
    references = [["a b c d", "a b c d e f g"], ["x y"]]
    outputs = ["a b a a b", ""]
    sources = ["a q", "x"]
    habits = output_diagnostics(references, outputs, sources, "none")
    # The first output has 5 words, the closest reference 4; the second 0 and 2.
    assert habits["length_ratio"] == pytest.approx(5 / 6)
    # Pairs: ab ba aa ab, one of them for the second time.
    assert habits["repetition"] == pytest.approx(1 / 4)
    # Three of five output words are in the source; of the references' 13: a, a and x.
    assert habits["copied"] == pytest.approx(3 / 5 - 3 / 13)
    assert habits["empty"] == pytest.approx(1 / 2)
    silent = output_diagnostics(references, ["", ""], sources, "none")
    assert silent == {"length_ratio": 0.0, "repetition": 0.0, "copied": 0.0, "empty": 1.0}


def test_no_outputs_and_bad_arguments():
    assert generation_score([], [], []).n == 0
    one = ([["a"]], ["a"], ["b"])
    with pytest.raises(UnknownNameError, match="Did you mean 'rouge1'"):
        generation_score(*one, value="rouge_1")
    with pytest.raises(UnknownNameError, match="tokenize='x'"):
        generation_score(*one, tokenize="x")
    with pytest.raises(UnknownNameError, match="rouge_tokenizer='x'"):
        generation_score(*one, rouge_tokenizer="x")
    with pytest.raises(InvalidArgumentError, match="sources must be as many as the 1"):
        generation_score([["a"]], ["a"], [])
    with pytest.raises(InvalidArgumentError, match="1 texts, not 2"):
        generation_score([["a"], ["b"]], ["a"], ["a"])


@pytest.mark.parametrize("value", sorted(VALUES))
def test_generation_scores_are_compared_on_the_same_texts(value: str) -> None:
    rng = np.random.default_rng(5)
    words = [
        "a",
        "man",
        "rides",
        "the",
        "old",
        "horse",
        "past",
        "two",
        "dogs",
        "on",
        "green",
        "grass",
    ]
    golds = [[" ".join(rng.choice(words, 9))] for _ in range(60)]
    worse = [" ".join(rng.permutation(gold[0].split())) for gold in golds]
    better = [gold[0] + " grass" * (i % 3) for i, gold in enumerate(golds)]
    found = score_difference(golds, better, worse, value=value, bootstrap=300)
    scores = [
        generation_score(golds, texts, texts, value=value, bootstrap=0).value
        for texts in (better, worse)
    ]
    assert found[0] == pytest.approx(scores[0] - scores[1], abs=1e-9)
    assert found[1] <= found[0] <= found[2]
    assert score_difference(golds, worse, worse, value=value, bootstrap=50) == (0, 0, 0)
    mirrored = score_difference(golds, worse, better, value=value, bootstrap=300)
    np.testing.assert_allclose(mirrored, [-found[0], -found[2], -found[1]], atol=1e-12)
    with pytest.raises(InvalidArgumentError):
        score_difference(golds, better, worse[1:], value=value)
    with pytest.raises(InvalidArgumentError, match="bootstrap=0"):
        score_difference(golds, better, worse, value=value, bootstrap=0)
    with pytest.raises(InvalidArgumentError, match="one or more"):
        score_difference([], [], [], value=value)
