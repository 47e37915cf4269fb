"""PPO of TorchRL with action masks: `MaskedCategorical` reads the key `mask`.

What TorchRL's own CartPole script lacks is marked `# nlp_gym`, and what scores it `# score`. The
hyperparameters are those of this project's `maskable_ppo`; where rewards come last: `--gamma 1`.

    python examples/torchrl_ppo.py --data-dir ../shared/data --steps 300000
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import torch
from tensordict import TensorDict
from tensordict.nn import TensorDictModule
from torch import nn
from torchrl.collectors import Collector
from torchrl.envs import GymWrapper
from torchrl.modules import ActorValueOperator, MaskedCategorical, ProbabilisticActor, ValueOperator
from torchrl.objectives import ClipPPOLoss
from torchrl.objectives.value import GAE

import nlp_gym  # nlp_gym
from nlp_gym.messages import one_line_errors
from nlp_gym.tasks import rollout  # score


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
    torch.manual_seed(args.seed)
    options: Any = {"encoder": args.encoder, "data_dir": args.data_dir}
    envs = nlp_gym.make_vec_env(  # nlp_gym
        args.env, args.num_envs, layout="obs_mask", autoreset_mode="Disabled", **options
    )
    space: Any = envs.single_observation_space
    actions: Any = envs.single_action_space
    env: Any = GymWrapper(envs, categorical_action_encoding=True)
    env.set_seed(args.seed)

    hidden = nn.Sequential(nn.Linear(space["obs"].shape[0], 256), nn.ReLU())
    model = ActorValueOperator(
        TensorDictModule(hidden, in_keys=["obs"], out_keys=["hidden"]),
        ProbabilisticActor(
            TensorDictModule(nn.Linear(256, actions.n), in_keys=["hidden"], out_keys=["logits"]),
            in_keys=["logits", "mask"],  # nlp_gym
            distribution_class=MaskedCategorical,  # nlp_gym
            return_log_prob=True,
        ),
        ValueOperator(nn.Linear(256, 1), in_keys=["hidden"]),
    )
    policy, critic = model.get_policy_operator(), model.get_value_operator()
    advantage = GAE(gamma=args.gamma, lmbda=0.9, value_network=critic)
    ppo = ClipPPOLoss(
        policy,
        critic,
        entropy_coeff=0.01,
        critic_coeff=0.5,
        loss_critic_type="l2",
        normalize_advantage=True,
    )
    collected = args.num_envs * args.num_steps
    n_updates = max(1, args.steps // collected)
    optimizer = torch.optim.Adam(ppo.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, n_updates)
    collector: Any = Collector(
        env,
        policy,
        frames_per_batch=collected,
        total_frames=n_updates * collected,
        auto_register_policy_transforms=False,
    )
    start = time.perf_counter()
    for data in collector:
        with torch.no_grad():
            flat = advantage(data).reshape(-1)
        for _ in range(3):
            for index in torch.randperm(len(flat)).split(512):
                losses = ppo(flat[index])
                loss = losses["loss_objective"] + losses["loss_critic"] + losses["loss_entropy"]
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(ppo.parameters(), 0.5)
                optimizer.step()
        schedule.step()
    steps, seconds = n_updates * collected, time.perf_counter() - start
    collector.shutdown()

    @torch.no_grad()  # score
    def act(obs: Any, mask: Any) -> Any:  # score
        return policy.get_dist(TensorDict(obs, [len(mask)])).mode.numpy()  # score

    dev = nlp_gym.make_task(args.env, split="dev", **options)  # score
    score = dev.score(rollout(dev, act, layout="obs_mask"), bootstrap=0)  # score
    result = {"library": "TorchRL PPO", "steps": steps, "seconds": round(seconds, 2)}
    print(score.text, json.dumps({**result, "dev": round(score.value, 4)}), sep="\n")
    return steps, seconds, float(score.value)


if __name__ == "__main__":
    with one_line_errors():
        main()
