"""What many nodes and a large corpus would cost, and what breaks first: an estimate on paper.

Nothing here ran at that size. `Inputs` names every piece, with the command that measured it; what
is an assumption says so. Each can be replaced by a flag of its name.

    python -m benchmarks.memory.scale_estimate
    python -m benchmarks.memory.scale_estimate --nodes 20 --sentences 1e7 --node-hour 0.35
    python -m benchmarks.memory.scale_estimate --measure  # the pieces that this machine can measure
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from nlp_gym.encode.store import RowWriter
from nlp_gym.messages import one_line_errors
from nlp_gym_agents.networks.features.source import MAX_ROWS

INT32 = 2**31 - 1
"""Largest number of a unit in the tables of tasks (`nlp_gym.tasks.core.tables`)."""
BLOCK_WORDS = 32_768
"""Words of a task of `nlp-gym encode --ray`."""


@dataclass(frozen=True)
class Inputs:
    """Pieces measured on 2 cores without a GPU that other work shared, and assumptions."""

    # What is asked for.
    sentences: float = 100e6
    words: float = 20.0  # of a sentence
    nodes: float = 100.0
    cores: float = 16.0  # of a node
    # Assumptions: prices and hardware differ by seller and year.
    node_hour: float = 0.60  # dollars
    tb_month: float = 80.0  # dollars, of a disk
    node_memory_gb: float = 64.0
    node_disk_tb: float = 1.0
    network_mb_s: float = 1250.0  # 10 Gbit/s
    # Measured: `python benchmarks/speed/encoding.py --words 6000 --split dev --threads 1`.
    encode_words_s: float = 5000.0  # of one core, MiniLM, default layers
    # Measured: `time nlp-gym encode FILE --encoder hashed`, the part that reads.
    read_words_s: float = 546e3  # words cut by rules, one core; 9.8e6 with --pretokenized
    # Measured: `python -m benchmarks.memory.scale_estimate --measure`.
    write_mb_s: float = 209.0
    ray_mb_s: float = 221.0  # vectors from one node to the driver, two nodes on one machine
    # Measured: `python -m benchmarks.memory.corpus --sentences 100000` (20 words a sentence).
    read_kib: float = 1.23  # of a sentence, a corpus in memory
    played_kib: float = 1.74  # and its tables
    peak_kib: float = 2.81  # while it is read
    read_us: float = 26.0  # processor time of a sentence
    # Measured: `python benchmarks/speed/training.py`, default features, 64 environments, 2 cores.
    ppo_steps_s: float = 8200.0


STORED = {
    "default layers, float16": 3 * 384 * 2,
    "last layer, float16": 384 * 2,
    "projected to 128, int8": 128,
}
"""Bytes of a word in the cache."""


def hours(seconds: float) -> str:
    """A time for people."""
    return f"{seconds / 3600:.2f} h" if seconds >= 360 else f"{seconds / 60:.1f} min"


def size(n_bytes: float) -> str:
    """A size for people."""
    return f"{n_bytes / 1e12:.2f} TB" if n_bytes >= 1e12 else f"{n_bytes / 1e9:.1f} GB"


@dataclass(frozen=True)
class Encoding:
    """One cache of the whole corpus.

    Attributes:
        n_bytes: Its size.
        compute_s: Seconds of all nodes, if nothing else held them up.
        read_s: Seconds in which the driver cuts the text into words, before anything is encoded.
        fetch_s: Seconds in which the driver takes the vectors from the nodes.
        write_s: Seconds in which the driver writes them, and hashes them.
        useful_cores: Cores beyond which the driver, not the nodes, is the limit.
    """

    n_bytes: float
    compute_s: float
    read_s: float
    fetch_s: float
    write_s: float
    useful_cores: float

    @property
    def total_s(self) -> float:
        """Reading, then the slowest of the three that go on at the same time."""
        return self.read_s + max(self.compute_s, self.fetch_s, self.write_s)


def encoding(given: Inputs, word_bytes: float) -> Encoding:
    """Estimate the encoding of a corpus, with so many bytes of a word in the cache."""
    words = given.sentences * given.words
    n_bytes = words * word_bytes
    driver_mb_s = min(given.write_mb_s, given.ray_mb_s, given.network_mb_s)
    return Encoding(
        n_bytes=n_bytes,
        compute_s=words / (given.encode_words_s * given.cores * given.nodes),
        read_s=words / given.read_words_s,
        fetch_s=n_bytes / 1e6 / min(given.ray_mb_s, given.network_mb_s),
        write_s=n_bytes / 1e6 / given.write_mb_s,
        useful_cores=driver_mb_s * 1e6 / word_bytes / given.encode_words_s,
    )


def breaks(given: Inputs, word_bytes: float) -> list[tuple[float, str]]:
    """Sentences at which something breaks, in that order, and what breaks."""
    memory, disk = given.node_memory_gb * 1e9, given.node_disk_tb * 1e12
    found = [
        (disk / (given.words * word_bytes), f"the cache fills a disk of {size(disk)}"),
        (MAX_ROWS, "agents refuse more texts: a row number has to be exact as float32"),
        (memory / (given.peak_kib * 1024), f"reading a corpus fills {size(memory)} of memory"),
        (memory / (given.played_kib * 1024), f"corpus and tables fill {size(memory)}"),
        (INT32 / given.words, "unit numbers of the tables (int32) end"),
    ]
    return sorted(found)


def measure() -> dict[str, float]:
    """The pieces of `Inputs` that are quick to measure here, in MB/s."""
    block = np.random.default_rng(0).standard_normal((BLOCK_WORDS, 1152)).astype(np.float16)
    count = 10
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        start = time.perf_counter()
        shape = (count * len(block), block.shape[1])
        with RowWriter(Path(folder) / "x.npy", key="x", shape=shape, dtype="<f2") as writer:
            for _ in range(count):
                writer.append(block)
        found = {"write_mb_s": count * block.nbytes / 1e6 / (time.perf_counter() - start)}
    try:
        import ray
        from ray.cluster_utils import Cluster
    except ImportError:
        return found
    size = {"object_store_memory": 1000 * 2**20}
    nodes = Cluster(
        initialize_head=True, head_node_args={**size, "num_cpus": 0, "include_dashboard": False}
    )
    nodes.add_node(num_cpus=1, **size)
    ray.init(address=nodes.address, log_to_driver=False)
    try:
        task = ray.remote(num_cpus=1)(np.full)
        ray.get(task.remote((2, 2), 0, np.float16))  # the worker has started
        start = time.perf_counter()
        waiting = [task.remote(block.shape, number, np.float16) for number in range(count)]
        while waiting:
            ray.get(waiting.pop(0))
        found["ray_mb_s"] = count * block.nbytes / 1e6 / (time.perf_counter() - start)
    finally:
        ray.shutdown()
        nodes.shutdown()
    return found


def report(given: Inputs) -> str:
    """The estimate as Markdown."""
    words = given.sentences * given.words
    lines = [
        f"{given.sentences:,.0f} sentences, {words:,.0f} words, {given.nodes:.0f} nodes of "
        f"{given.cores:.0f} cores at ${given.node_hour:.2f} an hour",
        "",
        "| cache | size | reading | computing | fetching | writing | in all | cores that help "
        "| nodes $ | disk $/month |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, word_bytes in STORED.items():
        one = encoding(given, word_bytes)
        times = (one.read_s, one.compute_s, one.fetch_s, one.write_s, one.total_s)
        dollars = one.total_s / 3600 * given.nodes * given.node_hour
        cells = [name, size(one.n_bytes), *map(hours, times), f"{one.useful_cores:,.0f}"]
        cells += [f"{dollars:,.0f}", f"{one.n_bytes / 1e12 * given.tb_month:,.0f}"]
        lines.append("| " + " | ".join(cells) + " |")
    pass_s = words / given.ppo_steps_s
    ahead = 2 * given.nodes * given.cores * BLOCK_WORDS * STORED["default layers, float16"]
    lines += [
        "",
        f"- One PPO pass of one node over all words: {hours(pass_s)}, "
        f"${pass_s / 3600 * given.node_hour:,.0f}.",
        f"- Corpus in memory: {size(given.sentences * given.read_kib * 1024)} read, "
        f"{size(given.sentences * given.played_kib * 1024)} with tables, "
        f"{size(given.sentences * given.peak_kib * 1024)} at the peak of reading, which takes "
        f"{hours(given.sentences * given.read_us / 1e6)}.",
        f"- Offsets: {size(8 * given.sentences)}; context of a tagger with window 1 (int32): "
        f"{size(12 * words)}, and {size(24 * words)} while it is made.",
        f"- {words / BLOCK_WORDS:,.0f} tasks, {2 * given.nodes * given.cores:,.0f} at once, whose "
        f"vectors take {size(ahead)} of the nodes' object stores.",
        "",
        "What breaks first:",
        "",
        "| sentences | what |",
        "|---:|---|",
    ]
    found = breaks(given, STORED["default layers, float16"])
    lines += [f"| {count / 1e6:,.1f} M | {what} |" for count, what in found]
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> Inputs:
    """Print the estimate; returns what it was made of."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--measure", action="store_true", help="measure pieces here first")
    for field in fields(Inputs):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=float, default=field.default)
    values = vars(parser.parse_args(argv))
    measured = measure() if values.pop("measure") else {}
    given = replace(Inputs(**values), **measured)
    for name, value in measured.items():
        print(f"measured {name}: {value:.0f}")
    print(report(given))
    return given


if __name__ == "__main__":
    with one_line_errors():
        main()
