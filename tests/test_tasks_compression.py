"""Sentence compression: quality without references, the language model, search, files, texts."""

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nlp_gym import make_task
from nlp_gym.errors import DataError, DataFormatError, InvalidArgumentError, UnknownNameError
from nlp_gym.tasks.compression.language import BOUNDARY, UNIT, Bigrams
from nlp_gym.tasks.compression.quality import SPREAD, Quality, check_weights
from nlp_gym.tasks.compression.references import joined, kept_words
from nlp_gym.tasks.compression.search import hill_climbing, random_words
from nlp_gym.tasks.core.rollout import rollout
from nlp_gym.types import Sample

ID = "Compression-v0"
TEXTS = ["the cat sat on the mat", "the dog sat on the rug", "a cat and a dog", "the cat ran"]


def task_of(split: str = "train", **kwargs: Any) -> Any:
    return make_task(ID, split, **{"encoder": "hashed", "corpus": "sample", **kwargs})


def bare(*texts: str) -> list[Sample]:
    return [Sample(tuple(text.split()), gold=()) for text in texts]


@pytest.fixture(scope="module")
def model() -> Bigrams:
    return Bigrams.learn([text.split() for text in TEXTS])


@pytest.fixture(scope="module")
def task() -> Any:
    return task_of()


def quality_by_hand(task: Any, row: int, kept: list[int]) -> float:
    """The documented formulas, in floating point and without shared sums."""
    model, words = task.model, task.sample(row).words
    numbers = model.numbers(words)
    first = int(task.corpus.offsets[row])
    vectors = task.encoded.gather(np.arange(first, first + len(words))).astype(np.float64)
    vectors *= (model.weights[numbers] / np.linalg.norm(vectors, axis=1))[:, None]
    whole, part = vectors.sum(axis=0), vectors[kept].sum(axis=0)
    similarity = whole @ part / np.linalg.norm(whole) / np.linalg.norm(part)
    length = np.exp(-0.5 * ((len(kept) / len(words) - task.goal.ratio) / SPREAD) ** 2)

    def slor(chain: list[int]) -> float:
        ends = [BOUNDARY, *chain, BOUNDARY]
        gains = [
            int(model.gains(np.array([a]), np.array([b]))[0]) for a, b in itertools.pairwise(ends)
        ]
        return sum(gains) / UNIT / len(gains)

    fluency = np.exp(min(0.0, slor(numbers[kept].tolist()) - slor(numbers.tolist())))
    parts = (max(similarity, 0.0), length, fluency)
    return float(np.dot(task.goal.weights, parts))


def test_compression_quality_is_the_documented_one() -> None:
    task = task_of(reward_weights={"similarity": 2, "length": 1, "fluency": 1}, target_ratio=0.4)
    rng = np.random.default_rng(0)
    for row in range(0, 40, 8):
        n = len(task.sample(row).words)
        kept = sorted(rng.choice(n, size=rng.integers(1, n + 1), replace=False).tolist())
        state = task.initial(np.array([row]))
        for place in range(n):
            task.transition(state, np.array([int(place in kept)]))
        assert abs(task.potential(state)[0] - quality_by_hand(task, row, kept)) < 2e-3
        flags = np.zeros((1, int(task.lengths.max())), bool)
        flags[0, kept] = True
        whole = task.quality.value(np.array([row]), task.quality.of(np.array([row]), flags))
        assert whole[0] == task.potential(state)[0]  # steps and whole choices: to the last bit


def test_compression_language_model_is_a_distribution(model: Bigrams) -> None:
    v = model.size
    shares = (model.contexts + 0.5) / (model.contexts.sum() + 0.5 * v)
    for before in range(v):
        gains = model.gains(np.full(v, before), np.arange(v)) / UNIT
        assert abs((shares * np.exp(gains)).sum() - 1.0) < 1e-3
    assert "cat" in model.words
    assert "mat" not in model.words
    seen = model.gains(*(model.numbers([word]) for word in ("sat", "on")))
    unseen = model.gains(*(model.numbers([word]) for word in ("sat", "dog")))
    assert seen[0] > 0 > unseen[0]


def test_compression_language_model_is_read_as_written(model: Bigrams) -> None:
    again = Bigrams.read(model.settings)
    assert again.settings == model.settings
    assert again.words == model.words
    pairs = np.divmod(np.arange(model.size**2), model.size)
    assert np.array_equal(again.gains(*pairs), model.gains(*pairs))


def broken(model: Bigrams, **changes: Any) -> str:
    return json.dumps({**json.loads(model.settings), **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {"words": 3}, {"words": ["cat", "cat"]}, {"words": [""]}, {"n_texts": 0},
        {"n_texts": True}, {"pairs": "!"}, {"pairs": "AAAA"}, {"counts": None},
        {"frequency": "eJwDAAAAAAE="}, {"words": [f"w{i}" for i in range(9)]},
    ],
)  # fmt: skip
def test_compression_broken_language_models_are_refused(
    model: Bigrams, changes: dict[str, Any]
) -> None:
    with pytest.raises(InvalidArgumentError, match=r"language_model=.*learnt from the training"):
        Bigrams.read(broken(model, **changes))
    for other in ("", "[]", "{}", 3, None):
        with pytest.raises(InvalidArgumentError):
            Bigrams.read(other)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ([1, 1, 2], (0.25, 0.25, 0.5)),
        ({"similarity": 3, "fluency": 1}, (0.75, 0.0, 0.25)),
        ((0, 2.0, 0), (0.0, 1.0, 0.0)),
    ],
)
def test_compression_weights(given: Any, wanted: tuple[float, ...]) -> None:
    assert check_weights(given) == wanted


@pytest.mark.parametrize("given", [[0, 0, 0], [1, 1], [1, -1, 1], "1,1,1", {}, [1, "a", 1], 3])
def test_compression_wrong_weights(given: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="reward_weights"):
        check_weights(given)
    with pytest.raises(UnknownNameError, match="'fluency'"):
        check_weights({"fluenty": 1})


def test_compression_hill_climbing_finds_the_best_of_short_texts() -> None:
    data = bare("the cat sat on the mat", "a small dog ran home")
    task = task_of(data=data, target_ratio=0.5)
    quality: Quality = task.quality
    rows = np.arange(2)
    found = hill_climbing(quality, rows, evaluations=300)
    values = quality.value(rows, quality.of(rows, found))
    start = random_words(quality, rows, 0)
    assert (values >= quality.value(rows, quality.of(rows, start))).all()
    for row in range(2):
        n, k = int(task.lengths[row]), int(quality.goal.words(task.lengths)[row])
        assert found[row].sum() == k
        best = 0.0
        for kept in itertools.combinations(range(n), k):
            flags = np.zeros((1, n), bool)
            flags[0, list(kept)] = True
            one = np.array([row])
            best = max(best, float(quality.value(one, quality.of(one, flags))[0]))
        assert values[row] == best


def test_compression_baselines_keep_what_they_say(task: Any) -> None:
    rows = np.arange(6)
    n, asked = task.lengths[:6], task.quality.goal.words(task.lengths[:6])
    kept = {name: task.baseline_outputs(name, rows, 0) for name in task.own_baselines}
    assert [len(one) for one in kept["keep-all"]] == n.tolist()
    assert kept["first-words"] == [tuple(range(k)) for k in asked]
    for name in ("random-words", "hill-climbing"):
        assert [len(one) for one in kept[name]] == asked.tolist()
    assert kept["random-words"] != task.baseline_outputs("random-words", rows, 1)
    with pytest.raises(UnknownNameError, match="keep-all"):
        task.baseline_outputs("keepall", rows, 0)


@pytest.mark.parametrize("most", [1, 3])
def test_compression_masks(most: int) -> None:
    task = task_of(max_words=most)
    for wanted in (0, 1):
        outputs = rollout(task, lambda _, mask, a=wanted: np.where(mask[:, a], a, 1 - a), [0, 1, 2])
        assert [len(one) for one in outputs] == [most if wanted else 1] * 3
        if not wanted:
            assert [one[0] for one in outputs] == (task.lengths[:3] - 1).tolist()
    assert max(map(len, rollout(task, "oracle"))) <= most


def test_compression_without_references_rewards_are_the_quality(tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_text("".join(f"the {word} sat on the old mat\n" for word in "abcdefghijkl"))
    found = {}
    for reward in ("metric", "correctness"):
        task = task_of(data=path, reward=reward)
        assert task.has_gold
        assert not task.has_references
        assert task.metric_name == "quality"
        state, total = task.initial(np.arange(3)), np.zeros(3)
        for _ in range(7):
            total += task.transition(state, task.oracle(state))[0]
        assert np.array_equal(total, task.potential(state))
        found[reward] = total
    assert np.array_equal(found["metric"], found["correctness"])
    outputs = rollout(task, "oracle")
    score = task.score(outputs)
    assert score.metric == "quality"
    assert score.value == score.report["quality"]
    assert score.value >= score.report["quality_beside"]["hill-climbing"]["quality"] - 1e-9
    assert set(score.report["quality_beside"]) == set(task.own_baselines)


def test_compression_files_without_references_need_to_be_told(tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(f'{{"sentence": "the {i} cats sat"}}\n' for i in range(20)))
    with pytest.raises(DataFormatError, match="references=False"):
        task_of(data=path)
    assert task_of(data=path, references=False).metric_name == "quality"
    path.write_text('{"sentence": "the cats sat", "compression": "cats sat"}\n' * 20)
    assert not task_of(data={"train": path}, references=False).has_references


@pytest.mark.parametrize("row", ['{"sentence": "", "compression": "x"}', '{"sentence": "a'])
def test_compression_of_a_broken_row_says_nothing_of_references(tmp_path: Path, row: str) -> None:
    path = tmp_path / "texts.jsonl"
    path.write_text('{"sentence": "the cats sat", "compression": "cats sat"}\n' * 3 + row + "\n")
    with pytest.raises(DataFormatError, match=r"texts\.jsonl:4") as caught:
        task_of(data={"train": path})
    assert "references" not in str(caught.value)


@pytest.mark.parametrize(
    ("gold", "message"),
    [((("cats",), ()), "has no reference, but others"), ((("cats",), 3), "gold=3")],
)
def test_compression_given_samples_are_checked(gold: Any, message: str) -> None:
    data = [Sample(("the", "cats"), gold=one) for one in gold]
    with pytest.raises(DataError, match=message):
        task_of(data=data)


def test_compression_long_texts_are_refused_before_memory_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nlp_gym.tasks.compression.quality.MOST_PRODUCTS", 40)
    task = task_of(data=bare("a b c d e f g", "a b"))
    with pytest.raises(InvalidArgumentError, match=r"53, and 40 fit .*7 words"):
        _ = task.quality


def test_compression_learnt_model_goes_with_a_run(task: Any) -> None:
    given = task_of(data=bare("the cats sat"), split="test", **task.learnt)
    assert given.model.words == task.model.words
    assert given.learnt == task.learnt
    with pytest.raises(InvalidArgumentError, match="language_model"):
        task_of(language_model="{}")


@pytest.mark.parametrize(
    ("words", "references", "kept"),
    [
        ("The old ferry came", ["The ferry"], [0, 2]),
        ("a b c d", ["x y"], []),
        ("a b c d", ["a d", "b c d"], [1, 2, 3]),
        ("Oslo won , Bergen lost", ["Bergen Oslo lost"], [3, 4]),
        ("a a b", ["a b"], [0, 2]),
    ],
)
def test_compression_words_of_references(
    words: str, references: list[str], kept: list[int]
) -> None:
    own = words.split()
    assert [own[i] for i in kept_words(own, references)] == [own[i] for i in kept]


@pytest.mark.parametrize(
    ("text", "words", "kept", "wanted"),
    [
        ("Anna ran, and won.", "Anna ran , and won .", [0, 2, 4, 5], "Anna, won."),
        ("He (Bo) left", "He ( Bo ) left", [0, 4], "He left"),
        ("I don't know.", "I do n't know .", [0, 1, 2, 3], "I don't know"),
        ("今天天气很好。", "今 天 天 气 很 好 。", [0, 1, 5, 6], "今天好。"),
        (None, "a b c", [0, 2], "a c"),
        ("other text", "a b c", [0, 2], "a c"),
        ("well-known (big) cats", "well-known ( big ) cats", [2, 4], "big cats"),
    ],
)
def test_compression_texts_are_spaced_as_in_the_source(
    text: str | None, words: str, kept: list[int], wanted: str
) -> None:
    extra = {} if text is None else {"text": text}
    assert joined(Sample(tuple(words.split()), extra=extra), kept) == wanted


def test_compression_reference_score_is_rouge_of_the_texts(task: Any) -> None:
    outputs = [tuple(range(len(sample.words))) for sample in task.corpus.samples]
    score = task.score(outputs, bootstrap=0, report=True)
    assert score.metric == task.metric_name == "rouge_1"
    assert abs(score.report["beside"]["keep-all"]["rouge_1"]["f1"] - score.value) < 1e-12
    assert score.report["ratio"] == 1.0
    assert score.report["similarity"] == 1.0
    assert task.score(rollout(task, "oracle"), bootstrap=0).value == 1.0


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"target_ratio": 0}, "target_ratio=0"),
        ({"max_words": 0}, "max_words=0"),
        ({"references": "no"}, "references='no'"),
        ({"search": -1}, "search=-1"),
        ({"tokenizer": "rogue"}, "'rouge'"),
        ({"labels": ["a"]}, "labels"),
    ],
)
def test_compression_wrong_arguments(kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises((InvalidArgumentError, UnknownNameError), match=message):
        task_of(**kwargs)


def test_compression_observations_say_what_was_kept(task: Any) -> None:
    state = task.initial(np.array([0]))
    n, asked = int(task.lengths[0]), int(task.goal.words(task.lengths[:1])[0])
    for place in range(n):
        seen = task.extra(state)
        kept = place // 2  # every second word, the first dropped
        assert seen["share"][0, 0] == min(8 * kept // asked, 12)
        assert seen["left"][0, 0] == 10 * (n - place) // n
        back = [((place - 1 - h) % 2 if place > h else 2) for h in range(2)]
        assert seen["decided"][0].tolist() == back
        task.transition(state, np.array([place % 2]))
    assert task.outputs(state) == [tuple(range(1, n, 2))]


def test_compression_frames_strike_out_what_was_dropped(task: Any) -> None:
    from nlp_gym.render import draw

    state = task.initial(np.array([0]))
    for action in (1, 0):
        task.transition(state, np.array([action]))
    frame = task.frame(state, 0)
    assert [piece.mark for piece in frame.pieces[:4]] == ["plain", "dropped", "here", "dim"]
    assert "<del class=" in draw("html", frame, 0.0)
    assert "\x1b[2;9m" in draw("ansi", frame, 0.0)
