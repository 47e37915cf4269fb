"""What an agent forgets that goes on learning, and what holds it: three sequences of stages.

    python benchmarks/learning/continual.py --data-dir DATA --out runs/continual --sequence ner
    python benchmarks/learning/continual.py --data-dir DATA --sequence trec --algo masked_dqn

- ``ner``: CoNLL-2003 (news), then WNUT-17 (posts), then the slots of two intents of SNIPS (what
  people ask an assistant). The last one stands for a file of one's own; every stage has labels that
  those before lack, and leaves theirs out.
- ``trec``: the six classes of TREC in three groups of two, one after the other.
- ``clinc``: intents of four domains of CLINC150, one domain after the other. None of the corpora
  has dates; the domains stand for what drifts.

Methods: ``naive`` (finetuning on the new data alone), ``replay`` (a share of old samples),
``distill`` and ``ewc`` (without old samples), and ``joint`` (all data at once from fresh weights,
with as many decisions as all stages together). Of each chain the matrix of every stage's test set
after every stage is scored (`nlp_gym_agents.evaluation.forgetting`). Printed are means over seeds,
with the smallest and the largest value, and seconds of the processor; the cells are in
``OUT/SEQUENCE-ALGO.json``, and what is there is not measured again.
"""

from __future__ import annotations

import argparse
import json
import re
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nlp_gym import make_task
from nlp_gym.files import write_json
from nlp_gym.messages import one_line_errors
from nlp_gym.tasks.core.task import Task
from nlp_gym.types import Sample
from nlp_gym_agents.algorithms.registry import resolve
from nlp_gym_agents.config.continual import stage_arguments, stage_corpora
from nlp_gym_agents.config.hyperparams import load_hyperparams
from nlp_gym_agents.config.train_config import TrainConfig
from nlp_gym_agents.evaluation.forgetting import forgetting_report
from nlp_gym_agents.models.build import build_model, encode, feature_source
from nlp_gym_agents.models.play import outputs_of
from nlp_gym_agents.models.stages import stage_split
from nlp_gym_agents.models.trained import load_trained
from nlp_gym_agents.networks.features.swap_source import swapped_source
from nlp_gym_agents.runs.folder import read_config
from nlp_gym_agents.training.continual import continue_run
from nlp_gym_agents.training.train import resume, train

SLOTS = ("GetWeather", "BookRestaurant")
"""Intents of SNIPS whose slots are the third stage of ``ner``."""
GROUPS = (("ABBR", "DESC"), ("ENTY", "HUM"), ("LOC", "NUM"))
DOMAINS = ("banking", "travel", "work", "kitchen_and_dining")
METHODS: dict[str, dict[str, float]] = {
    "naive": {},
    "replay": {"replay": 0.2},
    "distill": {"distill": 1.0},
    "ewc": {"ewc": 3000.0},
}
LENGTHS: dict[str, dict[str, tuple[int, ...]]] = {
    "ner": {"bc": (400_000, 400_000, 300_000)},
    "trec": {"bc": (40_000,) * 3, "masked_dqn": (20_000,) * 3, "maskable_ppo": (40_000,) * 3},
    "clinc": {"bc": (40_000,) * 4, "masked_dqn": (60_000,) * 4},
}
"""Decisions of each stage, by sequence and algorithm."""
IDS = {"ner": "NER-CoNLL-v0", "trec": "Question-TREC-v0", "clinc": "Intent-CLINC-v0"}


def write_samples(folder: Path, splits: Mapping[str, Sequence[Sample]], key: str) -> str:
    """Write samples as JSON Lines, one file per split, and give the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, samples in splits.items():
        lines = []
        for sample in samples:
            labels = list(sample.labels or ())
            gold = labels if key == "labels" else labels[0]
            lines.append(json.dumps({"words": list(sample.words), key: gold}, ensure_ascii=False))
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(folder)


def slots(data_dir: Path, split: str) -> list[Sample]:
    """Utterances of SNIPS with a BIO tag per word."""
    found = []
    for intent in SLOTS:
        name = f"train_{intent}_full" if split == "train" else f"validate_{intent}"
        text = (data_dir / "snips" / f"{name}.json").read_text(encoding="utf-8")
        for row in json.loads(text)[intent]:
            words: list[str] = []
            labels: list[str] = []
            for part in row["data"]:
                own = re.findall(r"\w+|[^\w\s]", part["text"])
                kind = part.get("entity")
                words += own
                labels += [f"{'I' if i else 'B'}-{kind}" if kind else "O" for i in range(len(own))]
            if words:
                found.append(Sample(tuple(words), tuple(labels)))
    return found


def stages_of(sequence: str, data_dir: Path, out: Path) -> list[tuple[str, str]]:
    """Name and data of each stage: an id, or a folder that is written here."""
    if sequence == "ner":
        training = slots(data_dir, "train")
        splits = {"dev": training[5::20]}
        splits["train"] = [sample for i, sample in enumerate(training) if i % 20 != 5]
        splits["test"] = slots(data_dir, "test")
        folder = write_samples(out / "data" / "snips-slots", splits, "labels")
        return [("conll2003", "NER-CoNLL-v0"), ("wnut17", "NER-WNUT-v0"), ("snips-slots", folder)]
    whole = {
        split: make_task(IDS[sequence], split, data_dir=data_dir, encoder="hashed").corpus.samples
        for split in ("train", "dev", "test")
    }
    groups: dict[str, Sequence[str]] = {"-".join(group): group for group in GROUPS}
    if sequence == "clinc":
        domains = json.loads((data_dir / "clinc150" / "domains.json").read_text(encoding="utf-8"))
        groups = {name: domains[name] for name in DOMAINS}
    return [
        (
            name,
            write_samples(
                out / "data" / f"{sequence}-{name}",
                {
                    k: [s for s in own if (s.labels or ("",))[0] in group]
                    for k, own in whole.items()
                },
                "label",
            ),
        )
        for name, group in groups.items()
    ]


def own_data(data: str) -> dict[str, Any]:
    """A stage's data as fields of `TrainConfig`."""
    return {"data": data} if "/" in data else {"env": data}


def run_chain(
    method: str, seed: int, args: argparse.Namespace, stages: Sequence[tuple[str, str]]
) -> dict[str, Any]:
    """Train a chain of runs, and score it."""
    lengths = LENGTHS[args.sequence][args.algo]
    folder = args.out / "runs" / f"{args.sequence}-{args.algo}-{seed}"
    fields: dict[str, Any] = {"env": IDS[args.sequence], "algo": args.algo}
    fields |= {"data_dir": str(args.data_dir), **own_data(stages[0][1])}
    began = time.process_time()
    first = folder / "first"
    if (first / "checkpoints").is_dir():
        resume(first, progress=False)  # what was stopped goes on, and what is finished stays
    else:
        config = TrainConfig(
            **fields,
            n_timesteps=lengths[0],
            eval_freq=lengths[0] // 4,
            seed=seed,
            ewc=METHODS["ewc"]["ewc"],  # so that the first stage keeps what the second needs
        )
        train(config, run_dir=first, progress=False)
    run = first
    for number, (name, data) in enumerate(stages[1:], 1):
        place = folder / f"{method}-{number}-{name}"
        if (place / "checkpoints").is_dir():
            resume(place, progress=False)
        else:
            settings = {"seed": seed, "eval_freq": lengths[number] // 4}
            options: dict[str, Any] = {"n_timesteps": lengths[number], "settings": settings}
            options |= {"run_dir": place, "progress": False}
            continue_run(run, data, **{**METHODS[method], **options})
        run = place
    found = forgetting_report(run)
    assert found is not None
    return {**found, "seconds": time.process_time() - began}


def run_joint(seed: int, args: argparse.Namespace, chain: Mapping[str, Any]) -> dict[str, Any]:
    """Train on the data of all stages at once, with the labels and tests of a chain."""
    began = time.process_time()
    last = load_trained(chain["runs"][-1])
    config = read_config(chain["runs"][-1])
    kwargs = {**last.settings["env_kwargs"], "labels": list(last.labels)}
    earlier = stage_corpora(last.env_id, "train", kwargs, config["stages"])
    train_task = make_task(last.env_id, "train", **kwargs, earlier=earlier)
    encode(train_task, progress=False)
    params = load_hyperparams(args.algo, IDS[args.sequence])
    n_envs = int(params.pop("n_envs", 1))
    for name in ("n_timesteps", "env_kwargs"):
        params.pop(name, None)
    row, total = resolve(args.algo), sum(LENGTHS[args.sequence][args.algo])
    model = build_model(row, train_task, params, n_envs=n_envs, seed=seed)
    model.learn(total, log_interval=None)  # type: ignore[arg-type]
    scores = [_scored(model, row.masked, task) for task in _tests(last, config)]
    return {
        "last": scores,
        "average": float(np.mean(scores)),
        "seconds": time.process_time() - began,
    }


def _tests(last: Any, config: Mapping[str, Any]) -> Iterator[Task]:
    for stage in config["stages"]:
        yield stage_split(last, stage["arguments"])
    yield stage_split(last, stage_arguments(last.env_id, last.settings["env_kwargs"]))


def _scored(model: Any, masked: bool, task: Task) -> float:
    encode(task, progress=False)
    source = feature_source(task, "index", model.device)
    assert source is not None
    with swapped_source(model.policy, source):
        outputs = outputs_of(model, task, masked=masked)
    return task.score(outputs, bootstrap=0, report=False).value


def printed(values: Sequence[float]) -> str:
    """Mean, smallest and largest."""
    return f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def print_table(cells: Mapping[str, Any], stages: Sequence[str]) -> None:
    """A Markdown table of all cells of a sequence."""
    names = " | ".join(stages)
    print(f"\n| method | seeds | {names} | average | forgetting | backward | forward | seconds |")
    print("|" + "---|" * (7 + len(stages)))
    methods = dict.fromkeys(key.split("/")[0] for key in cells)
    for method in methods:
        own = [cells[key] for key in cells if key.split("/")[0] == method]
        last = [cell["last"] if "last" in cell else cell["matrix"][-1] for cell in own]
        columns = [printed([row[j] for row in last]) for j in range(len(stages))]
        for name in ("average", "forgetting", "backward", "forward"):
            known = [cell[name] for cell in own if cell.get(name) is not None]
            columns.append(printed(known) if known else "")
        seconds = f"{np.mean([cell['seconds'] for cell in own]):.0f}"
        print(f"| {method} | {len(own)} | {' | '.join(columns)} | {seconds} |")


def main() -> None:
    """Measure what is not measured yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True, help="folder of the corpora")
    parser.add_argument("--out", type=Path, default=Path("runs/continual"))
    parser.add_argument("--sequence", choices=sorted(IDS), default="ner")
    parser.add_argument("--algo", default="bc")
    parser.add_argument(
        "--methods", nargs="+", default=["naive", "replay", "distill", "ewc", "joint"]
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    file = args.out / f"{args.sequence}-{args.algo}.json"
    cells: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
    stages = stages_of(args.sequence, args.data_dir, args.out)
    warnings.simplefilter("ignore")
    for seed in args.seeds:
        for method in args.methods:
            key = f"{method}/{seed}"
            if key in cells:
                continue
            if method == "joint":
                known = [k for k in cells if k.endswith(f"/{seed}") and "runs" in cells[k]]
                if not known:
                    continue  # it takes labels and tests from a chain
                cells[key] = run_joint(seed, args, cells[known[0]])
            else:
                cells[key] = run_chain(method, seed, args, stages)
            write_json(file, cells)
    print_table(cells, [name for name, _ in stages])


if __name__ == "__main__":
    with one_line_errors():
        main()
