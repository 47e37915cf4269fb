"""Accuracy against the share of the text that is read: one agent with a dial beside early exits.

    python -m benchmarks.learning.reading --data-dir DIR --seeds 0 1 2 --out results/reading
    python -m benchmarks.learning.reading --data-dir DIR --ids Topic-AGNews-v0 --moves skip
    python -m benchmarks.learning.reading --quick  # a try

For each id and seed these trainings, each resumed where it was stopped:

- `exit`: `bc` that learns the label in every state of reading (``exits: reading``). It reads on
  until its confidence passes a threshold; thresholds are quantiles of its confidences on dev.
- `held`: the same on 70 % of the texts, the start of
- an agent on the other 30 %, which learns when to commit at each price of the dial: `maskable_ppo`
  (bandit) or `expected_pg` (full information). Its labels are then those of `exit`, which learned
  them from all texts (with ``--moves skip`` those of `moves`, a `bc` that met texts with gaps).

The curve of each has all its settings, measured on test. `area` is the mean
accuracy over shares from the first chunk's to 1; `at 40 %` that with 40 % of all words read; `.98
at` the share of the words that .98 of the accuracy of `exit` on whole texts takes. Seconds are of
the processor, of the trainings alone.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nlp_gym.errors import NLPGymError
from nlp_gym.files import write_json
from nlp_gym.messages import one_line_errors
from nlp_gym_agents.config.train_config import TrainConfig
from nlp_gym_agents.evaluation.reading_curve import (
    Curve,
    agent_points,
    curve_of,
    exit_curve,
    exits_of,
)
from nlp_gym_agents.models.trained import load_trained
from nlp_gym_agents.plots.scores.points import draw_curves
from nlp_gym_agents.training.train import resume, train

CHUNKS = {"Sentiment-SST2-v0": 4, "Topic-AGNews-v0": 8}
"""Words of a chunk: a fifth of a text."""
PRICES = (0.0, 0.01, 0.02, 0.03, 0.04, 0.045, 0.05, 0.055, 0.06, 0.065, 0.07, 0.08, 0.09, 0.1)
"""Of a chunk: what costs more is not read on either of these corpora."""
MOVES: dict[str, dict[str, Any]] = {
    "read": {},
    "skip": {"skips": [1, 2], "jump": True},
}
SHARE, ENOUGH, HOLDOUT = 0.4, 0.98, 0.3
LABELS: dict[str, Any] = {
    "learning_rate": "lin_1e-3",
    "policy_kwargs": {
        "features_extractor_kwargs": {
            "hidden": [256],
            "commit_head": 32,
            "dropout": 0.3,
            "input_dropout": 0.3,
        },
        "optimizer_class": "AdamW",
        "optimizer_kwargs": {"weight_decay": 0.05},
    },
}
HEAD: dict[str, Any] = {
    "features_extractor_kwargs": {"hidden": [256], "commit_head": 32, "learn_labels": False}
}
WHEN: dict[str, dict[str, Any]] = {
    "maskable_ppo": {
        "gamma": 1.0,
        "gae_lambda": 1.0,
        "learning_rate": "lin_2e-3",
        "n_envs": 256,
        "n_steps": 8,
        "batch_size": 512,
        "n_epochs": 4,
        "ent_coef": 0.0,
        "vf_coef": 0.5,
        "start": {"fit_values": False},  # the head of values is no linear one
        "policy_kwargs": HEAD,
    },
    "expected_pg": {
        "gamma": 1.0,
        "gae_lambda": 1.0,
        "learning_rate": "lin_1e-3",
        "n_envs": 256,
        "n_steps": 8,
        "batch_size": 256,
        "n_epochs": 1,
        "ent_coef": 0.01,
        "vf_coef": 0.5,
        "residual_coef": 1.0,
        "policy_kwargs": HEAD,
    },
}
ALGOS = tuple(WHEN)
STEPS = {"exit": 150_000, "moves": 150_000, "held": 100_000, **dict.fromkeys(ALGOS, 100_000)}
QUICK, DRAWS = 2000, 400


def configs(
    env: str, seed: int, moves: str, given: dict[str, Any], out: Path, algos: Sequence[str]
) -> dict[str, TrainConfig]:
    """The settings of each training, in order."""
    ways = {"pieces": "mean", "cost_per": "chunk", "read_cost": list(PRICES), **MOVES[moves]}
    kwargs = {"chunk": CHUNKS[env], **ways, **given}
    held = {**kwargs, "holdout": HOLDOUT}
    states = "moves" if moves == "skip" else "reading"
    found: dict[str, tuple[str, dict[str, Any], dict[str, Any], str | None]] = {
        "exit": ("bc", kwargs, {**LABELS, "exits": "reading"}, None),
        "moves": ("bc", kwargs, {**LABELS, "exits": "moves"}, None),
        "held": ("bc", held, {**LABELS, "exits": states}, None),
        **{algo: (algo, held, WHEN[algo], str(out / "held")) for algo in algos},
    }
    if moves == "read":
        del found["moves"]
    return {
        name: TrainConfig(
            env=env,
            algo=algo,
            env_kwargs=own,
            hyperparams=hyperparams,
            warm_start=start,
            seed=seed,
            n_timesteps=STEPS[name],
            eval_freq=STEPS[name],
            early_stopping=0,
        )
        for name, (algo, own, hyperparams, start) in found.items()
    }


def measure(env: str, seed: int, moves: str, given: dict[str, Any], args: Any) -> dict[str, Any]:
    """Train what is missing, and give the curves of one seed."""
    out = Path(args.out) / f"{env}-{moves}-{seed}"
    seconds = {}
    for name, config in configs(env, seed, moves, given, out, args.algos).items():
        started = time.process_time()
        if args.quick:
            config = config.with_changes(n_timesteps=QUICK, eval_freq=QUICK)
        if (out / name / "config.yml").is_file():
            resume(out / name, progress=False)
        else:
            train(config, run_dir=out / name, progress=False)
        seconds[name] = round(time.process_time() - started, 1)
    runs = {name: load_trained(out / name, checkpoint="last") for name in seconds}
    labels = runs["moves" if moves == "skip" else "exit"]
    tasks: dict[str, Any] = {split: runs["exit"].task(split) for split in ("dev", "test")}
    dev, test = (exits_of(runs["exit"], task) for task in tasks.values())
    whole, low = test.point(1.5).accuracy, test.point(0.0).share
    found: dict[str, Any] = {"env": env, "seed": seed, "moves": moves, "seconds": seconds}
    found |= {"all": whole, "first": low, "curves": {}}
    curves = {"exit": exit_curve("bc", dev, test)}
    for algo in args.algos:
        curves[algo] = curve_of(algo, agent_points(runs[algo], tasks["test"], labels))
    for name, curve in curves.items():
        found["curves"][name] = figures(curve, low, whole) | {"points": curve.table()}
    found["measured"] = curves  # for the bootstrap, not for the file
    return found


def area_difference(found: list[dict[str, Any]], algo: str) -> tuple[float, float, float]:
    """What an agent's area is above that of `exit`, mean over seeds, and its 95 % interval.

    By the paired bootstrap: the same resamples of the test texts for both and for all seeds.
    """
    pairs = [(one["measured"][algo], one["measured"]["exit"], one["first"]) for one in found]
    n = len(pairs[0][0].points[0].of)
    rng = np.random.default_rng(0)
    draws = [np.ones(n), *rng.multinomial(n, np.full(n, 1 / n), DRAWS)]
    differences = [
        np.mean([_area(own, w, low) - _area(other, w, low) for own, other, low in pairs])
        for w in draws
    ]
    low, high = np.quantile(differences[1:], [0.025, 0.975])
    return float(differences[0]), float(low), float(high)


def _area(curve: Curve, weights: Any, low: float) -> float:
    """`Curve.area` where text i counts `weights[i]` times."""
    of = curve.points[0].of @ weights
    shares = np.array([point.words @ weights for point in curve.points]) / of
    accuracies = np.array([point.right @ weights for point in curve.points]) / weights.sum()
    order = np.lexsort((accuracies, shares))
    heights = np.interp(np.linspace(low, 1.0, 513), shares[order], accuracies[order])
    return float(((heights[1:] + heights[:-1]) / 2).mean())


def figures(curve: Curve, low: float, whole: float) -> dict[str, Any]:
    """What the table says of a curve."""
    return {
        "area": curve.area(low),
        "at": curve.at(SHARE),
        "of_all": curve.at(SHARE) / whole,
        "enough": curve.share_for(ENOUGH * whole),
    }


def table(found: list[dict[str, Any]]) -> str:
    """Means over seeds, and the lowest and highest, as Markdown."""
    lines = [
        f"| id | reader | seeds | accuracy on all | area | at {SHARE:.0%} | of that on all | "
        f"{ENOUGH} at | seconds |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    keys = dict.fromkeys((one["env"], one["moves"]) for one in found)
    for env, moves in keys:
        own = [one for one in found if (one["env"], one["moves"]) == (env, moves)]
        for name in own[0]["curves"]:
            cells = [one["curves"][name] for one in own]
            used = [key for key in own[0]["seconds"] if key not in ALGOS or key == name]
            used = used if name in ALGOS else ["exit"]
            spent = np.mean([sum(one["seconds"][key] for key in used) for one in own])
            shares = [cell["enough"] for cell in cells]
            enough = "-" if None in shares else f"{np.mean(shares):.0%}"
            lines.append(
                f"| {env} | {name}, {moves} | {len(own)} | {_mean([one['all'] for one in own])} | "
                f"{_mean([c['area'] for c in cells])} | {_mean([c['at'] for c in cells])} | "
                f"{np.mean([c['of_all'] for c in cells]):.3f} | {enough} | {spent:.0f} |"
            )
    return "\n".join(lines)


def _mean(values: list[float]) -> str:
    if len(values) == 1:
        return f"{values[0]:.4f}"
    return f"{np.mean(values):.4f} ({min(values):.4f} to {max(values):.4f})"


def main() -> None:
    """The command."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--ids", nargs="+", default=list(CHUNKS), choices=list(CHUNKS))
    p.add_argument("--seeds", nargs="+", type=int, default=[0])
    p.add_argument("--algos", nargs="+", default=[ALGOS[0]], choices=list(ALGOS))
    p.add_argument("--moves", nargs="+", default=["read"], choices=list(MOVES))
    p.add_argument("--data-dir", help="folder of the corpora")
    p.add_argument("--out", type=Path, default=Path("results/reading"))
    p.add_argument("--plot", type=Path, help="file of the figure, .svg or .png")
    p.add_argument("--quick", action="store_true", help="a try, on the bundled samples")
    args = p.parse_args()
    given = {"encoder": "hashed", "corpus": "sample"} if args.quick else {}
    if args.data_dir:
        given["data_dir"] = args.data_dir
    found = []
    try:
        for env in args.ids:
            for moves in args.moves:
                found += [measure(env, seed, moves, given, args) for seed in args.seeds]
                kept = [{k: v for k, v in one.items() if k != "measured"} for one in found]
                write_json(args.out / "curves.json", kept)
        if args.plot:
            draw_curves(found, args.plot)
    except NLPGymError as error:
        raise SystemExit(f"error: {error}") from error
    print(table(found))
    for env, moves in dict.fromkeys((one["env"], one["moves"]) for one in found):
        own = [one for one in found if (one["env"], one["moves"]) == (env, moves)]
        for algo in args.algos:
            mean, low, high = area_difference(own, algo)
            print(f"{env}, {moves}: area of {algo} {mean:+.4f} (95 %: {low:+.4f} to {high:+.4f})")


if __name__ == "__main__":
    with one_line_errors():
        main()
