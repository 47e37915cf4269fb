"""The finetuning benchmarks run offline with a tiny encoder, and count what they say they do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import save_bert, word_piece

from benchmarks.finetune import comparison
from benchmarks.finetune.supervised import Finetuned, Recipe
from benchmarks.finetune.tables import differences, table, tag_table, time_to
from benchmarks.finetune.texts import repaired
from benchmarks.speed import gpu
from nlp_gym import make_task

pytestmark = pytest.mark.filterwarnings("ignore")  # the bundled sample's, and one epoch's


@pytest.fixture(scope="module")
def long_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT with room for a question and a passage."""
    from tokenizers.processors import TemplateProcessing

    tokenizer = word_piece()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    folder = tmp_path_factory.mktemp("long_bert")
    return save_bert(folder, tokenizer, max_position_embeddings=300)


def tasks_of(env_id: str, encoder: Path) -> dict[str, Any]:
    kwargs: dict[str, Any] = {"corpus": "sample", "encoder": str(encoder)}
    kwargs["encoder_kwargs"] = {"layers": "last"}
    train = make_task(env_id, "train", **kwargs)
    kwargs["labels"] = list(train.labels) or None
    return {"train": train, **{s: make_task(env_id, s, **kwargs) for s in ("dev", "test")}}


def record(row: str, values: list[float], **test: Any) -> dict[str, Any]:
    curve = [
        {"timesteps": i, "train_seconds": 10.0 * i, "value": value}
        for i, value in enumerate(values)
    ]
    dev = {"value": max(values)}
    return {
        "row": row,
        "seed": 0,
        "curve": curve,
        "dev": dev,
        "test": {"value": 0.5, "interval": [0.4, 0.6], **test},
        "train_seconds": 10.0 * len(values),
        "evaluation_seconds": 1.0,
        "trained": 3,
        "trained_encoder": 1,
        "weights": 6,
        "texts": 4,
        "encoded": {"learning": 8, "acting": 2},
    }


def test_repair_begins_an_entity_where_none_is_open() -> None:
    tags = ["I-A", "I-A", "O", "I-B", "I-A", "B-A", "I-A"]
    assert repaired(tags) == ("B-A", "I-A", "O", "B-B", "B-A", "B-A", "I-A")
    assert repaired(["NOUN", "VERB"]) == ("NOUN", "VERB")


def test_time_to_does_not_count_the_start() -> None:
    warm = record("ppo", [0.9, 0.7, 0.9])
    assert time_to(warm, 0.8) == 20.0
    assert time_to(warm, 0.95) is None


def test_table_relates_times_to_the_supervised_row() -> None:
    lines = table([record("supervised", [0.0, 0.5, 1.0]), record("bc", [0.0, 0.98])])
    assert "10 (0.33 x) | never | never" in lines[-1]
    assert "50.0% (25.0%)" in lines[-1]
    assert "2.00 + 0.50 x 4" in lines[-1]


def test_differences_are_paired_and_signed() -> None:
    worse = record("supervised", [0.0, 0.5], counts=[[1, 2, 2]] * 50)
    better = record("bc", [0.0, 0.5], counts=[[2, 2, 2]] * 50)
    line = differences([worse, better])[-1]
    assert "`bc` | `supervised` | 1 | +0.5000 | +0.5000 to +0.5000" in line
    assert differences([worse]) == []


def test_tag_table_has_the_published_line() -> None:
    tags = {name: {"f1-score": 0.5} for name in ("B-LOC", "O", "macro avg")}
    lines = tag_table([record("bc", [0.0], tags=tags, counts=[])])
    assert lines[0] == "| token F1, test | B-LOC | O |"
    assert lines[2:] == ["| published | 0.916 | 0.994 |", "| `bc` | 0.500 | 0.500 |"]


@pytest.mark.parametrize(
    "env_id", ["NER-CoNLL-v0", "POS-EWT-v0", "Intent-CLINC-v0", "SpanQA-SQuAD-v0"]
)
def test_supervised_loss_falls_and_outputs_are_scored(env_id: str, long_bert: Path) -> None:
    tasks = tasks_of(env_id, long_bert)
    job = Finetuned(tasks, str(long_bert), Recipe(batch=8))
    from torch.optim import AdamW

    optimizer = AdamW(job.model.parameters(), lr=3e-3)
    batch, losses = job.texts["train"][:8], []
    for _ in range(30):
        optimizer.zero_grad()
        loss = job.loss(batch)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.8 * losses[0]
    score = tasks["dev"].score(job.outputs("dev"), bootstrap=0)
    assert 0 <= score.value <= 1
    assert score.n == len(tasks["dev"].corpus)


def test_supervised_targets_are_those_of_the_words(long_bert: Path) -> None:
    tasks = tasks_of("SpanQA-SQuAD-v0", long_bert)
    job = Finetuned(tasks, str(long_bert), Recipe())
    kept = []
    for text, sample in zip(job.texts["train"], tasks["train"].corpus.samples, strict=True):
        assert len(text.places) == len(sample.words)
        seen = [place for place in text.places if place >= 0]
        assert seen == sorted(seen)
        assert all(text.types[place] == 1 for place in seen)
        first, last = sample.gold[0][1:]
        cut = text.places[last] < 0
        assert text.target == ([-100, -100] if cut else [first, last])
        kept.append(not cut)
    assert any(kept)
    assert not all(kept)


@pytest.mark.slow
def test_finetune_measures_once_and_the_rows_add_up(tiny_bert: Path, tmp_path: Path) -> None:
    recipes = tmp_path / "recipes.yml"
    small = {"n_timesteps": 128, "n_envs": 8, "hyperparams": {"n_steps": 8, "batch_size": 64}}
    layers = {"env_kwargs": {"encoder_kwargs": {"layers": "last"}}}
    free = {"hyperparams": {"tuning": {"freeze_layers": None}}, **layers}
    small = {**small, **layers}
    small["hyperparams"] = {**small["hyperparams"], "tuning": {"freeze_layers": None}}
    recipes.write_text(yaml.safe_dump({"bc": free, "maskable_ppo": small}))
    arguments = ["--quick", "--encoder", str(tiny_bert), "--out", str(tmp_path / "out")]
    arguments += ["--recipes", str(recipes), "--evaluations", "2"]
    arguments += ["--rows", "supervised", "bc", "maskable_ppo", "supervised-long"]
    records = comparison.main(arguments)
    by_row = {r["row"]: r for r in records}
    for r in records:
        seconds = [point["train_seconds"] for point in r["curve"]]
        assert seconds == sorted(seconds)
        assert all(p["seconds"] >= p["train_seconds"] for p in r["curve"])
        assert len(r["curve"]) >= 2
    assert by_row["bc"]["encoded"]["learning"] >= by_row["bc"]["texts"] * 0.9
    ppo = by_row["maskable_ppo"]
    assert ppo["curve"][0]["train_seconds"] >= by_row["bc"]["train_seconds"]
    assert ppo["train_seconds"] > by_row["bc"]["train_seconds"]
    assert comparison.main(arguments) == records  # read, not measured again
    with pytest.raises(SystemExit, match="other settings"):
        comparison.main([*arguments, "--lr", "1e-3"])
    table_file = next((tmp_path / "out").glob("*/table.md"))
    assert "`supervised-long`" in table_file.read_text(encoding="utf-8")
    stored = json.loads(next((tmp_path / "out").glob("*/bc-0.json")).read_text())
    assert stored["row"] == "bc"


def test_gpu_without_cuda_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(SystemExit) as ended:
        gpu.main([])
    assert ended.value.code == 2
    assert "No CUDA device" in capsys.readouterr().err


def test_gpu_counts_the_operations_of_a_transformer() -> None:
    class Config:
        hidden_size, intermediate_size, num_hidden_layers = 2, 8, 3

    by_hand = 3 * (2 * 5 * (4 * 4 + 2 * 16) + 2 * (2 * 5 * 5 * 2))  # linear; scores, values
    assert gpu.forward_operations(Config, [5]) == by_hand


@pytest.mark.slow
def test_gpu_runs_on_the_processor(
    tiny_bert: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--encoder", str(tiny_bert), "--rows", "supervised", "--out", str(tmp_path)]
    gpu.main(["--device", "cpu", "--quick", *options])
    said = capsys.readouterr().out
    assert "TFLOP/s" in said
    assert "frozen encoding" in said
    assert "`supervised` | 0 |" in said
