"""Two runs that write, compared on the same texts.

    python -m benchmarks.learning.writing RUN BASE --beam 1 4            # on test
    python -m benchmarks.learning.writing RUN BASE --split dev --json compared.json

BLEU, GLEU, chrF and ROUGE-L of both, how long, repetitive and copied their texts are, and the
difference of each metric with the 95 % interval of the paired bootstrap (1,000 resamples of texts).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from nlp_gym.errors import InvalidArgumentError, NLPGymError
from nlp_gym.files import write_json
from nlp_gym.messages import one_line_errors
from nlp_gym.metrics.text.corpus import VALUES, generation_score, score_difference
from nlp_gym.tasks.core.make import task_class
from nlp_gym.tasks.generation.samples import source_text
from nlp_gym_agents.models.trained import load_trained

METRICS = ("bleu", "gleu", "chrf", "rougeL")
HABITS = ("length_ratio", "repetition", "copied")


def written(run: str, split: str, beam: int) -> tuple[Any, list[str]]:
    """The task of a run, and its texts."""
    agent = load_trained(run)
    if not task_class(agent.env_id).writes:
        raise InvalidArgumentError(
            f"run={run!r} was trained on {agent.env_id}, where no texts are written: give runs of "
            "translation, written summaries, replies or free text."
        )
    task: Any = agent.task(split, beam=beam)
    return task, agent.outputs(task, progress=True)


def compare(runs: list[str], split: str, beam: int) -> dict[str, Any]:
    """Figures of both runs and the differences."""
    (task, own), (base, other) = (written(run, split, beam) for run in runs)
    samples = task.corpus.samples
    texts = [[(s.gold, source_text(s)) for s in t.corpus.samples] for t in (task, base)]
    if texts[0] != texts[1]:
        raise InvalidArgumentError(
            f"runs={runs!r} were trained on different texts (corpus, pair or data), and cannot be "
            "compared on the same ones."
        )
    golds = [sample.gold for sample in samples]
    sources = [source_text(sample) for sample in samples]
    tokens = {"tokenize": task.tokenize, "rouge_tokenizer": task.rouge_tokenizer}
    found: dict[str, Any] = {"split": split, "beam": beam, "texts": len(samples), "runs": {}}
    for run, outputs in zip(runs, (own, other), strict=True):
        score = generation_score(golds, outputs, sources, bootstrap=0, **tokens)
        table = {name: score.report[VALUES[name]]["value"] for name in METRICS}
        found["runs"][run] = table | {name: score.report[name] for name in HABITS}
        found["signature"] = score.signature
    found["differences"] = {
        name: score_difference(golds, own, other, value=name, **tokens) for name in METRICS
    }
    return found


def main() -> None:
    """The command."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("runs", nargs=2, metavar="RUN", help="a run, and the one it is compared with")
    p.add_argument("--split", default="test", choices=["train", "dev", "test"])
    p.add_argument("--beam", nargs="+", type=int, default=[1], help="1: greedy")
    p.add_argument("--json", type=Path)
    args = p.parse_args()
    try:
        results = [compare(args.runs, args.split, beam) for beam in args.beam]
    except NLPGymError as error:
        raise SystemExit(f"error: {error}") from error
    columns = (*METRICS, *HABITS)
    for result in results:
        print(f"\n{result['split']}, beam {result['beam']}, {result['signature']}\n")
        print("| | " + " | ".join(columns) + " |")
        print("|---|" + "---:|" * len(columns))
        for run, table in result["runs"].items():
            print(f"| {run} | " + " | ".join(f"{table[name]:.4f}" for name in columns) + " |")
        for name, (mean, low, high) in result["differences"].items():
            print(f"{name}: {mean:+.4f} (95 %: {low:+.4f} to {high:+.4f})")
    if args.json:
        write_json(args.json, results)


if __name__ == "__main__":
    with one_line_errors():
        main()
