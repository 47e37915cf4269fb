"""Learning from use with a simulated person: corrections against thumbs, and what to label next.

    python -m benchmarks.learning.from_use --data-dir DIR --seeds 0 1 2 --out results/use
    python -m benchmarks.learning.from_use --data-dir DIR --part select
    python -m benchmarks.learning.from_use --quick  # a try

An agent (`bc`, frozen encoder) is trained on few sentences. Then, in rounds, it predicts texts of
the rest of the training data, a person who knows the gold labels answers, and it learns
(`Agent.learn`) from all that was said so far. Its metric is measured on dev after each round, and
on test at the end. Part `feedback` compares what the person says:

- `corrections`: the right answer of every text;
- `thumbs`: whether the whole prediction is right, learned from by likelihood;
- `thumbs, ips`: the same, by the policy gradient with importance weights;
- `nothing`: the agent stays as it is.

`from scratch` is `bc` trained anew on the first sentences and all that were corrected. Part
`select` lets the person correct few texts a round, which are chosen from a pool by `Agent.select`.
Dev and test are drawn, lest they take longer than learning. Seconds are of the processor. What is
measured is kept in ``--out``, and a command that was stopped goes on after it.
"""

from __future__ import annotations

import argparse
import copy
import json
import shutil
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nlp_gym import make_task
from nlp_gym.errors import NLPGymError
from nlp_gym.files import atomic_path, read_json, write_json
from nlp_gym.messages import one_line_errors
from nlp_gym.tasks.core.task import Task
from nlp_gym.types import Sample
from nlp_gym_agents.config.train_config import TrainConfig
from nlp_gym_agents.models.trained import load_trained
from nlp_gym_agents.plots.scores.points import draw_rounds
from nlp_gym_agents.prediction.agent import Agent
from nlp_gym_agents.prediction.feedback.answers import plain
from nlp_gym_agents.training.train import train

IDS = {"Question-TREC-v0": "Classification-v0", "NER-CoNLL-v0": "NER-v0"}
"""Ids that texts are taken from, and the id that reads them from files."""
FIRST, POOL, HELD = 200, 1000, 500
ARMS: dict[str, dict[str, Any] | None] = {
    "corrections": {},
    "thumbs": {"objective": "likelihood"},
    "thumbs, ips": {"objective": "ips"},
    "nothing": None,
}
STRATEGIES: dict[str, dict[str, Any]] = {
    "random": {},
    "entropy": {},
    "margin": {},
    "least_confidence": {},
    "entropy, sum": {"strategy": "entropy", "over": "sum"},
    "disagreement": {},
}


def rows_of(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    """Samples with their labels as rows of JSON Lines."""
    return [
        {"words": list(sample.words), "labels": list(sample.labels or ())}
        if len(sample.labels or ()) != 1 or "text" not in sample.extra
        else {"text": sample.extra["text"], "label": (sample.labels or ("",))[0]}
        for sample in samples
    ]


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write JSON Lines."""
    with atomic_path(path) as temporary:
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        temporary.write_text(text, encoding="utf-8")


def drawn(task: Task, n: int, seed: int) -> list[Sample]:
    """`n` samples of a corpus, or all."""
    order = np.random.default_rng(seed).permutation(len(task.corpus))[:n]
    return [task.corpus.samples[i] for i in order.tolist()]


class Trial:
    """One seed on one id: its files, and the agent that everything begins with."""

    def __init__(self, env: str, seed: int, given: dict[str, Any], args: Any) -> None:
        self.env, self.seed, self.given, self.args = env, seed, given, args
        self.folder = Path(args.out) / f"{env}-{seed}"
        tasks = {split: make_task(env, split=split, **given) for split in ("train", "dev", "test")}
        n = min(FIRST + POOL, len(tasks["train"].corpus))
        texts = drawn(tasks["train"], n, seed)
        first = FIRST if n > 2 * FIRST else n // 3
        self.first, self.pool = texts[:first], texts[first:]
        held = {split: drawn(tasks[split], HELD, 0) for split in ("dev", "test")}
        self.held = held
        self.start = self.trained("start", self.first)

    def trained(self, name: str, samples: Sequence[Sample]) -> Path:
        """A run of `bc` on samples, made once."""
        run, data = self.folder / name, self.folder / f"{name}-data"
        done = self.folder / f"{name}.done"
        if done.is_file():
            return run
        shutil.rmtree(run, ignore_errors=True)  # of a command that was stopped
        for split, own in {"train": samples, **self.held}.items():
            write_rows(data / f"{split}.jsonl", rows_of(own))
        kept = {k: v for k, v in self.given.items() if k not in ("data_dir", "corpus")}
        config = TrainConfig(
            env=IDS[self.env],
            algo="bc",
            env_kwargs={**kept, "data": str(data.resolve())},
            seed=self.seed,
            device="cpu",
        )
        if self.args.quick:
            config = config.with_changes(n_timesteps=2000)
        train(config, run_dir=run, progress=False)
        done.touch()
        return run

    def agent(self, name: str) -> Agent:
        """The agent as it begins, with no feedback, for a curve."""
        folder = self.place(name)
        shutil.rmtree(folder, ignore_errors=True)  # of a command that was stopped
        agent = Agent(self.start)
        agent.feedback_file = folder / "feedback.jsonl"
        return agent

    def place(self, name: str) -> Path:
        """The folder of a curve."""
        return self.folder / f"{self.args.part}-{name.replace(', ', '-')}"

    def kept(self, name: str, make: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
        """The record of a curve, made once."""
        file = self.folder / f"{self.place(name).name}.json"
        if not file.is_file():
            write_json(file, {"env": self.env, "seed": self.seed, "name": name, **make(name)})
        found: dict[str, Any] = read_json(file)
        return found

    def measured(self, run: Path, split: str) -> float:
        """The metric of a run."""
        model = load_trained(run)
        task = model.task(split)
        return float(task.score(model.outputs(task), bootstrap=0, report=False).value)

    def texts(self, samples: Sequence[Sample]) -> list[Any]:
        """Samples as a person types them."""
        tags = IDS[self.env] == "NER-v0"
        return [list(s.words) if tags else s.extra.get("text", " ".join(s.words)) for s in samples]

    def learned(self, agent: Agent, name: str, number: int, **options: Any) -> float:
        """Learn from what was said so far; gives the processor seconds."""
        own = {**self.args.options, **options, "evaluate": False, "seed": self.seed}
        return agent.learn(self.place(name) / str(number), **own).seconds


def feedback(trial: Trial, name: str) -> dict[str, Any]:
    """The curve of one kind of feedback."""
    args = trial.args
    if name == "from scratch":
        began = time.process_time()
        corrected = trial.pool[: args.rounds * args.texts]
        run = trial.trained("scratch", [*trial.first, *corrected])
        seconds = time.process_time() - began
        points = [(args.rounds * args.texts, trial.measured(run, "dev"))]
        return {"points": points, "test": trial.measured(run, "test"), "seconds": seconds}
    agent, seconds, options = trial.agent(name), 0.0, ARMS[name]
    points = [(0, trial.measured(trial.start, "dev"))]
    for number in range(1, args.rounds + 1):
        n = number * args.texts
        if options is None:
            points.append((n, points[0][1]))
            continue
        samples = trial.pool[n - args.texts : n]
        texts = trial.texts(samples)
        answers = [list(s.labels or ()) if agent.tags else (s.labels or ("",))[0] for s in samples]
        if name == "corrections":
            for text, right in zip(texts, answers, strict=True):
                agent.observe(text, right)
        else:
            for text, right, seen in zip(texts, answers, agent.predict(texts), strict=True):
                agent.feedback(text, seen, plain(seen) == right)
        seconds += trial.learned(agent, name, number, **options)
        points.append((n, trial.measured(agent.trained.run, "dev")))
    test = trial.measured(agent.trained.run, "test")
    return {"points": points, "test": test, "seconds": seconds}


def select(trial: Trial, name: str) -> dict[str, Any]:
    """The curve of one strategy."""
    args, texts, others = trial.args, trial.texts(trial.pool), []
    if name == "disagreement":  # an ensemble of seeds
        for other in (1, 2):
            again = copy.copy(trial)
            again.seed += 100 * other
            others.append(again.trained(f"member-{other}", trial.first))
    agent, chosen, seconds = trial.agent(name), set[int](), 0.0
    points = [(0, trial.measured(trial.start, "dev"))]
    how = {"strategy": name, "ensemble": others, **STRATEGIES[name]}
    for number in range(1, args.rounds + 1):
        began = time.process_time()
        ranked = agent.select(texts, len(texts), seed=trial.seed, **how)
        new = [one.index for one in ranked if one.index not in chosen][: args.budget]
        seconds += time.process_time() - began
        chosen |= set(new)
        for index in new:
            labels = list(trial.pool[index].labels or ())
            agent.observe(texts[index], labels if agent.tags else labels[0])
        seconds += trial.learned(agent, name, number)
        points.append((number * args.budget, trial.measured(agent.trained.run, "dev")))
    test = trial.measured(agent.trained.run, "test")
    return {"points": points, "test": test, "seconds": seconds}


def table(found: Sequence[Mapping[str, Any]]) -> str:
    """Means over seeds, and the lowest and highest, as Markdown."""
    lines = [
        "| id | | seeds | dev, first | dev, last | area on dev | test | seconds |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for env, name in dict.fromkeys((one["env"], one["name"]) for one in found):
        own = [one for one in found if (one["env"], one["name"]) == (env, name)]
        dev = [[value for _, value in one["points"]] for one in own]
        cells = [
            _mean([d[0] for d in dev]) if len(dev[0]) > 1 else "-",
            _mean([d[-1] for d in dev]),
            _mean([float(np.mean(d)) for d in dev]) if len(dev[0]) > 1 else "-",
            _mean([one["test"] for one in own]),
            f"{np.mean([one['seconds'] for one in own]):.1f}",
        ]
        lines.append(f"| {env} | {name} | {len(own)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _mean(values: Sequence[float]) -> str:
    if len(values) == 1:
        return f"{values[0]:.4f}"
    return f"{np.mean(values):.4f} ({min(values):.4f} to {max(values):.4f})"


def main() -> None:
    """The command."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--part", default="feedback", choices=["feedback", "select"])
    p.add_argument("--ids", nargs="+", default=list(IDS), choices=list(IDS))
    p.add_argument("--seeds", nargs="+", type=int, default=[0])
    p.add_argument("--rounds", type=int, default=4)
    p.add_argument("--texts", type=int, default=100, help="texts a round that are predicted")
    p.add_argument("--budget", type=int, default=25, help="texts a round that are selected")
    p.add_argument("--curves", nargs="+", help="names of curves; all where it is left out")
    p.add_argument("--options", type=json.loads, default={}, help="of Agent.learn, as JSON")
    p.add_argument("--data-dir", help="folder of the corpora")
    p.add_argument("--out", type=Path, default=Path("results/learning_from_use"))
    p.add_argument("--plot", type=Path, help="file of the figure, .svg or .png")
    p.add_argument("--quick", action="store_true", help="a try, on the bundled samples")
    args = p.parse_args()
    given: dict[str, Any] = {"encoder": "hashed", "corpus": "sample"} if args.quick else {}
    if args.quick:
        args.rounds, args.texts, args.budget = 1, 5, 2
    if args.data_dir:
        given["data_dir"] = args.data_dir
    found: list[dict[str, Any]] = []
    curve, names = feedback, [*ARMS, "from scratch"]
    if args.part == "select":
        curve, names = select, [*STRATEGIES]
    warnings.filterwarnings("ignore", category=UserWarning)  # of labels that few samples lack
    try:
        for env in args.ids:
            for seed in args.seeds:
                trial = Trial(env, seed, given, args)
                found += [trial.kept(name, partial(curve, trial)) for name in args.curves or names]
                write_json(args.out / f"{args.part}.json", found)
        if args.plot:
            draw_rounds(found, args.plot)
    except NLPGymError as error:
        raise SystemExit(f"error: {error}") from error
    print(table(found))


if __name__ == "__main__":
    with one_line_errors():
        main()
