"""How often finetuning by rewards encodes a text; supervised learning encodes each once a pass.

    python -m benchmarks.finetune.encodings --data-dir ../shared/data

The first row of an id has the sizes of the hyperparameter file: one update learns from a rollout,
and its gradients flow back through the rollout's own pass through the encoder. The second has 32
environments and four minibatches a rollout, so that a text is encoded to act and once more to
learn, and encodes all that the next episodes may show ahead. Weights matter for where a reader
stops alone.
"""

from __future__ import annotations

import argparse
import warnings
from typing import Any

import numpy as np
import torch

from benchmarks.finetune.agents import decisions
from nlp_gym import make_task
from nlp_gym.messages import one_line_errors
from nlp_gym.tasks.core.task import Task
from nlp_gym_agents.algorithms.registry import resolve
from nlp_gym_agents.config.hyperparams import load_hyperparams
from nlp_gym_agents.models.build import build_model
from nlp_gym_agents.networks.encoder.options import Tuning
from nlp_gym_agents.networks.encoder.trainable import TrainableEncoder, trainable_encoders

DECISIONS = {"NER-CoNLL-v0": 8192, "SpanQA-SQuAD-v0": 512, "Sentiment-SST2-v0": 8192}
AGAIN = {"spanqa": {"n_envs": 32, "n_steps": 8}}
"""Sizes of the second row by family."""


class Counted:
    """The texts that the updates of a learning encoder learn from.

    Args:
        encoder: It is watched from here on.
    """

    def __init__(self, encoder: TrainableEncoder) -> None:
        self.texts, self._update = 0, encoder._differentiable
        encoder._differentiable = self  # type: ignore[method-assign,assignment]

    def __call__(self, texts: Any, units: Any) -> Any:
        """As the encoder's own."""
        self.texts += len(np.unique(texts.texts_of(units[units < texts.n_units])))
        return self._update(texts, units)


def measured(env_id: str, task: Task, total: int, changes: dict[str, int]) -> str:
    """A row of the table.

    Args:
        env_id: Whose hyperparameters count.
        task: Its training corpus.
        total: Decisions.
        changes: Of the hyperparameters.
    """
    params = load_hyperparams("maskable_ppo", env_id, changes, encoder_mode="finetune")
    n_envs = params.pop("n_envs")
    for name in ("n_timesteps", "tuning", "env_kwargs"):
        params.pop(name, None)
    tuning, row = Tuning(lr=1e-5), resolve("maskable_ppo")
    model: Any = build_model(row, task, params, n_envs=n_envs, tuning=tuning, device="cpu")
    encoder = trainable_encoders(model.policy)[0]
    look: Any = encoder.upcoming
    if changes:
        encoder.upcoming = lambda _: look.source.texts_of(look.venv.upcoming())
    counted = Counted(encoder)
    model.learn(total)
    passes, found = model.num_timesteps / decisions(task), encoder.encoded_texts
    per_text = [found[key] / counted.texts for key in ("acting", "learning")]
    cells = [f"{value:.3f}" for value in (*per_text, sum(per_text))]
    cells += [f"{sum(found.values()) / passes / len(task.corpus):.2f}"]
    cells += [f"{sum(found.values()) / model.num_timesteps:.3f}"]
    return f"| `{env_id}` | {n_envs} x {params['n_steps']} | " + " | ".join(cells) + " |"


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data-dir", required=True, help="folder of the corpora")
    parser.add_argument("--encoder", default="minilm", help="name or folder of a transformer")
    parser.add_argument("--envs", nargs="+", default=list(DECISIONS), choices=list(DECISIONS))
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    print("| id | rollout | acting | learning | together | a text and pass | a decision |")
    print("|---|---|---:|---:|---:|---:|---:|")
    for env_id in args.envs:
        options = {"layers": "last", "dtype": "float32"}
        given = {"data_dir": args.data_dir, "encoder": args.encoder, "encoder_kwargs": options}
        task = make_task(env_id, "train", **given)
        again = AGAIN.get(task.family, {"n_envs": 32, "n_steps": 64})
        for changes in ({}, again):
            print(measured(env_id, task, DECISIONS[env_id], changes), flush=True)


if __name__ == "__main__":
    with one_line_errors():
        main()
