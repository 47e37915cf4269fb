r"""Compression by agents beside hill climbing: quality, ROUGE and seconds per sentence.

Headlines as references: the first sentence of a news text of AG News is compressed, and its title
is the reference. They are those of the 7,600 articles whose file has the two apart (its test file),
cut into train, dev and test by a hash of each sentence. Titles are written freely: on average .43
of their words stand in the sentence. Seconds are of processors, after encoding.

    python benchmarks/learning/compression.py --prepare headlines.jsonl --data-dir ../shared/data
    nlp-gym train --env Compression-v0 --algo maskable_ppo --data headlines.jsonl \
        --env-kwargs target_ratio:0.3 references:false --run-dir runs/compression
    python benchmarks/learning/compression.py runs/compression --data headlines.jsonl
    python benchmarks/learning/compression.py --data headlines.jsonl --correlation
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nlp_gym import make_task
from nlp_gym.data.text.tokenize import split_sentences, split_words
from nlp_gym.files import atomic_path
from nlp_gym.messages import one_line_errors
from nlp_gym.tasks.compression.search import hill_climbing
from nlp_gym.types import BoolArray, Int64Array

BUDGETS = (0, 10, 30, 100, 300, 1000, 3000)
LEAST, MOST = 8, 60
"""Words of a sentence that is taken."""


def prepare(data_dir: Path, out: Path, most: int | None) -> int:
    """Write the first `most` sentences with titles as JSON Lines; gives their number."""
    lines = []
    with (data_dir / "ag_news" / "test.csv").open(encoding="utf-8", newline="") as file:
        for _, title, text in csv.reader(file):
            sentence = next((part for part, _, _ in split_sentences(text)), "")
            if LEAST <= len(split_words(sentence)) <= MOST and any(map(str.isalnum, title)):
                row = {"sentence": " ".join(sentence.split()), "compression": title}
                lines.append(json.dumps(row, ensure_ascii=False) + "\n")
    lines = lines[:most]
    with atomic_path(out) as path:
        path.write_text("".join(lines), encoding="utf-8")
    return len(lines)


def line(name: str, task: Any, rows: Int64Array, kept: BoolArray, seconds: float) -> str:
    """A row of the table."""
    outputs = [tuple(np.flatnonzero(row).tolist()) for row in kept]
    score = task.score(outputs, rows=rows.tolist(), bootstrap=1000, report=False)
    sums = task.quality.of(rows, kept)
    parts = task.quality.parts(rows, sums).mean(axis=0)
    value = float(task.quality.value(rows, sums).mean())
    ratio = float((sums.count / task.quality.lengths.take(rows)).mean())
    cells = " | ".join(f"{x:.4f}" for x in (value, *parts, ratio, score.value))
    low, high = score.interval or (0.0, 0.0)
    return f"| {name} | {cells} | {low:.4f} to {high:.4f} | {1e3 * seconds / len(rows):.3f} |"


def timed(choose: Callable[[], BoolArray]) -> tuple[BoolArray, float]:
    """What is chosen, and the processor seconds that it took."""
    start = time.process_time()
    return choose(), time.process_time() - start


def agent_choice(agent: Any, task: Any) -> BoolArray:
    """(N, T) the words that an agent keeps."""
    from nlp_gym.tasks.compression.quality import mask_of

    return mask_of(agent.outputs(task), int(task.lengths.max()))


def correlation(task: Any, seed: int = 0) -> str:
    """How the similarity of rewards follows that of the encoded compressions, and its idf weights.

    Each text is compressed by chance at shares from .1 to .9, encoded anew, and compared by the
    cosine of the means of its words' vectors with the whole text's.
    """
    from nlp_gym.encode import encode_units
    from nlp_gym.types import Units

    rng = np.random.default_rng(seed)
    rows = np.arange(min(len(task.corpus), 500))
    lengths = task.quality.lengths.take(rows)
    shares = rng.uniform(0.1, 0.9, len(rows))
    width = int(lengths.max())
    chances = rng.random((len(rows), width)) + 2.0 * (np.arange(width) >= lengths[:, None])
    counts = np.clip(np.rint(shares * lengths), 1, None)
    kept = chances.argsort(axis=1).argsort(axis=1) < counts[:, None]
    texts = [task.sample(int(row)).words for row in rows]
    short = [tuple(np.array(t, object)[k[: len(t)]]) for t, k in zip(texts, kept, strict=True)]
    words = task.encoder
    means = []
    for given in (texts, short):
        ends = np.array([len(text) for text in given])
        spans = np.stack([np.arange(len(given)), np.zeros_like(ends), ends], axis=1)
        encoded = encode_units(Units(given, spans), words, cache=False)
        means.append(encoded.gather(np.arange(len(given))).astype(np.float64))
    a, b = means
    anew = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    sums = task.quality.of(rows, kept)
    weighted = task.quality.parts(rows, sums)[:, 0]
    plain = []
    for row, flags in zip(rows.tolist(), kept, strict=True):
        first, n = int(task.quality.first[row]), int(task.quality.lengths[row])
        vectors = task.encoded.gather(np.arange(first, first + n)).astype(np.float64)
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
        whole, part = vectors.sum(axis=0), vectors[flags[:n]].sum(axis=0)
        plain.append(float(whole @ part / np.linalg.norm(whole) / np.linalg.norm(part)))
    lines = [f"texts {len(rows)}, cosine encoded anew: mean {anew.mean():.3f}"]
    for name, values in (("weighted by idf", weighted), ("unweighted", np.array(plain))):
        pearson = float(np.corrcoef(values, anew)[0, 1])
        ranks = (np.argsort(np.argsort(x)) for x in (values, anew))
        own, theirs = ranks
        spearman = float(np.corrcoef(own, theirs)[0, 1])
        left = [
            np.polyval(np.polyfit(counts / lengths, x, 2), counts / lengths) for x in (values, anew)
        ]
        partial = float(np.corrcoef(values - left[0], anew - left[1])[0, 1])
        lines.append(
            f"{name}: Pearson {pearson:.3f}, Spearman {spearman:.3f}, "
            f"Pearson at equal share {partial:.3f}"
        )
    return "\n".join(lines)


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("runs", nargs="*", help="run folders")
    parser.add_argument("--data", help="JSON Lines of sentences and compressions")
    parser.add_argument("--prepare", type=Path, help="write the headlines here")
    parser.add_argument("--data-dir", type=Path, help="folder that has ag_news")
    parser.add_argument("--sentences", type=int, help="at most so many; default: all")
    parser.add_argument("--split", default="test")
    parser.add_argument("--target-ratio", type=float, default=0.3)
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--layers", help="of the encoder; default: its own")
    parser.add_argument("--budgets", type=int, nargs="*", default=BUDGETS)
    parser.add_argument("--correlation", action="store_true")
    given = parser.parse_args()
    if given.prepare is not None:
        if given.data_dir is None:
            parser.error("--prepare needs --data-dir")
        n = prepare(given.data_dir, given.prepare, given.sentences)
        print(f"{n:,} sentences")
        return
    task: Any = make_task(
        "Compression-v0",
        split=given.split,
        data=given.data,
        encoder=given.encoder,
        encoder_kwargs=None if given.layers is None else {"layers": given.layers},
        target_ratio=given.target_ratio,
    )
    rows = np.arange(len(task.corpus))
    _ = task.quality
    if given.correlation:
        print(correlation(task))
        return
    print("| | quality | similarity | length | fluency | ratio | ROUGE-1 | 95% | ms per sentence |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, choose in list(task.choices(rows).items())[:3]:
        flags, seconds = timed(choose)
        print(line(name, task, rows, flags, seconds), flush=True)
    for budget in given.budgets:
        flags, seconds = timed(partial(hill_climbing, task.quality, rows, evaluations=budget))
        print(line(f"hill climbing, {budget} swaps", task, rows, flags, seconds), flush=True)
    flags, seconds = timed(lambda: task.wanted)
    print(line("oracle (words of the title)", task, rows, flags, seconds), flush=True)
    for run in given.runs:
        from nlp_gym_agents.models.trained import load_trained

        agent = load_trained(run)
        agent.outputs(task)  # what is made once: tensors of the corpus
        flags, seconds = timed(partial(agent_choice, agent, task))
        print(line(Path(run).name, task, rows, flags, seconds), flush=True)


if __name__ == "__main__":
    with one_line_errors():
        main()
