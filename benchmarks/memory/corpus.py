"""Memory of a corpus: what a sentence takes once it is read, and once an environment plays it.

A corpus is made up: sentences of words whose frequencies follow Zipf's law, with a tag for each
word, or with one label. It is read in a process of its own, from which the size before reading is
taken off. The peak is that of the whole process.

    python -m benchmarks.memory.corpus
    python -m benchmarks.memory.corpus --sentences 1000000 --words 12
    python -m benchmarks.memory.corpus --family classification
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

import nlp_gym
from benchmarks.memory.resident import MIB, resident_mib
from nlp_gym.data import load_corpus
from nlp_gym.messages import one_line_errors

FAMILIES = {"tagging": "NER-v0", "classification": "Classification-v0"}
VOCABULARY = 30_000


def write_corpus(path: Path, sentences: int, words: int, family: str) -> None:
    """Write a file of made-up sentences: CoNLL, or a CSV of texts and labels."""
    rng = np.random.default_rng(0)
    ranks = np.minimum(rng.zipf(1.3, size=(sentences, words)), VOCABULARY)
    tags = ["O" if place % 7 < 5 else f"{'BI'[place % 7 - 5]}-PER" for place in range(words)]
    with path.open("w", encoding="utf-8") as file:
        if family == "classification":
            file.write("text,label\n")
        for number, row in enumerate(ranks.tolist()):
            text = [f"word{rank}" for rank in row]
            if family == "classification":
                file.write(f"{' '.join(text)},L{number % 5}\n")
            else:
                file.write("".join(f"{w} {tag}\n" for w, tag in zip(text, tags, strict=True)))
                file.write("\n")


def peak_mib() -> float:
    """Largest resident set size of this process so far, in MiB."""
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size / (MIB if sys.platform == "darwin" else 1024)


def measure(path: Path, sentences: int, family: str) -> dict[str, float]:
    """KiB per sentence, and seconds of the processor, of reading and of an environment."""
    base, start = resident_mib(), time.process_time()
    scheme = "auto" if family == "tagging" else "none"  # as the environment reads the file
    load_corpus(None, "train", data={"train": path}, family=family, scheme=scheme)
    found = {"read": resident_mib() - base, "reading": time.process_time() - start}
    start = time.process_time()
    settings: dict[str, Any] = {"encoder": "hashed", "obs_type": "index"}
    env = gym.make_vec(FAMILIES[family], num_envs=32, data={"train": path}, **settings)
    env.reset(seed=0)
    found |= {"played": resident_mib() - base, "making": time.process_time() - start}
    found["peak"] = peak_mib() - base
    env.close()
    sizes = {key: found[key] * 1024 / sentences for key in ("read", "played", "peak")}
    return {**found, **sizes}


def main(argv: list[str] | None = None) -> dict[str, float]:
    """Print the measurement; returns KiB per sentence and seconds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sentences", type=int, default=200_000)
    parser.add_argument("--words", type=int, default=20, help="of a sentence")
    parser.add_argument("--family", choices=[*FAMILIES], default="tagging")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        path = Path(folder) / ("corpus.conll" if args.family == "tagging" else "corpus.csv")
        write_corpus(path, args.sentences, args.words, args.family)
        found = measure(path, args.sentences, args.family)
    print(f"nlp_gym {nlp_gym.__version__}, {args.sentences:,} sentences of {args.words} words")
    print(f"read:   {found['read']:.2f} KiB a sentence, {found['reading']:.1f} s")
    print(f"played: {found['played']:.2f} KiB a sentence, {found['making']:.1f} s more")
    print(f"peak:   {found['peak']:.2f} KiB a sentence")
    return found


if __name__ == "__main__":
    with one_line_errors():
        main()
