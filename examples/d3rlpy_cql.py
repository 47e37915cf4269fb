"""d3rlpy's discrete CQL, offline, on episodes that Minari holds as flat vectors.

The episodes hold legal actions only, and the agent plays the legal action of the highest value.
What computes the score is marked `# score`. `d3rlpy.datasets.get_minari` is not used: it refuses
environments without a limit of steps, and takes the T + 1 observations of an episode for T (d3rlpy
2.8.1), so that from the second episode on actions belong to other observations.

    nlp-gym export-minari NER-CoNLL-v0 --flat --episodes 3000 --data-dir ../shared/data
    python examples/d3rlpy_cql.py --dataset nlp_gym/NER-CoNLL/oracle-v0 --data-dir ../shared/data
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from typing import Any

import d3rlpy
import minari
import numpy as np
from d3rlpy.algos import DiscreteCQLConfig
from d3rlpy.dataset import Episode, InfiniteBuffer, ReplayBuffer
from d3rlpy.models.encoders import VectorEncoderFactory

from nlp_gym.messages import one_line_errors
from nlp_gym.tasks import rollout  # score


def load(names: list[str], n_actions: int) -> ReplayBuffer:
    """The episodes of Minari datasets; the last observation, after the end, is left out."""
    episodes = [
        Episode(
            episode.observations[:-1],
            np.asarray(episode.actions)[:, None],
            np.asarray(episode.rewards, np.float32)[:, None],
            terminated=bool(episode.terminations[-1]),
        )
        for name in names
        for episode in minari.load_dataset(name)
    ]
    return ReplayBuffer(
        InfiniteBuffer(),
        episodes=episodes,
        action_space=d3rlpy.ActionSpace.DISCRETE,
        action_size=n_actions,
    )


def main(argv: list[str] | None = None) -> tuple[int, float, float]:
    """Train and score; returns updates, seconds of training and the task's metric on dev."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--dataset", action="append", required=True, help="may be given again")
    parser.add_argument("--data-dir", help="folder of the real corpora (default: bundled sample)")
    parser.add_argument("--steps", type=int, default=3000, help="updates")
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--alpha", type=float, default=1.0, help="weight of the penalty")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    if args.data_dir:
        os.environ["NLP_GYM_DATA"] = args.data_dir
    d3rlpy.seed(args.seed)
    dev: Any = minari.load_dataset(args.dataset[0]).recover_environment(eval_env=True)  # score
    task, n_actions = dev.unwrapped.task, int(dev.action_space.n)  # score
    data = load(args.dataset, n_actions)
    agent = DiscreteCQLConfig(
        batch_size=args.batch,
        gamma=0.0,  # a label hardly changes what later words earn
        learning_rate=args.lr,
        encoder_factory=VectorEncoderFactory([256]),
        alpha=args.alpha,
    ).create(device="cpu:0")
    start = time.perf_counter()
    agent.fit(
        data,
        n_steps=args.steps,
        n_steps_per_epoch=args.steps,
        show_progress=False,
        logger_adapter=d3rlpy.logging.NoopAdapterFactory(),
    )
    seconds = time.perf_counter() - start

    def act(obs: Any, mask: Any) -> Any:  # score
        every = [
            agent.predict_value(obs, np.full(len(obs), action)) for action in range(n_actions)
        ]  # score
        return np.where(mask, np.stack(every, -1), -np.inf).argmax(-1)  # score

    score = task.score(rollout(task, act, layout="flat"), bootstrap=0)  # score
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    result = {"library": "d3rlpy CQL", "steps": args.steps, "seconds": round(seconds, 2)}
    print(json.dumps({**result, "dev": round(score.value, 4), "rss_mb": round(rss)}))
    return args.steps, seconds, float(score.value)


if __name__ == "__main__":
    with one_line_errors():
        main()
