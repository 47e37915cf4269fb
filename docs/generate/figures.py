"""The figures of the page on plots, made with its own commands on the bundled samples.

``python -m docs.generate.figures`` trains what they show, which takes some minutes on two cores,
and writes the figures to ``docs/_static`` anew. ``--runs DIR`` keeps the runs, and goes on with
those that are there.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from nlp_gym_agents.cli.main import main as nlp_gym

STATIC = Path(__file__).resolve().parents[1] / "_static"
NER = ["--env", "NER-CoNLL-v0", "--env-kwargs", "corpus:sample"]
READER = ["--env", "Sentiment-SST2-v0", "--env-kwargs", "corpus:sample"]
TRAIN = {
    **{
        f"{algo}-{seed}": [*NER, "--algo", algo, "-n", "30000", "--seed", str(seed)]
        for algo in ("masked_dqn", "maskable_ppo")
        for seed in (1, 2, 3)
    },
    "bc-1": [*NER, "--algo", "bc", "-n", "200000", "--seed", "1"],
    "reader": [*READER, "--algo", "maskable_ppo", "-n", "30000", "--seed", "0"],
}
"""Runs, and the flags of `nlp-gym train` that make them."""
SEEDED = [name for name in TRAIN if name != "reader"]
PLOTS = {
    "plot-curves.svg": [*SEEDED, "--what", "curves"],
    "plot-confusion.svg": ["masked_dqn-1", "maskable_ppo-1", "--what", "confusion"],
    "plot-values.svg": ["masked_dqn-1", "maskable_ppo-1", "--what", "values"],
    "plot-calibration.svg": ["maskable_ppo-1", "bc-1", "--what", "calibration"],
    "plot-reading.svg": ["reader", "--what", "reading"],
}
"""Figures, and the arguments of `nlp-gym plot` that make them."""
IDS = "NER-CoNLL-v0,POS-EWT-v0,Sentiment-SST2-v0,Question-TREC-v0,Relation-CoNLL04-v0"
BENCHMARK = ["--ids", IDS, "--seeds", "0,1,2", "-n", "8000", "--env-kwargs", "corpus:sample"]
"""Flags of the `nlp-gym benchmark` that `plot-benchmark.svg` is of."""


def command(*words: str) -> None:
    """Run a command of `nlp-gym`; one that fails ends this program."""
    print("nlp-gym", *words, flush=True)
    try:
        nlp_gym(list(words))
    except SystemExit as stop:
        if stop.code:
            raise


def draw(runs: Path) -> None:
    """Train what is not there yet, and draw all figures."""
    for name, flags in TRAIN.items():
        if not (runs / name / "report.json").exists():
            command("train", *flags, "--run-dir", str(runs / name))
    for file, (*words, option, what) in PLOTS.items():
        folders = [str(runs / name) for name in words]
        command("plot", *folders, option, what, "--output", str(STATIC / file))
    results = str(runs / "results")
    command("benchmark", *BENCHMARK, "--out", results)
    command("plot", results, "--what", "benchmark", "--output", str(STATIC / "plot-benchmark.svg"))


def main() -> None:
    """Draw the figures in the folder that was asked for, or in one for the time being."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, help="where runs are kept")
    asked = parser.parse_args().runs
    if asked is not None:
        draw(asked)
        return
    with tempfile.TemporaryDirectory() as folder:
        draw(Path(folder))


if __name__ == "__main__":
    main()
