"""PPO of Tianshou 2 with action masks: the actor reads `obs.obs` and `obs.mask`.

What Tianshou's own CartPole script lacks is marked `# nlp_gym`, and what scores it `# score`. The
hyperparameters are those of this project's `maskable_ppo`; where rewards come last: `--gamma 1`.

    python examples/tianshou_ppo.py --data-dir ../shared/data --steps 300000
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from tianshou.algorithm.modelfree.ppo import PPO
from tianshou.algorithm.modelfree.reinforce import DiscreteActorPolicy
from tianshou.algorithm.optim import AdamOptimizerFactory, LRSchedulerFactoryLinear
from tianshou.data import Batch, Collector, VectorReplayBuffer
from tianshou.env import DummyVectorEnv
from tianshou.trainer import OnPolicyTrainerParams
from tianshou.utils.net.common import Net
from tianshou.utils.net.discrete import DiscreteActor, DiscreteCritic

import nlp_gym  # nlp_gym
from nlp_gym.messages import one_line_errors
from nlp_gym.tasks import rollout  # score


class MaskedActor(DiscreteActor):  # nlp_gym
    """Logits of the legal actions."""

    def forward(self, obs: Any, state: Any = None, info: Any = None) -> Any:  # nlp_gym
        """Logits (B, A) of a batch with `obs` (B, D) and `mask` (B, A)."""
        logits, state = super().forward(obs.obs, state, info)  # nlp_gym
        return logits.masked_fill(torch.as_tensor(obs.mask == 0), -1e9), state  # nlp_gym


class Critic(DiscreteCritic):  # nlp_gym
    """Values do without the mask."""

    def forward(self, obs: Any, state: Any = None, info: Any = None) -> Any:  # nlp_gym
        """Values (B, 1)."""
        return super().forward(obs.obs, state=state, info=info)  # nlp_gym


def main(argv: list[str] | None = None) -> tuple[int, float, float]:
    """Train and score; returns steps, seconds of training and the task's metric on dev."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--env", default="NER-CoNLL-v0")
    parser.add_argument("--steps", type=int, default=300_000)
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--data-dir", help="folder of the corpora; default: the bundled sample")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--num-envs", type=int, default=128)
    parser.add_argument("--num-steps", type=int, default=8)
    parser.add_argument("--gamma", type=float, default=0.0)
    args = parser.parse_args(argv)
    np.random.seed(args.seed)  # noqa: NPY002 - what Tianshou draws from
    torch.manual_seed(args.seed)
    options: Any = {"encoder": args.encoder, "data_dir": args.data_dir}

    def make() -> Any:
        return gym.make(args.env, layout="obs_mask", **options)  # nlp_gym

    envs = DummyVectorEnv([make for _ in range(args.num_envs)])
    envs.seed(args.seed)
    space: Any = make().observation_space["obs"]  # nlp_gym
    actions: Any = make().action_space
    collected = args.num_envs * args.num_steps
    n_updates = max(1, args.steps // collected)
    net = Net(state_shape=space.shape, hidden_sizes=[256])
    actor = MaskedActor(preprocess_net=net, action_shape=actions.n, softmax_output=False)
    schedule = LRSchedulerFactoryLinear(1, n_updates * collected, collected)
    algorithm: Any = PPO(
        policy=DiscreteActorPolicy(actor=actor, action_space=actions, deterministic_eval=True),
        critic=Critic(preprocess_net=net),
        optim=AdamOptimizerFactory(lr=1e-3).with_lr_scheduler_factory(schedule),
        gamma=args.gamma,
        gae_lambda=0.9,
        max_grad_norm=0.5,
        max_batchsize=collected,
    )
    buffer = VectorReplayBuffer(collected, args.num_envs)
    start = time.perf_counter()
    algorithm.run_training(
        OnPolicyTrainerParams(
            training_collector=Collector[Any](algorithm, envs, buffer),
            max_epochs=1,
            epoch_num_steps=n_updates * collected,
            collection_step_num_env_steps=collected,
            update_step_num_repetitions=3,
            batch_size=512,
            show_progress=False,
        )
    )
    steps, seconds = n_updates * collected, time.perf_counter() - start

    def act(obs: Any, mask: Any) -> Any:  # score
        return algorithm.policy(Batch(obs=Batch(obs), info=Batch())).act.numpy()  # score

    dev = nlp_gym.make_task(args.env, split="dev", **options)  # score
    with torch.no_grad():  # score
        outputs = rollout(dev, act, layout="obs_mask")  # score
    score = dev.score(outputs, bootstrap=0)  # score
    result = {"library": "Tianshou PPO", "steps": steps, "seconds": round(seconds, 2)}
    print(score.text, json.dumps({**result, "dev": round(score.value, 4)}), sep="\n")
    return steps, seconds, float(score.value)


if __name__ == "__main__":
    with one_line_errors():
        main()
