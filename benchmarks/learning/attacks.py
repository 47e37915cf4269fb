"""Attacks on agents that were trained with and without something against them.

    python -m benchmarks.learning.attacks --data-dir DIR  # resumable
    python -m benchmarks.learning.attacks --data-dir DIR --env Question-TREC-v0 --rows plain typos
    python -m benchmarks.learning.attacks --data-dir DIR --rows finetuned fgm pgd --seeds 0 1 2
    python -m benchmarks.learning.attacks --quick  # a try

Rows: `plain`; `typos` (`--augment typos`); `changes` (`--augment changes:8`); `attack`
(`--adversarial attack:` the plain run); `renewed` (that run is attacked again, and both sets of
copies are learned from); `finetuned` (the encoder learns), and it with `changes:4`, `fgm` or `pgd`.
All rows of an id have the same training texts, of which `--train-texts` draws some, and the same
attacked texts of the test split.
What is lost is the fall of the metric on these; a row's share is of what the plain row loses.

Each row and seed is a JSON file under `--out`; what is there is not measured again. Seconds are
those of this process.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nlp_gym import make_task
from nlp_gym.files import atomic_path, write_json
from nlp_gym.messages import one_line_errors
from nlp_gym.types import SPLITS, Sample
from nlp_gym_agents.attack.run import attack_run
from nlp_gym_agents.attack.search import SearchLimits
from nlp_gym_agents.config.train_config import TrainConfig
from nlp_gym_agents.evaluation.evaluate import evaluate
from nlp_gym_agents.training.train import resume, train

ENVS = ("NER-CoNLL-v0", "Sentiment-SST2-v0", "Question-TREC-v0")
LEARNS: Mapping[str, Any] = {"encoder_mode": "finetune"}
ROWS: Mapping[str, Mapping[str, Any]] = {
    "plain": {},
    "typos": {"env_kwargs": {"augment": ["typos"]}},
    "changes": {"env_kwargs": {"augment": ["changes:8"]}},
    "attack": {"adversarial": "attack:{plain}"},
    "renewed": {
        "adversarial": "attack:{attack}",
        "env_kwargs": {"augment": ["copies:{attack}/attacked.json"]},
    },
    "finetuned": LEARNS,
    "finetuned-changes": {**LEARNS, "env_kwargs": {"augment": ["changes:4"]}},
    "fgm": {**LEARNS, "adversarial": "fgm"},
    "pgd": {**LEARNS, "adversarial": "pgd"},
}
"""Fields of `TrainConfig` by row; ``{plain}`` stands for the run of that row."""
FROZEN = ("plain", "typos", "changes", "attack")


@dataclass
class Comparison:
    """All rows of one id.

    Attributes:
        env: The id.
        out: Folder of its runs and records.
        base: Settings that all agents share.
        limits: Of the attacks.
        n: Texts of the test split that are attacked.
        train_texts: Training texts; None: all.
    """

    env: str
    out: Path
    base: TrainConfig
    limits: SearchLimits
    n: int
    train_texts: int | None

    def record(self, row: str, seed: int) -> dict[str, Any]:
        """One row, measured now if it is not there."""
        path = self.out / f"{row}-{seed}.json"
        if path.is_file():
            found: dict[str, Any] = json.loads(path.read_text("utf-8"))
            return found
        started = time.process_time()
        run = self._trained(row, seed)
        trained = time.process_time()
        clean = evaluate(run, bootstrap=0, device=self.base.device)
        report = attack_run(
            run, n=self.n, limits=self.limits, device=self.base.device, progress=True
        )
        facts = report.facts()
        found = {
            **facts,
            "row": row,
            "seed": seed,
            "test": clean.value,
            "train_texts": self.train_texts,
            "train_seconds": trained - started,
            "attack_seconds": time.process_time() - trained,
        }
        write_json(self.out / f"{row}-{seed}-cases.json", report.to_dict())
        write_json(path, found)
        return found

    def _trained(self, row: str, seed: int) -> Path:
        run = self.out / "runs" / f"{row}-{seed}"
        if (run / "config.yml").is_file():
            return resume(run, progress=True)
        fields = self._filled(ROWS[row], seed)
        kwargs = {**self.base.env_kwargs, **fields.pop("env_kwargs", {})}
        config = self.base.with_changes(seed=seed, env_kwargs=kwargs, **fields)
        return train(config, run_dir=run, progress=True)

    def _filled(self, value: Any, seed: int) -> Any:
        """Settings with the runs of other rows in place of their names; measured now if need be."""
        if isinstance(value, Mapping):
            return {name: self._filled(own, seed) for name, own in value.items()}
        if isinstance(value, list):
            return [self._filled(own, seed) for own in value]
        for row in ROWS:
            if isinstance(value, str) and f"{{{row}}}" in value:
                self.record(row, seed)
                value = value.replace(f"{{{row}}}", str(self.out / "runs" / f"{row}-{seed}"))
        return value


def subset(env: str, folder: Path, n: int, **kwargs: Any) -> Path:
    """A folder with the splits of a corpus as JSON Lines, of whose training texts some are drawn.

    Args:
        env: The id.
        folder: Where to write; what is there is taken.
        n: Training texts.
        **kwargs: Arguments of the environment.
    """
    if (folder / "train.jsonl").is_file():
        return folder
    for split in reversed(SPLITS):
        samples: Sequence[Sample] = make_task(env, split, **kwargs).corpus.samples
        if split == "train" and n < len(samples):
            rows = np.sort(np.random.default_rng(0).choice(len(samples), n, replace=False))
            samples = [samples[row] for row in rows.tolist()]
        with atomic_path(folder / f"{split}.jsonl") as temporary:
            temporary.write_text("".join(map(_line, samples)), encoding="utf-8")
    return folder


def _line(sample: Sample) -> str:
    labels = list(sample.labels or ())
    gold = {"label": labels[0]} if len(labels) == 1 != len(sample.words) else {"labels": labels}
    return json.dumps({"words": list(sample.words), **gold}, ensure_ascii=False) + "\n"


def table(records: Sequence[Mapping[str, Any]]) -> str:
    """Markdown: the means over seeds, and what each row loses of what the plain one does."""
    lines = [
        "| id | trained | test | attacked texts | under attack | deceived | loses | of plain |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    lost = dict[str, float]()
    for env in dict.fromkeys(record["env"] for record in records):
        for row in ROWS:
            own = [r for r in records if (r["env"], r["row"]) == (env, row)]
            if not own:
                continue
            test, before, after, rate = (
                float(np.mean([r[name] or 0.0 for r in own]))
                for name in ("test", "before", "after", "success_rate")
            )
            loss = before - after
            if row == "plain":
                lost[env] = loss
            share = f"{loss / lost[env]:.2f}" if lost.get(env) else "-"
            lines.append(
                f"| `{env}` | {row} | {test:.3f} | {before:.3f} | {after:.3f} | {rate:.2f} | "
                f"{loss:.3f} | {share} |"
            )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is lacking and print the table."""
    args = _parsed(arguments)
    records = []
    for env in args.env:
        out = (args.out / env).resolve()
        kwargs: dict[str, Any] = {"encoder": "hashed", "corpus": "sample"} if args.quick else {}
        data_dir = None if args.data_dir is None else str(args.data_dir.resolve())
        base = TrainConfig(
            env=env,
            algo=args.algo,
            data_dir=data_dir,
            env_kwargs=kwargs,
            n_timesteps=args.n_timesteps,
            device=args.device,
            adversarial_texts=args.adversarial_texts,
        )
        if args.train_texts is not None:
            read = {**kwargs, **({} if data_dir is None else {"data_dir": data_dir})}
            folder = subset(env, out / "data", args.train_texts, **read)
            base = base.with_changes(data=str(folder), data_dir=None)
        limits = SearchLimits(args.budget, args.most_changed)
        compared = Comparison(env, out, base, limits, args.n, args.train_texts)
        records += [compared.record(row, seed) for seed in args.seeds for row in args.rows]
    print(table(records))


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--env", nargs="+", default=list(ENVS), metavar="ID")
    parser.add_argument("--rows", nargs="+", default=list(FROZEN), choices=list(ROWS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--algo", default="bc")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/attacks"))
    parser.add_argument("-n", "--n", type=int, default=200, help="attacked texts of test")
    parser.add_argument("--budget", type=int, default=100)
    parser.add_argument("--most-changed", type=float, default=0.25)
    parser.add_argument("--n-timesteps", type=int)
    parser.add_argument("--train-texts", type=int, help="training texts; default: all")
    parser.add_argument("--adversarial-texts", type=int, default=2000)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--quick", action="store_true", help="hashed encoder, bundled samples")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    with one_line_errors():
        main()
