"""Finetuning the encoder: supervised, cloned and by rewards, on one corpus with one budget.

    python -m benchmarks.finetune --data-dir ../shared/data                      # resumable
    python -m benchmarks.finetune --data-dir ../shared/data --rows supervised bc --seeds 0 1 2
    python -m benchmarks.finetune --data-dir ../shared/data --env SpanQA-SQuAD-v0 --plot curves.png
    python -m benchmarks.finetune --quick --rows supervised bc maskable_ppo      # a try

Rows: `supervised` (a plain transformers loop, see `supervised`); `bc`, `lora`,
`adapter` (cloning, as many passes); `ppo`, `maskable_ppo` (warm start, metric reward), `masked_dqn`
(warm start); `supervised-long` and `bc-long`, without rewards for the time that `--control` took.
`--recipes FILE.yml` changes hyperparameters by row (``ppo: {encoder_lr: 1e-5}``).

What counts as time is training, with a warm start if there is one, without evaluations on dev, in
this one process (where other work takes the cores: ``--clock cpu`` with ``OMP_NUM_THREADS=1``);
corpus and tokens are read before. Of every row the weights that were best on dev are scored. The
warm start of `--warm-start row` is the run of `bc`, whose time is added.

Each row and seed is a JSON file under `--out`, with its curve. Agents that were stopped go on.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import warnings
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import yaml

from benchmarks.finetune.agents import AGENTS, QUICK, agent_record, config_of, decisions, scored
from benchmarks.finetune.supervised import CLOCKS, Finetuned, Recipe, finetune
from benchmarks.finetune.tables import CEILING, differences, plot, table, tag_table
from nlp_gym import make_task
from nlp_gym.errors import NLPGymError
from nlp_gym.files import write_json
from nlp_gym.tasks.core.task import Task
from nlp_gym_agents.config.hyperparams import nested_merge
from nlp_gym_agents.config.train_config import TrainConfig
from nlp_gym_agents.runs.versions import versions
from nlp_gym_agents.training.signals import TrainingInterrupted

LONG = {"supervised-long": CEILING, "bc-long": "bc"}
ROWS = (CEILING, *AGENTS, *LONG)
FAMILIES = ("tagging", "classification", "spanqa")


@dataclasses.dataclass
class Comparison:
    """All rows on one corpus.

    Attributes:
        out: Where records are.
        base: Settings that all agents share; its seed is not used.
        recipe: Of the supervised rows; its seed is not used.
        changes: Fields of `TrainConfig` by row.
        control: The row whose time those of `LONG` have.
    """

    out: Path
    base: TrainConfig
    recipe: Recipe
    changes: Mapping[str, Mapping[str, Any]]
    control: str = "maskable_ppo"

    @cached_property
    def tasks(self) -> dict[str, Task]:
        """Those of the supervised rows, by split."""
        kwargs: dict[str, Any] = {**self.base.env_kwargs, "data_dir": self.base.data_dir}
        kwargs |= {"encoder": self.encoder, "encoder_kwargs": {"layers": "last"}}
        train = make_task(self.base.env, "train", **kwargs)
        if train.family not in FAMILIES:
            raise SystemExit(f"--env {self.base.env}: only for {', '.join(FAMILIES)}.")
        kwargs["labels"] = list(train.labels) or None
        rest = {split: make_task(self.base.env, split, **kwargs) for split in ("dev", "test")}
        return {"train": train, **rest}

    @property
    def encoder(self) -> str:
        """Name of the encoder."""
        return self.base.encoder or "minilm"

    @cached_property
    def encoder_weights(self) -> int:
        """Number of weights of the pretrained model."""
        encoder: Any = self.tasks["train"].encoder
        return sum(p.numel() for p in encoder.load_model().parameters())

    @cached_property
    def per_pass(self) -> int:
        """Decisions in one pass of an agent over the corpus."""
        return decisions(self.tasks["train"])

    def record(self, row: str, seed: int) -> dict[str, Any]:
        """One row, measured now if it is not there.

        Raises:
            SystemExit: It is there and was measured with other settings.
        """
        path = self.out / f"{row}-{seed}.json"
        settings = self._settings(row, seed)
        if path.is_file():
            found: dict[str, Any] = json.loads(path.read_text("utf-8"))
            if found["settings"] != settings:
                raise SystemExit(f"{path} has other settings: delete it, or give another --out.")
            return found
        plain = LONG.get(row, row) == CEILING
        found = self._supervised(row, seed) if plain else self._agent(row, seed)
        weights = self.encoder_weights + found["trained"] - found["trained_encoder"]
        facts = {"env": self.base.env, "row": row, "seed": seed, "settings": settings}
        facts |= {"texts": len(self.tasks["train"].corpus), "weights": weights}
        found = {**facts, "threads": torch.get_num_threads(), **found, "versions": versions()}
        write_json(path, found)
        if "run" in found:  # nobody goes on from there
            shutil.rmtree(Path(found["run"]) / "checkpoints", ignore_errors=True)
        return found

    def _settings(self, row: str, seed: int) -> dict[str, Any]:
        recipe = dataclasses.replace(self.recipe, seed=seed)
        settings = {"recipe": dataclasses.asdict(recipe), "base": self.base.as_dict()}
        name = LONG.get(row, row)
        if name != CEILING:
            settings["changes"] = dict(self.changes.get(name, {}))
            settings["hyperparams"] = AGENTS[name].hyperparams(self.base.env)
        return {**settings, "control": self.control} if row in LONG else settings

    def _epochs(self, row: str, seed: int) -> float:
        if row not in LONG:
            return self.recipe.epochs
        times = [self.record(name, seed)["train_seconds"] for name in (LONG[row], self.control)]
        return self.recipe.epochs * times[1] / times[0]

    def _supervised(self, row: str, seed: int) -> dict[str, Any]:
        recipe = dataclasses.replace(self.recipe, seed=seed, epochs=self._epochs(row, seed))
        started = CLOCKS[recipe.clock]()
        job = Finetuned(self.tasks, self.encoder, recipe)
        ready = CLOCKS[recipe.clock]() - started
        found = finetune(job)
        for split in ("dev", "test"):
            found[split] = scored(self.tasks[split], job.outputs(split), self.base.env, split)
        learning = sum(p.numel() for p in job.model.parameters() if p.requires_grad)
        head = sum(p.numel() for p in job.model.head.parameters())
        n = len(self.tasks["train"].corpus)
        found |= {"trained": learning, "trained_encoder": learning - head, "setup_seconds": ready}
        return {**found, "epochs": recipe.epochs, "encoded": {"learning": n, "acting": 0}}

    def _agent(self, row: str, seed: int) -> dict[str, Any]:
        name = LONG.get(row, row)
        agent = dataclasses.replace(AGENTS[name], changes=self.changes.get(name, {}))
        base = self.base.with_changes(seed=seed)
        before = {"train_seconds": 0.0, "evaluation_seconds": 0.0}
        given = agent.changes.get("warm_start", base.warm_start)
        if agent.warm and given == "row":
            teacher = self.record("bc", seed)
            before = {name: teacher[name] for name in before}
            base = base.with_changes(warm_start=teacher["run"])
            rest = {k: v for k, v in agent.changes.items() if k != "warm_start"}
            agent = dataclasses.replace(agent, changes=rest)
        plan = {"per_pass": self.per_pass, "evaluations": self.recipe.evaluations}
        config = config_of(agent, base, epochs=self._epochs(row, seed), **plan)
        run, clock = self.out / "runs" / f"{row}-{seed}", self.recipe.clock
        return agent_record(config, run, before, per_pass=self.per_pass, clock=clock)


def comparison_of(args: argparse.Namespace) -> Comparison:
    """What the command line asks for."""
    data_dir = None if args.data_dir is None else str(Path(args.data_dir).resolve())
    base = TrainConfig(
        env=args.env,
        data_dir=data_dir,
        env_kwargs={"corpus": "sample"} if args.quick and data_dir is None else {},
        encoder=args.encoder,
        device=args.device,
        warm_start=args.warm_start,
    )
    changes: dict[str, Any] = {row: dict(fields) for row, fields in QUICK.items() if args.quick}
    if args.recipes is not None:
        changes |= yaml.safe_load(args.recipes.read_text(encoding="utf-8")) or {}
    if args.device.startswith("cuda"):  # as the supervised rows
        precision = {"hyperparams": {"tuning": {"precision": "bfloat16"}}}
        changes = {row: nested_merge(precision, changes.get(row, {})) for row in AGENTS}
    recipe = Recipe(
        epochs=min(args.epochs, 1.0) if args.quick else args.epochs,
        batch=args.batch,
        lr=args.lr,
        evaluations=args.evaluations,
        device=args.device,
        bfloat16=args.device.startswith("cuda"),
        clock=args.clock,
    )
    out = args.out or Path("runs/finetune-quick" if args.quick else "runs/finetune")
    return Comparison((out / args.env).resolve(), base, recipe, changes, args.control)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser("benchmarks.finetune", description=(__doc__ or "").splitlines()[0])
    p.add_argument("--env", default="NER-CoNLL-v0")
    p.add_argument("--data-dir", help="folder of the corpora")
    p.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    p.add_argument("--seeds", nargs="+", type=int, default=[0])
    p.add_argument("--encoder", help="name or folder; default: minilm")
    p.add_argument("--device", default="cpu", help="on cuda products are bfloat16")
    p.add_argument("--epochs", type=float, default=3.0, help="passes of the supervised row")
    p.add_argument("--batch", type=int, default=32, help="texts in a supervised batch")
    p.add_argument("--lr", type=float, default=1e-4, help="of the supervised rows")
    p.add_argument("--evaluations", type=int, default=10, help="on dev, in each run")
    p.add_argument("--warm-start", default="row", help="row: bc's; or as for `train.py`")
    p.add_argument("--control", default="maskable_ppo", choices=[*AGENTS])
    p.add_argument("--recipes", type=Path, help="YAML: settings of training by row")
    p.add_argument("--clock", choices=[*CLOCKS], default="wall", help="cpu: seconds of processors")
    p.add_argument("--quick", action="store_true", help="bundled sample, a few hundred steps")
    p.add_argument("--out", type=Path, help="default: runs/finetune")
    p.add_argument("--plot", type=Path, help="PNG of the learning curves")
    return p


def main(argv: list[str] | None = None) -> list[dict[str, Any]]:
    """Measure, print the tables as Markdown and keep them in ``table.md``."""
    args = parser().parse_args(argv)
    warnings.simplefilter("ignore")
    comparison, records = comparison_of(args), []
    for seed in args.seeds:
        for row in args.rows:
            try:
                records.append(comparison.record(row, seed))
            except TrainingInterrupted:
                raise SystemExit("Stopped; the same command goes on from there.") from None
            except NLPGymError as error:
                raise SystemExit(f"{row}, seed {seed}: {error}") from error
            print(f"{row}, seed {seed}: test {records[-1]['test']['value']:.4f}", flush=True)
    records.sort(key=lambda record: args.rows.index(record["row"]))
    parts = [table(records), tag_table(records), differences(records)]
    text = "\n\n".join("\n".join(part) for part in parts if part)
    print(f"\n{text}")
    (comparison.out / "table.md").write_text(text + "\n", encoding="utf-8")
    if args.plot is not None:
        plot(records, args.plot)
    return records
