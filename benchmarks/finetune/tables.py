"""What `comparison` prints: the table, the table by tag, differences and the learning curves."""

from __future__ import annotations

import importlib
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nlp_gym.files import atomic_path

Record = Mapping[str, Any]
SHARES = (0.97, 0.99, 1.0)
CEILING = "supervised"
_BASES = (CEILING, "bc", "supervised-long", "bc-long")
_HEAD = (
    "row",
    "seed",
    "dev",
    "test",
    "95 % of test",
    "training s",
    "evaluation s",
    "weights trained (of the encoder's)",
    "texts encoded per pass, learning + acting",
)
PUBLISHED = {
    "B-LOC": 0.916,
    "B-MISC": 0.865,
    "B-ORG": 0.906,
    "B-PER": 0.947,
    "I-LOC": 0.850,
    "I-MISC": 0.825,
    "I-ORG": 0.896,
    "I-PER": 0.962,
    "O": 0.994,
}
"""Token F1 of a BERT trained by reinforcement learning on CoNLL-2003's test set, as published."""


def time_to(record: Record, value: float) -> float | None:
    """Seconds of training, without evaluations, until dev was at `value`; None: never.

    The time of a warm start counts, but what it reached by itself (at timestep 0) does not.
    """
    for point in record["curve"]:
        if point["timesteps"] > 0 and point["value"] >= value:
            return float(point["train_seconds"])
    return None


def table(records: Sequence[Record]) -> list[str]:
    """All rows as Markdown, with means over seeds."""
    ceilings = {r["seed"]: r for r in records if r["row"] == CEILING}
    heads = [*_HEAD, *(f"s to {share:g}x" for share in SHARES)]
    lines = [_line(heads), "|---|---:|---:|---:|---|" + "---:|" * (len(heads) - 5)]
    lines += [_line(_cells(r, ceilings.get(r["seed"]))) for r in records]
    for name in dict.fromkeys(r["row"] for r in records):
        same = [r for r in records if r["row"] == name]
        if len(same) > 1:
            lines.append(_line(_means(name, same) + [""] * (len(heads) - 6)))
    return lines


def _cells(record: Record, ceiling: Record | None) -> list[str]:
    low, high = record["test"]["interval"]
    encoded, n = record["encoded"], record["texts"]
    cells = [f"`{record['row']}`", str(record["seed"])]
    cells += [f"{record[split]['value']:.4f}" for split in ("dev", "test")]
    cells += [f"{low:.4f} to {high:.4f}"]
    cells += [f"{record[name]:,.0f}" for name in ("train_seconds", "evaluation_seconds")]
    own = record["trained_encoder"]
    whole_encoder = record["weights"] - record["trained"] + own
    cells += [f"{record['trained'] / record['weights']:.1%} ({own / whole_encoder:.1%})"]
    cells += [f"{encoded['learning'] / n:.2f} + {encoded['acting'] / n:.2f} x {n:,}"]
    if ceiling is None:
        return [*cells, "", "", ""]
    best = ceiling["dev"]["value"]
    times = [time_to(record, share * best) for share in SHARES]
    whole = ceiling["train_seconds"]
    return cells + ["never" if t is None else f"{t:,.0f} ({t / whole:.2f} x)" for t in times]


def _means(name: str, same: Sequence[Record]) -> list[str]:
    cells = [f"`{name}`", f"mean of {len(same)}"]
    for split in ("dev", "test"):
        values = [r[split]["value"] for r in same]
        cells.append(f"{statistics.mean(values):.4f} ± {statistics.stdev(values):.4f}")
    seconds = statistics.mean(r["train_seconds"] for r in same)
    return [*cells, "", f"{seconds:,.0f}"]


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def differences(records: Sequence[Record], *, draws: int = 2000) -> list[str]:
    """Test F1 of each row less that of the supervised ones, with the paired bootstrap's interval.

    Sentences are drawn, the same for both; F1 is averaged over the seeds that both have.
    """
    lines = []
    for i, base in enumerate(_BASES):
        for name in dict.fromkeys(r["row"] for r in records):
            pairs = _pairs(records, name, base)
            if name in _BASES[: i + 1] or not pairs:
                continue
            low, mean, high = _difference(pairs, draws)
            lines.append(f"| `{name}` | `{base}` | {len(pairs)} | {mean:+.4f} | {low:+.4f} to ")
            lines[-1] += f"{high:+.4f} |"
    if lines:
        lines = ["| row | less | seeds | test | 95 % |", "|---|---|---:|---:|---|", *lines]
    return lines


def _pairs(records: Sequence[Record], name: str, base: str) -> list[tuple[Any, Any]]:
    counts = {(r["row"], r["seed"]): r["test"].get("counts") for r in records}
    both = [(counts[row, seed], counts.get((base, seed))) for row, seed in counts if row == name]
    return [(own, other) for own, other in both if own is not None and other is not None]


def _difference(pairs: Sequence[tuple[Any, Any]], draws: int) -> tuple[float, float, float]:
    n = len(pairs[0][0])
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(n, np.full(n, 1 / n), size=draws)
    drawn = np.concatenate([np.ones((1, n), np.int64), drawn])  # first: as it is
    own, other = ([_f1(drawn @ np.array(p[side])) for p in pairs] for side in (0, 1))
    found = np.mean(own, axis=0) - np.mean(other, axis=0)
    low, high = np.percentile(found[1:], [2.5, 97.5])
    return float(low), float(found[0]), float(high)


def _f1(sums: Any) -> Any:
    return 2 * sums[:, 0] / np.maximum(sums[:, 1] + sums[:, 2], 1)


def tag_table(records: Sequence[Record]) -> list[str]:
    """Token F1 by tag on test, mean over seeds, beside what was published; [] without tags."""
    tagged = [r for r in records if "tags" in r["test"] and "counts" in r["test"]]
    if not tagged:
        return []
    names = [name for name in sorted(tagged[0]["test"]["tags"]) if name[:1] in "BIO"]
    lines = [_line(["token F1, test", *names]), "|---|" + "---:|" * len(names)]
    if set(names) <= set(PUBLISHED):
        lines.append(_line(["published", *(f"{PUBLISHED[name]:.3f}" for name in names)]))
    for row in dict.fromkeys(r["row"] for r in tagged):
        tables = [r["test"]["tags"] for r in tagged if r["row"] == row]
        values = [statistics.mean(t.get(n, {}).get("f1-score", 0.0) for t in tables) for n in names]
        lines.append(_line([f"`{row}`", *(f"{value:.3f}" for value in values)]))
    return lines


def plot(records: Sequence[Record], path: Path) -> None:
    """Write the learning curves, dev by seconds of training, as a picture.

    Raises:
        SystemExit: matplotlib is not installed.
    """
    try:
        matplotlib = importlib.import_module("matplotlib")
    except ImportError:
        raise SystemExit("--plot needs matplotlib: pip install matplotlib") from None
    matplotlib.use("Agg")
    pyplot = importlib.import_module("matplotlib.pyplot")
    figure, axes = pyplot.subplots(figsize=(8, 5), layout="constrained")
    names = list(dict.fromkeys(r["row"] for r in records))
    for record in records:
        name = record["row"]
        seconds = [p["train_seconds"] for p in record["curve"]]
        values = [p["value"] for p in record["curve"]]
        first = record is next(r for r in records if r["row"] == name)
        label, colour = name if first else None, f"C{names.index(name)}"
        axes.plot(seconds, values, color=colour, label=label, marker=".", alpha=0.8)
    axes.set_xlabel("seconds of training, evaluations not counted")
    axes.set_ylabel(f"{records[0]['dev']['metric']}, dev")
    title = axes.set_title(records[0]["env"])
    axes.grid(alpha=0.3)
    for text in (title, *axes.legend().get_texts()):
        text.set_parse_math(False)  # a dollar sign in a name is one
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format=path.suffix.lstrip(".") or "png", dpi=120)
    pyplot.close(figure)
