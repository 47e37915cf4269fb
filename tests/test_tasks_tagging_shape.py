"""What words look like: every flag by hand, all kinds of observation, raw text, older runs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from nlp_gym.data.text.shapes import OWN_FLAGS, SHAPE_FLAGS, ShapeTable, own_flags
from nlp_gym.errors import InvalidArgumentError, RunError
from nlp_gym.files import sha256_file
from nlp_gym.tasks.core.make import make_task
from nlp_gym.tasks.core.rollout import rollout
from nlp_gym.types import Corpus, Sample
from nlp_gym_agents import load_agent
from nlp_gym_agents.config.train_config import TrainConfig
from nlp_gym_agents.evaluation.evaluate import evaluate
from nlp_gym_agents.models.trained import load_trained
from nlp_gym_agents.networks.features.source import FeatureSource
from nlp_gym_agents.training.train import resume, train

N = len(SHAPE_FLAGS)
KINDS = ("index", "tokens", "features")


@pytest.mark.parametrize(
    ("word", "flags"),
    [
        ("house", "lower"),
        ("Oslo", "title"),
        ("EU", "upper"),
        ("I", "capital roman"),
        ("iPhone", "camel"),
        ("McDonald's", "mixed apostrophe"),
        ("O’Neill", "mixed apostrophe"),
        ("U.S.", "upper period acronym"),
        ("e.g.", "lower period acronym"),
        ("J.", "capital period initial"),
        ("Corp.", "title period"),
        ("MCMXCVI", "upper roman"),
        ("IIII", "upper"),
        ("Anglo-Saxon", "mixed hyphen"),
        ("AT&T", "upper sign"),
        ("and/or", "lower sign"),
        ("#nlp", "lower sign handle"),
        ("@Ann", "title sign handle"),
        ("www.ab.no", "lower period link"),
        ("https://ab.no", "lower period sign link"),
        ("1996", "digit number year"),
        ("1,000", "digit number sign"),
        ("3-2", "digit number hyphen"),
        ("4th", "lower digit code"),
        ("A4", "capital digit code"),
        # German, Polish, Greek, Russian; a letter and its accent apart.
        ("Straße", "title"),
        ("STRASSE", "upper"),
        ("Änderungs-ID", "mixed hyphen"),
        ("Żółć", "title"),
        ("Αθήνα", "title"),
        ("США", "upper"),
        ("E\u0301cole", "title"),
        ("ǅep", "title"),
        # Scripts without case have no flag; their digits are digits.
        ("中国", ""),
        ("東京タワー", ""),
        ("القاهرة", ""),
        ("ไทย", ""),
        ("١٩٩٦", "digit number year"),
        ("5月", "digit code"),
        (",", "punctuation"),
        ("--", "punctuation"),
        ("。", "punctuation"),
        ("$", "symbol"),
        ("🙂", "symbol"),
        ("👨\u200d👩\u200d👧", "symbol"),
        (":-)", "punctuation"),
        ("", ""),
        ("[MASK]", ""),
        ("<unk>", ""),
    ],
)
def test_shape_flags_of_a_word_by_hand(word, flags):
    assert {n for n, on in zip(OWN_FLAGS, own_flags(word), strict=True) if on} == {*flags.split()}


TEXTS = [
    Sample(('"', "The", "iPhone", "sold", "1996"), ("O", "O", "B-X", "O", "O")),
    Sample(("OSLO", "1-0", "ROMA"), ("B-X", "O", "B-X")),
    Sample(("他", "在", "中国", "2008"), ("O", "O", "B-X", "O")),
    Sample(("x",), ("O",)),
]


def task_of(samples=TEXTS, **kwargs):
    return make_task("NER-v0", data=samples, encoder="hashed", labels=["O", "B-X", "I-X"], **kwargs)


def named(row):
    return {name for name, on in zip(SHAPE_FLAGS, row, strict=True) if on}


def test_shape_table_knows_where_a_word_stands_and_what_its_text_is():
    table = ShapeTable(Corpus("x", "train", TEXTS, ()))
    seen = [named(row) for row in table.rows[table.numbers]]
    assert seen == [
        {"punctuation", "first"},
        {"title", "first"},  # a quotation mark is no word with a letter
        {"camel"},
        {"lower"},
        {"digit", "number", "year"},
        {"upper", "first", "capitals"},
        {"digit", "number", "hyphen", "capitals"},
        {"upper", "capitals"},
        {"first"},
        set(),
        set(),
        {"digit", "number", "year"},
        {"lower", "first"},
        set(),  # no word
    ]


def test_shape_is_of_the_words_in_the_window_in_all_observations():
    task = task_of(window=1)
    state = task.initial(np.arange(3))
    source, looked_up = FeatureSource(task), torch.empty(3, 3 * N)
    for number in range(4):  # the second text is read to its end
        seen = {kind: task.observe(state, kind)["flags"] for kind in ("tokens", "features")}
        assert seen["tokens"].dtype == np.int8
        assert seen["features"].dtype == np.float32
        # The agents' side looks them up by what `index` observations name.
        named_by = task.observe(state, "index")
        assert "flags" not in named_by
        place = (torch.from_numpy(named_by[key]) for key in ("row", "position"))
        source.flags_into(looked_up, *place)
        seen["index"] = looked_up.numpy()
        for kind, values in seen.items():
            assert values.shape == (3, 3 * N)
            assert np.array_equal(values, seen["tokens"])
            if kind != "index":
                space = task.observation_space(kind)["flags"]
                assert all(space.contains(row) for row in values)
        for b, (row, place) in enumerate(zip(state.row, task.position(state), strict=True)):
            words = task.sample(int(row)).words
            for k, shift in enumerate((-1, 0, 1)):
                part = seen["tokens"][b].reshape(3, N)[k, : len(OWN_FLAGS)]
                there = place < len(words) and 0 <= place + shift < len(words)
                expected = own_flags(words[place + shift]) if there else own_flags("")
                assert np.array_equal(part, expected)
        if number < 3:
            task.transition(state, np.zeros(3, int))


def test_shape_can_be_left_out():
    task = task_of(shape=False)
    state = task.initial(np.array([0]))
    for kind in KINDS:
        assert "flags" not in task.observation_space(kind).spaces
        assert "flags" not in task.observe(state, kind)
    with pytest.raises(InvalidArgumentError, match="shape='no'"):
        task_of(shape="no")


@pytest.mark.parametrize("shape", [True, False])
def test_shape_changes_neither_oracle_nor_score(shape):
    task = task_of(shape=shape)
    outputs = rollout(task, "oracle")
    assert outputs == [sample.labels for sample in TEXTS]
    assert task.score(outputs, bootstrap=0).value == 1.0


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A tiny `bc` run with word shape."""
    folder = tmp_path_factory.mktemp("shape") / "run"
    config = TrainConfig(
        env="NER-CoNLL-v0",
        algo="bc",
        n_timesteps=2000,
        encoder="hashed",
        env_kwargs={"corpus": "sample"},
        device="cpu",
    )
    train(config, run_dir=folder, progress=False)
    return folder


def test_shape_is_on_and_in_the_settings_of_a_run(run):
    settings = json.loads((run / "best" / "settings.json").read_text())
    assert settings["env_kwargs"]["shape"] is True
    assert load_trained(run).task("dev").shape


def test_shape_is_seen_in_predictions_on_raw_text(run):
    agent = load_agent(run)
    (tags,) = agent.predict(["Ann Lee left 中国 🙂 for U.S. soil ."])
    assert [token.text for token in tags.tokens][:3] == ["Ann", "Lee", "left"]
    task = load_trained(run).task("test", data=[Sample(("Oslo", "中国"))])
    state = task.initial(np.array([0]))
    assert named(task.observe(state, "tokens")["flags"][0].reshape(3, N)[1]) == {"title", "first"}


def test_shape_follows_a_text_that_is_perturbed_or_explained(run):
    model = load_trained(run)
    plain, lower = model.task("dev"), model.task("dev", perturb="lower")
    titles = [int(task.slot_flags["flags"].rows[:, N + 1].sum()) for task in (plain, lower)]
    assert titles[0] > 0 == titles[1]
    (trace,) = load_agent(run).explain([["Ann", "left", "Oslo"]], relevance="occlusion")
    assert all(len(decision.relevance) == 3 for decision in trace.decisions)


def older(run: Path, target: Path, **kwargs) -> Path:
    """A run without word shape whose files do not name it, as those before it came."""
    config = TrainConfig(
        env="NER-CoNLL-v0",
        algo="bc",
        n_timesteps=1000,
        encoder="hashed",
        env_kwargs={"corpus": "sample", "shape": False},
        device="cpu",
        **kwargs,
    )
    train(config, run_dir=target, progress=False)
    for path in target.rglob("settings.json"):
        settings = json.loads(path.read_text())
        assert settings["env_kwargs"].pop("shape") is False
        path.write_text(json.dumps(settings))
        manifest = path.parent / "manifest.json"
        listed = json.loads(manifest.read_text())
        listed["files"]["settings.json"] = sha256_file(path)
        manifest.write_text(json.dumps(listed))
    path = target / "config.yml"
    text = path.read_text()
    assert "  shape: false\n" in text
    path.write_text(text.replace("  shape: false\n", ""))
    return target


def test_shape_is_off_for_runs_that_were_trained_without_it(run, tmp_path):
    old = older(run, tmp_path / "old")
    assert not load_trained(old).task("dev").shape
    assert evaluate(old, split="dev").value >= 0.0
    assert len(load_agent(old).predict(["Ann left Oslo ."])) == 1
    # Its training goes on without it too.
    resume(old, progress=False, n_timesteps=2000)
    assert not load_trained(old, checkpoint="last").task("dev").shape
    # As a start of an agent that sees more it is refused, with the way out.
    config = TrainConfig(
        env="NER-CoNLL-v0",
        algo="maskable_ppo",
        n_timesteps=10,
        encoder="hashed",
        env_kwargs={"corpus": "sample"},
        warm_start=str(old),
        device="cpu",
    )
    with pytest.raises(RunError, match=r"shape=False.*--env-kwargs shape:false"):
        train(config, run_dir=tmp_path / "new", progress=False)
