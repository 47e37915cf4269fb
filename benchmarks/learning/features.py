"""Which frozen features: behaviour cloning (`bc`) on several layers and windows, dev and test.

    python benchmarks/learning/features.py --data-dir ../shared/data

The supervised probe is what an RL agent on the same features can hope for, and it trains in a
minute: the defaults of the encoder and the task are chosen by it.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from pathlib import Path
from typing import Any

from nlp_gym.data.text.shapes import SHAPE_FLAGS
from nlp_gym.messages import one_line_errors
from nlp_gym_agents.config.train_config import TrainConfig
from nlp_gym_agents.evaluation.evaluate import evaluate
from nlp_gym_agents.training.train import train

FEATURES: dict[str, dict[str, Any]] = {
    "last layer": {"encoder_kwargs": {"layers": "last"}, "window": 0, "shape": False},
    "layer 4": {"encoder_kwargs": {"layers": 4}, "window": 0, "shape": False},
    "layers 0+2+4": {"window": 0, "shape": False},
    "layers 0+2+4, one word each side": {"shape": False},
    "layers 0+2+4, two words each side": {"window": 2, "shape": False},
    "layers 0+2+4, one word each side, word shape (default)": {},
}


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--env", default="NER-CoNLL-v0")
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--only", help="rows whose name contains this")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    print("| features | width | dev | test |\n|---|---:|---:|---:|", flush=True)
    for name, kwargs in FEATURES.items():
        if args.only and args.only not in name:
            continue
        config = TrainConfig(env=args.env, algo="bc", data_dir=args.data_dir, env_kwargs=kwargs)
        with tempfile.TemporaryDirectory() as folder:
            run = train(config, run_dir=Path(folder) / "run", progress=False)
            scores = [evaluate(run, split, bootstrap=0).value for split in ("dev", "test")]
        layers = kwargs.get("encoder_kwargs", {}).get("layers", (0, 2, 4))
        words = 2 * kwargs.get("window", 1) + 1
        width = 384 * words * (len(layers) if isinstance(layers, tuple) else 1)
        width += len(SHAPE_FLAGS) * words if kwargs.get("shape", True) else 0
        print(f"| {name} | {width} | {scores[0]:.4f} | {scores[1]:.4f} |", flush=True)


if __name__ == "__main__":
    with one_line_errors():
        main()
