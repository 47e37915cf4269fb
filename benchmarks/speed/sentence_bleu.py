"""Sentence BLEU: pairs a second beside sacreBLEU's, and steps of texts that grow token by token.

Both sides of the first comparison are timed in one run, one after the other, each repeat on pairs
that were not seen before: neither finds the words of a line that it has cut already. The second
table is what an environment does at every step, for 256 texts: append a token, take the value.
*Written* texts follow a reference with a third of the tokens from another one, as a trained agent's
do; *random* ones are tokens drawn evenly, as an untrained agent's are. Times are of the processor
(`time.process_time`), so that other work on the machine counts little.

    python benchmarks/speed/sentence_bleu.py
    python benchmarks/speed/sentence_bleu.py --data-dir ../shared/data --language de
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sacrebleu.metrics.bleu import BLEU
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from nlp_gym.messages import one_line_errors
from nlp_gym.metrics.incremental.metric import IncrementalMetric
from nlp_gym.metrics.text.bleu import sentence_bleu

SAMPLE = Path(__file__).resolve().parents[2] / "nlp_gym" / "data" / "samples"
MARK = "\u2581"
TEXTS = 256
STEPS = 24
Ints = npt.NDArray[np.int64]


def read_lines(data_dir: Path | None, language: str) -> list[str]:
    """Training sentences of Multi30k, or of the bundled sample."""
    path = (data_dir or SAMPLE) / "multi30k" / f"train.{language}"
    return [" ".join(line.split()) for line in path.read_text("utf-8").splitlines() if line.strip()]


def learn_pieces(lines: list[str], size: int) -> tuple[list[bytes], list[list[int]]]:
    """Byte-pair pieces learnt on `lines`, as UTF-8, and the pieces of each line."""
    learnt = Tokenizer(models.BPE())
    learnt.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(MARK), pre_tokenizers.Punctuation()]
    )
    learnt.train_from_iterator(lines, trainers.BpeTrainer(vocab_size=size, show_progress=False))
    names = [learnt.id_to_token(i) or "" for i in range(learnt.get_vocab_size())]
    pieces = [name.replace(MARK, " ").encode() for name in names]
    return pieces, [found.ids for found in learnt.encode_batch(lines)]


def disturb(rng: random.Random, line: str, other: str) -> str:
    """A line without a fifth of its words, and with some of another one."""
    words = [word for word in line.split() if rng.random() < 0.8]
    some = other.split()[: rng.randint(0, 4)]
    return " ".join(words + some)


def time_pairs(lines: list[str], repeats: int) -> dict[str, float]:
    """Pairs a second of both, the median over repeats."""
    rng = random.Random(0)
    golds = rng.sample(lines, len(lines))
    size = max(len(golds) // repeats, 1)
    rates: dict[str, list[float]] = {"sacreBLEU": [], "nlp_gym": []}
    for start in range(0, len(golds) - size + 1, size):
        references = golds[start : start + size]
        texts = [disturb(rng, line, rng.choice(lines)) for line in references]
        bleu = BLEU(effective_order=True)
        begin = time.process_time()
        theirs = [bleu.sentence_score(t, [r]).score for t, r in zip(texts, references, strict=True)]
        middle = time.process_time()
        ours = sentence_bleu(texts, [[r] for r in references])
        end = time.process_time()
        assert np.abs(np.array(theirs) / 100 - ours).max() < 1e-9
        rates["sacreBLEU"].append(size / (middle - begin))
        rates["nlp_gym"].append(size / (end - middle))
    return {name: statistics.median(found) for name, found in rates.items()}


def written(rng: Any, ids: list[list[int]], rows: Ints, size: int) -> Ints:
    """(steps, texts) tokens of which two thirds are those of the row's reference."""
    tokens = np.zeros((STEPS, len(rows)), np.int64)
    for i, row in enumerate(rows.tolist()):
        other = ids[int(rng.integers(len(ids)))]
        gold = (ids[row] * STEPS)[:STEPS]
        swap = rng.random(STEPS) < 1 / 3
        tokens[:, i] = np.where(swap, (other * STEPS)[:STEPS], gold)
    return tokens


def drawn(rng: Any, ids: list[list[int]], rows: Ints, size: int) -> Ints:
    """(steps, texts) tokens drawn evenly."""
    found: Ints = rng.integers(0, size, (STEPS, len(rows)))
    return found


def time_steps(
    metric: IncrementalMetric,
    ids: list[list[int]],
    size: int,
    draw: Callable[[Any, list[list[int]], Ints, int], Ints],
    seconds: float,
) -> float:
    """Milliseconds a step, the median of the second half of the episodes of `seconds`."""
    rng = np.random.default_rng(0)
    spent: list[float] = []
    while sum(spent) < seconds * 1000:
        rows = rng.integers(0, len(ids), TEXTS)
        tokens, state = draw(rng, ids, rows, size), metric.initial(rows)
        begin = time.process_time()
        for step in range(STEPS):
            metric.append(state, rows, tokens[step])
            metric.value(state, rows)
        spent.append((time.process_time() - begin) * 1000)
    return statistics.median(spent[len(spent) // 2 :]) / STEPS


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data-dir", type=Path, help="folder with multi30k/ (default: the sample)")
    parser.add_argument("--language", default="de")
    parser.add_argument("--vocabulary", type=int, default=8000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--metrics", nargs="+", default=["bleu"])
    arguments = parser.parse_args()
    lines = read_lines(arguments.data_dir, arguments.language)
    rates = time_pairs(lines, arguments.repeats)
    print(f"{len(lines)} sentences, {arguments.language}")
    for name, rate in rates.items():
        print(f"{name:>12} {rate:>10,.0f} pairs/s  x {rate / rates['sacreBLEU']:.2f}")
    pieces, ids = learn_pieces(lines, arguments.vocabulary)
    for name in arguments.metrics:
        metric = IncrementalMetric([[line] for line in lines], pieces, metric=name, max_words=STEPS)
        for draw in (written, drawn):
            spent = time_steps(metric, ids, len(pieces), draw, arguments.seconds)
            rate = TEXTS / spent * 1000
            print(f"{name:>12} {draw.__name__:>8} {spent:.3f} ms/step {rate:>10,.0f} tokens/s")


if __name__ == "__main__":
    with one_line_errors():
        main()
