"""Sentence BLEU of many pairs against sacreBLEU's, pair by pair; bad arguments."""

from __future__ import annotations

import logging
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU

from nlp_gym.errors import InvalidArgumentError, UnknownNameError
from nlp_gym.metrics.incremental.metric import IncrementalMetric
from nlp_gym.metrics.text.bleu import SMOOTH_METHODS, TOKENIZERS, sentence_bleu
from nlp_gym.metrics.text.scoring_tokens import scoring_tokenizer

SENTENCES = {
    "en": (
        "Two dogs run over the wet grass .|A man in a red coat isn't selling 3,500 apples today.|"
        'The well-known U.S. team won 4-2, didn\'t it?|She said: "It costs $5.50 (or less)!"|'
        "At 10:30 a.m. the train left.|A woman and a child wait at the station in 2019.|"
        "Nobody knows the answer & nobody asks.|The dog, the cat and the dog again."
    ),
    "de": (
        "Zwei Hunde laufen über das nasse Gras.|Ein Mann im roten Mantel verkauft 3.500 Äpfel.|"
        "Größere Städte haben U-Bahnen; kleinere nicht!|„Wie spät ist es?“ fragte sie.|"
        "Der 3. Mai 2019 war ein Freitag.|Das Kind spielt mit dem Ball und dem Hund.|"
        "Es kostet 5,50 € oder weniger.|Die Straße ist lang, die Straße ist leer."
    ),
    "fr": (
        "Deux chiens courent dans l'herbe mouillée.|L'homme n'a pas vendu 3 500 pommes hier.|"
        "«\u00a0Quelle heure est-il\u00a0?\u00a0» demanda-t-elle.|Ça coûte 5,50 € ou moins\u00a0!|"
        "Le garçon est déjà là, n'est-ce pas ?|Une femme et un enfant attendent à la gare.|"
        "Le chat dort, le chien dort, le garçon dort.|Où est-ce qu'on va ?"
    ),
    "zh": (
        "今天天气很好，我们去公园散步吧。|他在2019年买了3.5公斤苹果！|两只狗在湿草地上跑。|"
        "你好，世界 hello world 。|这本书的价格是50元。|“现在几点了？”她问。|"
        "一个女人和一个孩子在车站等车。|这条街很长，这条街很空。"
    ),
}
GARBAGE = [
    *" \t\n-.,!?<>&;'\"()0123456789ab中。，ü\u3000%$€+\u200b\xa0\x1c",
    *("<skipped>", "&quot;", "&amp;", "-\n", "5.", ".5"),
]
PAIRS = 10_000


def change(rng, text, others):
    """A text that shares some words with another one."""
    joint = " " if " " in text else ""
    cut = (lambda t: t.split(" ")) if joint else list
    words = [word for word in cut(text) if rng.random() < 0.85]
    if rng.random() < 0.5:
        other = cut(rng.choice(others))
        at, start = rng.randint(0, len(words)), rng.randint(0, len(other))
        words[at:at] = other[start : start + 4]
    if rng.random() < 0.2:
        words += words[: rng.randint(0, len(words))]
    return joint.join(words)


def make_pairs(seed, n):
    """Texts and their references in four languages, and garbage."""
    rng = random.Random(seed)
    pools = [text.split("|") for text in SENTENCES.values()]
    pools.append(["".join(rng.choices(GARBAGE, k=rng.randint(0, 14))) for _ in range(200)])
    texts, references = [], []
    for _ in range(n):
        pool = rng.choice(pools)
        golds = [rng.choice(pool) for _ in range(rng.choice([1, 1, 2, 3]))]
        exact = rng.random()
        text = "" if exact < 0.02 else golds[-1] if exact < 0.1 else change(rng, golds[0], pool)
        texts.append(text)
        references.append(golds)
    return texts, references


def by_sacrebleu(texts, references, effective_order=True, **options):
    bleu = BLEU(effective_order=effective_order, **options)
    logger = logging.getLogger("sacrebleu")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it warns of sentences without effective order
    try:
        found = [
            bleu.sentence_score(text, golds).score
            for text, golds in zip(texts, references, strict=True)
        ]
    finally:
        logger.setLevel(level)
    return np.array(found) / 100


@pytest.mark.slow
def test_ten_thousand_pairs_equal_sacrebleu():
    """Every tokenizer with every smoothing, the pairs shared out among them."""
    cases = [(tokenize, smooth) for tokenize in TOKENIZERS for smooth in SMOOTH_METHODS]
    for seed, (tokenize, smooth) in enumerate(cases):
        texts, references = make_pairs(seed, PAIRS // len(cases))
        options = {"tokenize": tokenize, "smooth_method": smooth}
        ours = sentence_bleu(texts, references, **options)
        theirs = by_sacrebleu(texts, references, **options)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9, err_msg=str(options))
        assert ((theirs > 0.05) & (theirs < 0.95)).mean() > 0.2


@pytest.mark.parametrize("effective_order", [True, False])
@pytest.mark.parametrize(
    ("smooth", "value"),
    [("floor", 0.0), ("floor", 0.5), ("add-k", 0.0), ("add-k", 0.3), ("none", None), ("exp", None)],
)
def test_smoothing_values_and_orders_equal_sacrebleu(smooth, value, effective_order):
    texts, references = make_pairs(77, 300)
    options = {"smooth_method": smooth, "smooth_value": value, "effective_order": effective_order}
    ours = sentence_bleu(texts, references, **options)
    theirs = by_sacrebleu(texts, references, **options)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(TOKENIZERS),
    st.lists(st.sampled_from(GARBAGE), max_size=12).map("".join),
    st.lists(st.lists(st.sampled_from(GARBAGE), max_size=12).map("".join), min_size=1, max_size=3),
)
def test_any_text_equals_sacrebleu(tokenize, text, golds):
    ours = sentence_bleu([text], [golds], tokenize=tokenize)
    theirs = by_sacrebleu([text], [golds], tokenize=tokenize)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9)


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(TOKENIZERS), st.text(max_size=30) | st.lists(st.sampled_from(GARBAGE)))
def test_words_of_pieces_are_words_of_the_text(tokenize, text):
    text = "".join(text)
    whole = BLEU(tokenize=tokenize, effective_order=True).tokenizer(text.rstrip()).split()
    assert scoring_tokenizer("bleu", tokenize).tokenize(text) == whole


def test_equal_texts_score_exactly_one():
    texts = [text for many in SENTENCES.values() for text in many.split("|")]
    for tokenize in ("zh", "char"):
        assert (sentence_bleu(texts, [[t] for t in texts], tokenize=tokenize) == 1.0).all()


def test_no_pairs_and_no_words():
    assert sentence_bleu([], []).shape == (0,)
    np.testing.assert_array_equal(sentence_bleu(["", " \n"], [["a"], [""]]), [0.0, 0.0])


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"tokenize": "13"}, "'13a'"),
        ({"smooth_method": None}, "exp"),
        ({"smooth_value": -1}, "smooth_value=-1"),
        ({"smooth_value": float("nan")}, "smooth_value=nan"),
        ({"smooth_value": True}, "smooth_value=True"),
    ],
)
def test_bad_options_are_named(options, named):
    with pytest.raises(InvalidArgumentError, match=named):
        sentence_bleu(["a"], [["a"]], **options)
    with pytest.raises(UnknownNameError, match="Did you mean 'intl'"):
        sentence_bleu(["a"], [["a"]], tokenize="int")


def test_bad_references_are_named():
    with pytest.raises(InvalidArgumentError, match="2 texts, not 1"):
        sentence_bleu(["a", "b"], [["a"]])
    with pytest.raises(InvalidArgumentError, match=r"references\[1\]='b'"):
        sentence_bleu(["a", "b"], [["a"], "b"])


@pytest.mark.parametrize(
    ("options", "error", "named"),
    [
        ({"metric": "blue"}, UnknownNameError, "'bleu'"),
        ({"tokenize": "13b"}, UnknownNameError, "'13a'"),
        ({"smooth_method": "add"}, UnknownNameError, "add-k"),
        ({"rouge_tokenizer": "x"}, UnknownNameError, "unicode"),
        ({"max_words": 0}, InvalidArgumentError, "max_words"),
    ],
)
def test_bad_options_of_growing_texts_are_named(options, error, named):
    with pytest.raises(error, match=named):
        IncrementalMetric([["a"]], [b"a"], **{"max_words": 3, **options})


def test_bad_references_and_tokens_of_growing_texts_are_named():
    for bad in ([[]], ["a"], [[None]]):
        with pytest.raises(InvalidArgumentError, match=r"references\[0\]"):
            IncrementalMetric(bad, [b"a"], max_words=3)
    ours, rows = IncrementalMetric([["a"]], [b"a"], max_words=2), np.zeros(1, np.int64)
    state = ours.initial(rows)
    with pytest.raises(InvalidArgumentError, match="from 0 to 0"):
        ours.append(state, rows, np.array([1]))
    for _ in range(2):
        ours.append(state, rows, np.zeros(1, np.int64))
    with pytest.raises(InvalidArgumentError, match="max_words=2"):
        ours.append(state, rows, np.zeros(1, np.int64))
