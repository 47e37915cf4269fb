"""Finetuning, encoding and stepping on one CUDA device, beside what its bf16 products can do.

    python -m benchmarks.speed.gpu --data-dir DIR
    python -m benchmarks.speed.gpu --data-dir DIR --encoder FOLDER --rows bc  # own weights
    python -m benchmarks.speed.gpu --device cpu --quick  # a tiny version, to see that it runs

Nothing is downloaded: corpora are read from `--data-dir` and weights from the installed package or
a folder with config.json, tokenizer.json and model.safetensors. Without CUDA it says so and ends
with status 2.

The share of the measured rate counts what the model needs, not what padding adds. With n sub-words
in a text, N layers of width d and f inside, a forward pass is

    n * N * (2 * (4 d^2 + 2 d f) + 4 n d)

operations (a multiplication and an addition are two: queries, keys, values, output; the two layers
inside; scores and weighted values of attention), and a step of training three times that.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.finetune.comparison import ROWS, Comparison, comparison_of
from benchmarks.finetune.comparison import parser as finetune_parser
from benchmarks.finetune.supervised import Finetuned, Recipe, now
from benchmarks.finetune.tables import CEILING, table
from nlp_gym.encode import encode_texts, load_encoder
from nlp_gym.messages import one_line_errors
from nlp_gym_agents.algorithms.registry import resolve
from nlp_gym_agents.config.hyperparams import load_hyperparams
from nlp_gym_agents.models.build import build_model, encode

SIZES = (2048, 4096, 8192, 16384)


def matmul_rate(device: str, sizes: tuple[int, ...], seconds: float) -> tuple[float, int]:
    """Best rate of square bfloat16 products, in operations per second, and the size it had."""
    rates = []
    for size in sizes:
        a, b = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
        for _ in range(3):
            a @ b
        count, start = 0, now(device)
        while (elapsed := now(device) - start) < seconds:
            for _ in range(10):
                a @ b
            count += 10
        rates.append((2 * size**3 * count / elapsed, size))
    return max(rates)


def forward_operations(config: Any, lengths: list[int]) -> float:
    """Operations of a forward pass over texts of `lengths` sub-words; see the module's text."""
    d, f, layers = config.hidden_size, config.intermediate_size, config.num_hidden_layers
    linear = 2 * (4 * d * d + 2 * d * f)
    return float(sum(n * layers * (linear + 4 * n * d) for n in lengths))


def supervised_rates(comparison: Comparison, batch: int, steps: int) -> tuple[float, float, float]:
    """Sentences, sub-words and model operations a second of supervised steps, after a warm-up."""
    base = comparison.recipe
    recipe = Recipe(batch=batch, device=base.device, bfloat16=base.bfloat16)
    job = Finetuned(comparison.tasks, comparison.encoder, recipe)
    job.model.train()
    optimizer = torch.optim.AdamW(job.model.parameters(), lr=1e-5)
    lengths: list[int] = []
    start = 0.0
    for step, texts in enumerate(itertools.islice(job.batches(), steps + 5)):
        if step == 5:
            lengths, start = [], now(recipe.device)
        optimizer.zero_grad()
        job.loss(texts).backward()
        torch.nn.utils.clip_grad_norm_(job.model.parameters(), 1.0)
        optimizer.step()
        lengths += [len(text.ids) for text in texts]
    seconds = now(recipe.device) - start
    operations = 3 * forward_operations(job.model.encoder.config, lengths)
    return len(lengths) / seconds, sum(lengths) / seconds, operations / seconds


def encoding_rate(comparison: Comparison, words: int) -> float:
    """Words a second of the frozen encoder, pooled and standardised, on the host at the end."""
    encoder = load_encoder(comparison.encoder, device=comparison.recipe.device)
    texts = [sample.words for sample in comparison.tasks["train"].corpus.samples]
    ends = np.cumsum([len(text) for text in texts])
    texts = texts[: int(np.searchsorted(ends, words)) + 1]
    encode_texts(texts[:256], encoder)
    start = time.perf_counter()
    encode_texts(texts, encoder)
    return sum(map(len, texts)) / (time.perf_counter() - start)


def stepping_rates(comparison: Comparison, n_envs: int, steps: int) -> tuple[float, float]:
    """Decisions a second of `n_envs` environments whose features are on the device.

    Returns:
        Observation and features only, with actions drawn before; with the policy's actions too.
    """
    base, task = comparison.base, comparison.tasks["dev"]
    encode(task)
    params = load_hyperparams("maskable_ppo", base.env)
    rest = {k: v for k, v in params.items() if k not in ("n_envs", "n_timesteps", "env_kwargs")}
    row = resolve("maskable_ppo")
    model: Any = build_model(row, task, rest, n_envs=n_envs, device=base.device)
    actions = np.random.default_rng(0).integers(0, task.n_actions, (64, n_envs))
    policy, rates = model.policy, []
    policy.set_training_mode(False)
    for acting in (False, True):
        seen, start = model.env.reset(), 0.0
        with torch.no_grad():
            for step in range(steps + 10):
                if step == 10:
                    start = now(base.device)
                tensors = {k: torch.as_tensor(v, device=base.device) for k, v in seen.items()}
                chosen = actions[step % 64]
                if acting:
                    chosen = policy(tensors, action_masks=seen["action_mask"])[0].cpu().numpy()
                else:
                    policy.extract_features(tensors)
                seen = model.env.step(chosen)[0]
        rates.append(n_envs * steps / (now(base.device) - start))
    return rates[0], rates[1]


def decision_rate(record: dict[str, Any]) -> float:
    """Decisions (of supervised rows: sentences) a second of training, its warm start left out."""
    first, last = record["curve"][0], record["curve"][-1]
    if record["row"] == CEILING:
        return float(last["timesteps"] / last["train_seconds"])
    done = last["timesteps"] - first["timesteps"]
    return float(done / max(last["train_seconds"] - first["train_seconds"], 1e-9))


def device_name(device: str) -> str:
    """What it is called, and with what it was driven."""
    versions = f"torch {torch.__version__}, CUDA {torch.version.cuda}"
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else device
    return f"{name} ({versions})"


def measure(args: argparse.Namespace, comparison: Comparison) -> None:
    """All parts, each printed once it is there."""
    quick, n = args.quick, len(comparison.tasks["train"].corpus)
    print(f"device: {device_name(args.device)}")
    print(f"corpus: {comparison.tasks['train'].corpus.name}, {n:,} training texts")
    sizes, seconds = ((256,), 0.1) if quick else (SIZES, 1.0)
    rate, size = matmul_rate(args.device, sizes, seconds)
    print(f"bf16 products: {rate / 1e12:.2f} TFLOP/s ({size} x {size})\n", flush=True)
    print("| supervised, texts a batch | sentences/s | sub-words/s | of the bf16 rate |")
    print("|---:|---:|---:|---:|")
    for batch in (8,) if quick else args.batches:
        texts, tokens, done = supervised_rates(comparison, batch, 3 if quick else 100)
        print(f"| {batch} | {texts:,.0f} | {tokens:,.0f} | {done / rate:.1%} |", flush=True)
    words = encoding_rate(comparison, 2000 if quick else 200_000)
    print(f"\nfrozen encoding: {words:,.0f} words/s")
    bare, acting = stepping_rates(comparison, 64 if quick else 1024, 20 if quick else 500)
    print(
        f"stepping, last layer's features on the device: {bare:,.0f} decisions/s, "
        f"{acting:,.0f} with actions"
    )
    print(flush=True)
    records = [comparison.record(row, args.seed) for row in args.rows]
    print("\n".join(table(records)))
    print("\n| row | learned from, a second |\n|---|---:|")
    for record in records:
        what = "sentences" if record["row"] == CEILING else "decisions"
        print(f"| `{record['row']}` | {decision_rate(record):,.0f} {what} |")


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and measure; without the device, end with status 2."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--env", default="NER-CoNLL-v0")
    parser.add_argument("--data-dir", help="folder of the corpora")
    parser.add_argument("--encoder", help="name or folder; default: minilm")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=[CEILING, "bc", "maskable_ppo"])
    parser.add_argument("--batches", nargs="+", type=int, default=[32, 128, 512])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--recipes", type=Path, help="as in benchmarks.finetune")
    parser.add_argument("--quick", action="store_true", help="a tiny version, as a test")
    parser.add_argument("--out", type=Path, default=Path("runs/gpu"))
    args = parser.parse_args(argv)
    if args.device.startswith("cuda") and not torch.cuda.is_available():
        print("No CUDA device here: nothing was measured.", file=sys.stderr)
        raise SystemExit(2)
    warnings.simplefilter("ignore")
    given = ["--env", args.env, "--device", args.device, "--out", str(args.out)]
    for name in ("data_dir", "encoder", "recipes"):
        if getattr(args, name) is not None:
            given += [f"--{name.replace('_', '-')}", str(getattr(args, name))]
    if args.quick:
        given += ["--quick", "--evaluations", "2"]
    measure(args, comparison_of(finetune_parser().parse_args(given)))


if __name__ == "__main__":
    with one_line_errors():
        main()
