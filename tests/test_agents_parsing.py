"""Agents on a task whose states name their words: all ways to the vectors agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as th
from conftest import as_tensors, oracle_states, tiny_task

from nlp_gym import make_task
from nlp_gym.data import read
from nlp_gym.errors import InvalidArgumentError
from nlp_gym.tasks.parsing.task import Parsing
from nlp_gym_agents.config.train_config import TrainConfig
from nlp_gym_agents.networks.features.extractor import NLPExtractor
from nlp_gym_agents.networks.features.open_corpora import corpus_number
from nlp_gym_agents.networks.features.source import FeatureSource
from nlp_gym_agents.prediction.agent import Agent
from nlp_gym_agents.prediction.parsed import ParsedText, source_rows, words_of
from nlp_gym_agents.training.train import train

SAMPLE: dict[str, Any] = {"corpus": "sample", "encoder": "hashed", "encoder_kwargs": {"dim": 8}}


def test_an_encoder_that_learns_is_asked_for_the_words_of_the_row(tiny_bert: Path) -> None:
    task = tiny_task("Parsing-EWT-v0", tiny_bert)
    frozen, live = FeatureSource(task, "cpu"), FeatureSource(task, "cpu", trainable=True)
    texts = live.unit_texts
    assert texts is not None
    for state in oracle_states(task):
        obs = as_tensors(task.observe(state, "index"))
        parts = obs["row"], obs["position"], obs["words"]
        units = frozen.context(*parts)
        assert th.equal(units, live.context(*parts))
        known = units[units < frozen.n_units].numpy().astype(np.int64)
        rows = np.unique(state.row)
        assert np.unique(texts.texts_of(known)).tolist() == rows.tolist()
        assert live.texts_of(rows).tolist() == rows.tolist()


def test_tables_with_other_words_are_another_corpus() -> None:
    few = make_task("Parsing-EWT-v0", seen=["s0", "b0"], **SAMPLE)
    assert corpus_number(few) != corpus_number(make_task("Parsing-EWT-v0", **SAMPLE))


def test_a_mixture_refuses_states_that_name_their_words() -> None:
    with pytest.raises(InvalidArgumentError, match="its states name"):
        make_task("MultiTask-v0", tasks=["POS-EWT-v0", "Parsing-EWT-v0"], **SAMPLE)


def test_trees_are_written_as_conllu() -> None:
    record = {"words": ["a\tb", "c"], "heads": [2, 0], "relations": ["det", "root"]}
    result = ParsedText(record=record, words=words_of(record), text="a b c", id="x:1")
    assert result.to_conllu() == (
        "# sent_id = x:1\n# text = a b c\n"
        "1\ta b\t_\t_\t_\t_\t2\tdet\t_\t_\n2\tc\t_\t_\t_\t_\t0\troot\t_\t_\n\n"
    )
    assert ParsedText().to_conllu() == ""


@pytest.mark.parametrize(
    ("text", "joined"),
    [
        ("Hi, you, you", [True, False, True, False, False]),
        ("other", [False] * 5),
        (None, [False] * 5),
    ],
)
def test_conllu_says_where_no_space_follows(text: str | None, joined: list[bool]) -> None:
    words = ["Hi", ",", "you", ",", "you"]
    record = {"words": words, "heads": [0, 1, 1, 1, 1], "relations": ["root"] + ["dep"] * 4}
    parsed = ParsedText(record=record, words=words_of(record), text=text)
    rows = [row.split("\t") for row in parsed.to_conllu().splitlines()]
    assert [row[9] == "SpaceAfter=No" for row in rows if len(row) == 10] == joined


SOURCE = (
    "# sent_id = fr-1\n# text = Je vais au marché.\n# note = kept as it is\n"
    "1\tJe\til\tPRON\tCL\tPerson=1\t_\t_\t_\t_\n"
    "2\tvais\taller\tVERB\tV\tMood=Ind\t9\tdep\t9:dep\t_\n"
    "3-4\tau\t_\t_\t_\t_\t_\t_\t_\t_\n"
    "3\tà\tà\tADP\tP\t_\t_\t_\t_\t_\n4\tle\tle\tDET\tD\t_\t_\t_\t_\t_\n"
    "4.1\tvais\taller\tVERB\tV\t_\t_\t_\t2:conj\t_\n"
    "5\tmarché\tmarché\tNOUN\tN\tGender=Masc\t_\t_\t_\tSpaceAfter=No\n"
    "6\t.\t.\tPUNCT\tPONCT\t_\t_\t_\t_\t_\n\n"
)


def test_trees_are_written_into_the_conllu_that_was_read(tmp_path: Path) -> None:
    """Comments, tags, features and multi-word tokens stay; what is of another tree does not."""
    config = TrainConfig(env="Parsing-EWT-v0", algo="bc", n_timesteps=200, env_kwargs=SAMPLE)
    agent = Agent(train(config, run_dir=tmp_path / "run", progress=False))
    file = tmp_path / "fr.conllu"
    file.write_text(SOURCE * 2, encoding="utf-8")
    results = agent.predict(agent.gather(None, file))
    assert [result.id for result in results] == ["fr-1", "fr-1"]
    assert "rows" not in results[0].to_dict()
    written = results[0].to_conllu()
    before = [row.split("\t") for row in SOURCE.splitlines() if not row.startswith("4.1")]
    after = [row.split("\t") for row in written.splitlines()]
    assert written.endswith("\n\n")
    assert len(before) == len(after)
    for old, new in zip(before, after, strict=True):
        assert old[:6] + old[9:] == new[:6] + new[9:]
        if old[0].isdecimal():
            word = results[0].words[int(old[0]) - 1]
            assert new[6:9] == [str(word.head), word.relation, "_"]
    file.write_text("".join(result.to_conllu() for result in results), encoding="utf-8")
    assert len(read(file, family="parsing")) == 2  # whole trees


@pytest.mark.parametrize("words", [("Je",), ("Je", "vais", "à", "le", "marché", "!")])
def test_trees_of_other_words_are_not_written_into_the_rows(words: tuple[str, ...]) -> None:
    """Samples that were changed still have the lines that they were read from."""
    rows = SOURCE.rstrip("\n").split("\n")
    assert source_rows(words, rows) == ()
    assert source_rows(("Je", "vais", "à", "le", "marché", "."), rows) == tuple(rows)


def test_rows_are_without_comments_of_another_prefix(tmp_path: Path) -> None:
    file = tmp_path / "a.conllu"
    file.write_text("% c-1\n%1\tno row\n" + SOURCE, encoding="utf-8")
    (sample,) = read(file, "conllu", family="parsing", gold=False, comments="%")
    assert list(sample.extra["rows"]) == SOURCE.rstrip("\n").split("\n")


def test_agents_look_up_the_shape_of_the_words_that_states_name() -> None:
    task = make_task("Parsing-EWT-v0", shape=True, **SAMPLE)
    index = NLPExtractor(task.observation_space("index"), FeatureSource(task, "cpu"), hidden=[8])
    given = NLPExtractor(task.observation_space("features"), hidden=[8])
    for state in oracle_states(task):
        one = index.read(as_tensors(task.observe(state, "index")))
        assert th.equal(one, given.read(as_tensors(task.observe(state, "features"))))
    assert corpus_number(task) != corpus_number(make_task("Parsing-EWT-v0", **SAMPLE))
    # Runs of before there were shapes go on without them, whatever the default is.
    assert Parsing.later_arguments == {"shape": False}
