"""Time and memory are linear in the size of the input: n, 2n and 4n are compared.

Times are those of the processor. A case is measured again while its ratio is too high, because
other processes make single measurements longer and never shorter, and at last over a wider range of
sizes. Sizes are those at which the smallest takes some milliseconds: below, what fits a cache makes
the largest look slow. Memory is counted by tracemalloc, which counts the arrays of NumPy too.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import time
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nlp_gym.data import check
from nlp_gym.data.readers.relation.pairs import cut_words
from nlp_gym.data.readers.shared.base import Parsed
from nlp_gym.data.readers.shared.json_tools import RowError, json_document, load_json
from nlp_gym.data.readers.shared.label_spelling import trim
from nlp_gym.data.tags.spellings import respelled
from nlp_gym.data.text.tokenize import split_sentences, split_words
from nlp_gym.encode import encode_units
from nlp_gym.encode.load import load_encoder
from nlp_gym.inert import one_line
from nlp_gym.metrics.answers.squad import answer_f1
from nlp_gym.metrics.labels.entities import EntityF1
from nlp_gym.metrics.labels.multilabel import multilabel_f1
from nlp_gym.metrics.labels.relations import RelationF1
from nlp_gym.metrics.text.bleu import sentence_bleu
from nlp_gym.metrics.text.corpus import generation_score
from nlp_gym.render import Frame, Piece, draw
from nlp_gym.tasks.core.make import make_task
from nlp_gym.tasks.core.rollout import rollout
from nlp_gym.tasks.core.task import Task
from nlp_gym.types import Sample, Units
from nlp_gym_agents.prediction import kinds
from nlp_gym_agents.prediction.inputs import Input, from_words
from nlp_gym_agents.prediction.records import to_text
from nlp_gym_agents.prediction.results import TaggedText

pytestmark = pytest.mark.slow  # a minute of processor time in all

MOST = 2.3
"""Largest ratio for twice the size."""
ATTEMPTS = 8
AT_LEAST = 0.01
"""Seconds that the smallest size is measured for; it is run several times if it takes less."""

Run = Callable[[], object]


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Warnings of strange corpora are not what is tested; the collector would add to some times."""
    gc.collect()
    gc.disable()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield
    gc.enable()


def seconds(run: Run, times: int) -> float:
    start = time.process_time()
    for _ in range(times):
        run()
    return (time.process_time() - start) / times


def assert_linear(prepare: Callable[[int], Run], n: int) -> None:
    """Twice the size takes at most `MOST` times as long.

    Args:
        prepare: Makes an input of a size, and returns what is measured on it.
        n: The smallest size.
    """
    runs = [prepare(size) for size in (n, 2 * n, 4 * n)]
    runs[0]()  # imports and caches
    times = max(1, round(AT_LEAST / max(seconds(runs[0], 1), 1e-6)))
    best = [np.inf] * 3
    for _ in range(ATTEMPTS):
        best = [min(old, seconds(run, times)) for old, run in zip(best, runs, strict=True)]
        if np.sqrt(best[2] / best[0]) <= MOST:  # of a doubling; caches come in steps
            return
    # A cache that another process shares costs once, what is quadratic costs at every doubling.
    runs.append(prepare(16 * n))
    largest = min(seconds(runs[-1], times) for _ in range(3))
    ratio = float(np.sqrt(np.sqrt(largest / best[0])))
    if ratio > MOST:
        sizes = f"{n}, {2 * n}, {4 * n}, {16 * n}"
        raise AssertionError(f"sizes {sizes} take {[*best, largest]} s: {ratio:.2f} for twice")


def assert_linear_memory(prepare: Callable[[int], Run], n: int) -> None:
    """Twice the size takes at most `MOST` times the memory at its peak; as `assert_linear`."""
    prepare(64)()  # imports and caches
    sizes = (n, 2 * n, 4 * n)
    peaks, ratio = [np.inf] * 3, np.inf
    for _ in range(3):  # threads that other tests have left allocate too
        peaks = [min(old, peak(prepare(size))) for old, size in zip(peaks, sizes, strict=True)]
        # Dictionaries and lists grow in steps, so that only both doublings together tell.
        ratio = float(np.sqrt(peaks[2] / peaks[0]))
        if ratio <= MOST:
            return
    raise AssertionError(f"sizes {sizes} take {peaks} bytes: {ratio:.2f} for twice")


def peak(run: Run) -> int:
    """The most bytes that were held at once."""
    gc.collect()
    tracemalloc.start()
    kept = run()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    del kept
    return most


def task_of(env_id: str, samples: list[Sample], **kwargs: Any) -> Task:
    return make_task(env_id, "train", data=samples, encoder="hashed", **kwargs)


def played(task: Task, obs_type: str = "index") -> None:
    """The first step of a few episodes, observed before and after."""
    state = task.initial(np.arange(min(4, len(task.corpus))))
    task.observe(state, obs_type)
    task.transition(state, np.zeros(len(state.row), np.int64))
    task.observe(state, obs_type)


# Texts.


@pytest.mark.parametrize(
    "run",
    ["QmFzZTY0", "_", "中文字", "ภาษาไทย", ".", "a.", "-", "@", "a@", "me@x.com,", "#a", "1,", "'"],
)
def test_words_of_a_run_without_spaces(run: str) -> None:
    def prepare(n: int) -> Run:
        text = (run * n)[:n]
        return lambda: split_words(text)

    assert_linear(prepare, 24_000)


@pytest.mark.parametrize("run", [".", "!?", ".)", "He came. ", "a. ", ". ", ".\n", "\n"])
def test_sentences_of_a_long_text(run: str) -> None:
    def prepare(n: int) -> Run:
        text = (run * n)[:n]
        return lambda: split_sentences(text)

    assert_linear(prepare, 20_000 if run == "He came. " else 3000)


def test_spans_of_characters_cut_a_text_into_words() -> None:
    def prepare(n: int) -> Run:
        text, spans = "ab " * n, [(3 * i, 3 * i + 1) for i in range(n)]
        return lambda: cut_words(text, spans)

    assert_linear(prepare, 8000)


# JSON.


def refuse(text: str) -> None:
    """Read a bad line, and the same as a whole file."""
    with pytest.raises(RowError):
        load_json(text)
    parsed = Parsed()
    assert json_document([text], parsed) is None
    assert len(parsed.problems) == 1


@pytest.mark.parametrize(
    "bad",
    [
        lambda n: "{" + ",".join(f'"key {i}": 1' for i in range(n)) + ', "key 0": 2}',
        lambda n: '[{"a": 1, "a": 2}, "' + '\\"' * n,
        lambda n: '[{"a": 1, "a": 2}, "' + '\\"' * n + "\\",
        lambda n: '[{"a": 1, "a": 2}, ' + '"a\\",' * n,
        lambda n: "[" + '"x", ' * n + "NaN]",
        lambda n: "[" * n,
    ],
    ids=["keys", "unterminated", "backslash", "quotes", "constant", "depth"],
)
def test_json_that_is_refused(bad: Callable[[int], str]) -> None:
    def prepare(n: int) -> Run:
        text = bad(n)
        return lambda: refuse(text)

    assert_linear(prepare, 3000)


def test_json_names_the_line_of_a_repeated_key() -> None:
    parsed = Parsed()
    assert json_document(['[{"a": "b"},', '{"b": 1, "a": {"b": 2},', ' "b": 3}]'], parsed) is None
    assert [(p.line, p.message) for p in parsed.problems] == [
        (3, "not JSON: an object has the key 'b' twice")
    ]


# Files.


def daily_dialogs(n: int) -> str:
    replies = [f"reply {i}" for i in range(n)]
    row = {"context": [f"turn {i}" for i in range(n)], "positive_responses": replies}
    return json.dumps({**row, "negative_responses": [f"no {reply}" for reply in replies]}) + "\n"


def aapd(n: int) -> dict[str, str]:
    return {"blank.text": "a text\n" + "\n" * n, "blank.label": ""}


def blank_entities(n: int) -> dict[str, str]:
    row = {"text": f"a{' ' * n}b", "entities": [[1, n, "X"]] * n}
    return {"row.jsonl": json.dumps(row) + "\n"}


def other_texts(n: int) -> dict[str, str]:
    marks = (f"T{i}\tX 0 {n}\tword\n" for i in range(n))
    return {"text.ann": "".join(marks), "text.txt": "word " * n}


def dotted_lists(n: int) -> dict[str, str]:
    return {"lists.csv": f"text,labels\na text,[{'.' * n}x]\n"}


@pytest.mark.parametrize(
    ("family", "files", "n"),
    [
        ("dialogue", lambda n: {"replies.jsonl": daily_dialogs(n)}, 250),
        ("multilabel", aapd, 8000),
        ("multilabel", dotted_lists, 3000),
        ("tagging", blank_entities, 400),
        ("tagging", other_texts, 1600),
    ],
    ids=["dialogue", "blank-lines", "dots", "blank-entities", "texts-of-entities"],
)
def test_files(family: str, files: Callable[[int], dict[str, str]], n: int, tmp_path: Path) -> None:
    def prepare(n: int) -> Run:
        folder = tmp_path / str(n)
        folder.mkdir()
        for name, content in files(n).items():
            (folder / name).write_text(content, encoding="utf-8")
        path = folder / next(iter(files(n)))
        return lambda: check(path, family=family)

    assert_linear(prepare, n)


@pytest.mark.parametrize(
    ("of", "edge"),
    [
        (trim, lambda n: " \u200b" * n + "a"),
        (respelled, lambda n: "B_a" + " " * n + "b"),
        (one_line, lambda n: "\ta" + " " * n + "b"),
        (one_line, lambda n: "\ta" + " \t" * n + "b"),
    ],
    ids=["trim", "respelled", "one_line", "tabs"],
)
def test_blanks_of_a_label_or_message(
    of: Callable[[Any], object], edge: Callable[[int], str]
) -> None:
    def prepare(n: int) -> Run:
        text = edge(n)
        return lambda: of({text, "O"} if of is respelled else text)

    assert_linear(prepare, 5000)


# Labels: thousands of them, one per row or type.


def own_label(i: int) -> Sample:
    return Sample((f"word {i}", "is"), (f"label {i}", f"other {i}"))


def tagged(i: int) -> Sample:
    return Sample((f"word {i}", "is"), (f"B-type {i}", f"I-type {i}"))


def in_class(i: int) -> Sample:
    return Sample((f"word {i}", "is"), (f"label {i}",))


def with_pair(i: int) -> Sample:
    return Sample((f"word {i}", "is"), (f"label {i}",), extra={"pairs": ((0, 1, 1, 2),)})


def dialogue(i: int) -> Sample:
    extra = {"turns": ((f"word {i}",),), "said": ((),)}
    return Sample((f"word {i}",), None, extra=extra, gold=((f"act {i}",),))


LABELLED = [
    ("POS-v0", own_label),
    ("NER-v0", tagged),
    ("Classification-v0", in_class),
    ("MultiLabel-v0", own_label),
    ("Relation-v0", with_pair),
    ("DialoguePolicy-v0", dialogue),
]


@pytest.mark.parametrize(("env_id", "sample"), LABELLED, ids=[env_id for env_id, _ in LABELLED])
def test_a_label_of_its_own_per_row(env_id: str, sample: Callable[[int], Sample]) -> None:
    def prepare(n: int) -> Run:
        samples = [sample(i) for i in range(n)]

        def run() -> None:
            task = task_of(env_id, samples)
            played(task)
            task.observation_space("index")

        return run

    assert_linear(prepare, 1000)


@pytest.mark.parametrize(("env_id", "sample"), LABELLED, ids=[env_id for env_id, _ in LABELLED])
@pytest.mark.parametrize("obs_type", ["index", "features"])
def test_memory_of_a_label_of_its_own_per_row(
    env_id: str, sample: Callable[[int], Sample], obs_type: str
) -> None:
    def prepare(n: int) -> Run:
        samples = [sample(i) for i in range(n)]

        def run() -> Task:
            task = task_of(env_id, samples)
            played(task, obs_type=obs_type)
            return task

        return run

    assert_linear_memory(prepare, 1200)


def scores(n: int) -> dict[str, Run]:
    tags = [(f"B-type {i}", f"I-type {i}") for i in range(n)]
    labels = [(f"label {i}",) for i in range(n)]
    metric = RelationF1((), none="none")
    directed = RelationF1((), none="none", directed=True)
    return {
        "entities": lambda: EntityF1((), ()).score(tags, tags, bootstrap=0),
        "relations": lambda: metric.score(labels, labels, bootstrap=10),
        "directed": lambda: directed.score(labels, labels, bootstrap=10),
        "multilabel": lambda: multilabel_f1(labels, labels, bootstrap=10),
    }


@pytest.mark.parametrize("name", [*scores(1)])
def test_scores_of_many_labels(name: str) -> None:
    assert_linear(lambda n: scores(n)[name], 1000)


@pytest.mark.parametrize("name", [*scores(1)])
def test_memory_of_scores_of_many_labels(name: str) -> None:
    assert_linear_memory(lambda n: scores(n)[name], 1000)


def test_memory_of_a_dialogue_with_acts_of_its_own() -> None:
    def prepare(n: int) -> Run:
        turns = tuple((f"word {i}",) for i in range(n))
        extra = {"turns": turns, "said": ((),) * n}
        gold = tuple((f"act {i}",) for i in range(n))
        samples = [Sample(tuple(w for t in turns for w in t), None, extra=extra, gold=gold)]

        def run() -> Task:
            task = task_of("DialoguePolicy-v0", samples)
            played(task)
            return task

        return run

    assert_linear_memory(prepare, 1000)


# One long text.


def test_predictions_of_a_text_with_many_entities() -> None:
    def prepare(n: int) -> Run:
        item = from_words([f"word{i}" for i in range(n)])
        labels = [f"B-type {i}" for i in range(n)]

        # A fresh input: `words` may be kept by one that was used before.
        def run() -> Any:
            fresh = Input(item.text, item.sentences)
            fields = kinds.tagged(fresh, labels, [0.5] * n)
            marked = TaggedText(
                text=fresh.text, **fields, entities=kinds.entities(fresh, fields["tokens"])
            )
            return to_text(marked.to_dict())

        return run

    assert_linear(prepare, 3200)


def question(text: tuple[str, ...], answers: list[tuple[int, int]]) -> Sample:
    ends = np.cumsum([len(word) + 1 for word in text]).tolist()
    spans = tuple((end - 1 - len(w), end - 1) for w, end in zip(text, ends, strict=True))
    whole = " ".join(text)
    gold = tuple((whole[spans[a][0] : spans[b][1]], a, b) for a, b in answers)
    extra = {"question": ("who",), "text": whole, "spans": spans, "qid": ""}
    return Sample(text, None, extra=extra, gold=gold)


def answered(task: Task) -> None:
    """Play an episode of each question to its end, with its score."""
    task.score(rollout(task, "oracle"), bootstrap=0)
    state = task.initial(np.arange(len(task.corpus)))
    for _ in range(2):
        task.transition(state, task.oracle(state))
    task.potential(state)


def test_units_of_a_long_passage() -> None:
    def prepare(n: int) -> Run:
        samples = [question(tuple(f"word{i}" for i in range(n)), [(0, 0)])]
        return lambda: task_of("SpanQA-v0", samples).units

    assert_linear(prepare, 20_000)


def test_memory_of_many_answers_to_a_question() -> None:
    def prepare(n: int) -> Run:
        samples = [question(tuple(f"word{i}" for i in range(n)), [(i, i) for i in range(n)])]

        def run() -> Task:
            task = task_of("SpanQA-v0", samples, max_words=600)
            answered(task)
            return task

        return run

    assert_linear_memory(prepare, 1000)


def test_memory_of_a_question_with_many_answers_among_others() -> None:
    def prepare(n: int) -> Run:
        text = tuple(f"word{i}" for i in range(n))
        samples = [question(text, [(i, i) for i in range(n)])]
        samples += [question((f"word{i}", "b"), [(0, 0)]) for i in range(n)]

        def run() -> Task:
            task = task_of("SpanQA-v0", samples, max_words=10)
            answered(task)
            return task

        return run

    assert_linear_memory(prepare, 300)


def test_an_answer_is_compared_with_many_golds() -> None:
    def prepare(n: int) -> Run:
        said, golds = " ".join(f"word{i}" for i in range(n)), [f"gold{i}" for i in range(n)]
        return lambda: answer_f1(said, golds)

    assert_linear(prepare, 300)


def test_tokens_of_spans_that_are_long() -> None:
    def prepare(n: int) -> Run:
        words = tuple(f"word{i}" for i in range(n))
        pairs = tuple((0, 1, i, i + 1) for i in range(1, n))
        samples = [Sample(words, ("R",) * (n - 1), extra={"pairs": pairs})]
        task = task_of("Relation-v0", samples, typed=False)

        def run() -> None:
            task.__dict__.pop("token_view", None)
            played(task, "tokens")

        return run

    assert_linear(prepare, 1200)


@pytest.mark.slow
def test_vectors_of_spans_in_many_blocks() -> None:
    encoder = load_encoder("hashed", dim=1)

    def prepare(n: int) -> Run:
        units = Units([("a",) * 4000] * n, np.array([(i // 4000, 0, 1) for i in range(4000 * n)]))
        return lambda: encode_units(units, encoder, cache=False)

    assert_linear(prepare, 100)


def test_pictures_of_many_decisions() -> None:
    def prepare(n: int) -> Run:
        pieces = [Piece("word", "chosen", "label", line=True) for _ in range(n)]
        return lambda: draw("rgb_array", Frame("title", "place", pieces), 0.0)

    assert_linear(prepare, 1000)


# Written texts and references.


def document(sentences: int, references: list[str], i: int = 0) -> Sample:
    texts = tuple(f"a{k} b{i}." for k in range(sentences))
    cut = tuple(tuple(text.split()) for text in texts)
    extra = {"sentences": cut, "sentence_texts": texts}
    words = tuple(word for sentence in cut for word in sentence)
    return Sample(words, None, extra=extra, gold=tuple(references))


def summarised(samples: list[Sample]) -> Task:
    task = task_of("Summary-v0", samples, max_sentences=4)
    state = task.initial(np.arange(min(4, len(samples))))
    task.transition(state, task.oracle(state))
    return task


def test_many_references_of_a_summary() -> None:
    def prepare(n: int) -> Run:
        samples = [document(3, [f"a{k} word{k}" for k in range(n)])]
        return lambda: summarised(samples)

    assert_linear(prepare, 400)


def test_memory_of_a_long_summary_among_others() -> None:
    def prepare(n: int) -> Run:
        long = document(3, [" ".join(f"word{k}" for k in range(2 * n))])
        samples = [long, *(document(3, ["a0"], i) for i in range(n))]
        return lambda: summarised(samples)

    assert_linear_memory(prepare, 400)


def written(references: list[list[str]], **kwargs: Any) -> Task:
    samples = [Sample((f"word{i}",), gold=tuple(texts)) for i, texts in enumerate(references)]
    task = task_of("Generation-v0", samples, vocabulary_size=300, tokens="character", **kwargs)
    played(task)
    return task


@pytest.mark.parametrize("metric", ["bleu", "chrf", "rougeL"])
def test_memory_of_many_references_of_a_text(metric: str) -> None:
    def prepare(n: int) -> Run:
        return lambda: written([[f"text {k}" for k in range(n)], ["b"]], metric=metric)

    assert_linear_memory(prepare, 400)


@pytest.mark.parametrize("metric", ["bleu", "rougeL"])
def test_memory_of_a_long_reference_among_others(metric: str) -> None:
    def prepare(n: int) -> Run:
        long = " ".join(f"w{k}" for k in range(n))
        return lambda: written([[long], *([f"text {k}"] for k in range(n))], metric=metric)

    assert_linear_memory(prepare, 1200)


def test_memory_of_sentence_bleu_with_a_long_reference_among_others() -> None:
    def prepare(n: int) -> Run:
        long = " ".join(f"w{k}" for k in range(n))
        texts = ["the cat sat on the mat"] * n
        references = [[long], *([text] for text in texts[1:])]
        return lambda: sentence_bleu(texts, references)

    assert_linear_memory(prepare, 1000)


def test_rouge_of_long_texts() -> None:
    def prepare(n: int) -> Run:
        gold = " ".join(f"w{k}" for k in range(n))
        said = " ".join(f"w{7 * k % n}" for k in range(n))
        options: dict[str, Any] = {"value": "rougeL", "rouge_tokenizer": "unicode"}
        return lambda: generation_score(
            [[gold]], [said], [""], bootstrap=0, report=False, **options
        )

    assert_linear(prepare, 500)


def test_rouge_of_a_run_of_y() -> None:
    """The stemmer of NLTK calls itself for each of them."""
    text = "y" * 5000
    score = generation_score([[text]], [text], [""], value="rouge1", bootstrap=0, report=False)
    assert score.value == 1.0


# Memory of a corpus.


@pytest.mark.slow
@pytest.mark.parametrize(("family", "most"), [("tagging", 1200), ("classification", 1100)])
def test_memory_of_a_sentence(family: str, most: int, tmp_path: Path) -> None:
    """Objects of a sentence of 20 words once it is read, in bytes; in a process of its own.

    Words that other tests have read fill the tables by which equal words are one object.
    """
    from benchmarks.memory.corpus import write_corpus

    path, n = tmp_path / ("a.conll" if family == "tagging" else "a.csv"), 20_000
    write_corpus(path, n, 20, family)
    code = (
        "import sys, tracemalloc; from nlp_gym.data import load_corpus; tracemalloc.start();"
        "c = load_corpus(None, 'train', data={'train': sys.argv[1]}, family=sys.argv[2]);"
        "print(len(c), tracemalloc.get_traced_memory()[0])"
    )
    root = Path(__file__).resolve().parent.parent
    command = [sys.executable, "-c", code, str(path), family]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    read, size = map(int, done.stdout.split())
    assert read == n
    assert size / n < most
