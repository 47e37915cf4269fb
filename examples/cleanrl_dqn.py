"""DQN in one file, in the style of CleanRL, with action masks; only torch, Gymnasium and nlp_gym.

Masks rule out illegal actions in the greedy action, in exploration and in the target. What a
CartPole script in this style lacks is marked `# nlp_gym`, and what scores it `# score`. The
hyperparameters are those of this project's `masked_dqn`; where rewards come last: `--gamma 1`.

    python examples/cleanrl_dqn.py --data-dir ../shared/data --steps 300000
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

import nlp_gym  # nlp_gym
from nlp_gym.messages import one_line_errors
from nlp_gym.tasks import rollout  # score


@dataclass
class Args:
    """Command line options; `data_dir` holds the corpora, without it the bundled sample serves."""

    env: str = "NER-CoNLL-v0"
    steps: int = 300_000
    encoder: str = "minilm"
    data_dir: str = ""
    seed: int = 0
    num_envs: int = 128
    buffer_size: int = 100_000
    learning_starts: int = 5_000
    batch_size: int = 512
    learning_rate: float = 2e-3
    gamma: float = 0.0
    target_period: int = 5_000
    start_e: float = 0.5
    end_e: float = 0.05
    exploration_fraction: float = 0.1


def main(argv: list[str] | None = None) -> tuple[int, float, float]:
    """Train and score; returns steps, seconds of training and the task's metric on dev."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for option in fields(Args):
        name, default = "--" + option.name.replace("_", "-"), option.default
        parser.add_argument(name, type=type(default), default=default)
    args = Args(**vars(parser.parse_args(argv)))
    torch.manual_seed(args.seed)
    options: Any = {"encoder": args.encoder, "data_dir": args.data_dir or None}
    envs: Any = nlp_gym.make_vec_env(args.env, args.num_envs, layout="flat", **options)  # nlp_gym
    (n_inputs,), n_actions = envs.single_observation_space.shape, int(envs.single_action_space.n)
    q_net = nn.Sequential(nn.Linear(n_inputs, 256), nn.ReLU(), nn.Linear(256, n_actions))
    target_net = copy.deepcopy(q_net)
    optimizer = torch.optim.Adam(q_net.parameters(), lr=args.learning_rate)

    # A ring of rounds of all environments: the next observation is that of the next round. The
    # vectors of words are stored in half precision, which the encoder's cache has too.
    n_rounds, rounds = max(1, args.steps // args.num_envs), args.buffer_size // args.num_envs
    obs = torch.zeros((rounds, args.num_envs, n_inputs), dtype=torch.float16)
    masks = torch.zeros((rounds, args.num_envs, n_actions), dtype=torch.bool)  # nlp_gym
    actions = torch.zeros((rounds, args.num_envs), dtype=torch.long)
    rewards, dones = torch.zeros(actions.shape), torch.zeros(actions.shape)
    start, (next_obs, info) = time.perf_counter(), envs.reset(seed=args.seed)  # nlp_gym
    for played in range(n_rounds):
        fraction, at = played / n_rounds, played % rounds
        optimizer.param_groups[0]["lr"] = args.learning_rate * (1 - fraction)
        slope = (args.end_e - args.start_e) / args.exploration_fraction
        epsilon = max(args.end_e, args.start_e + slope * fraction)
        obs[at] = torch.as_tensor(next_obs)
        masks[at] = torch.as_tensor(info["action_mask"])  # nlp_gym
        with torch.no_grad():
            greedy = q_net(obs[at].float()).masked_fill(~masks[at], -1e9).argmax(-1)  # nlp_gym
        random = torch.multinomial(masks[at].float(), 1).squeeze(-1)  # nlp_gym
        actions[at] = torch.where(torch.rand(args.num_envs) < epsilon, random, greedy)
        next_obs, reward, terminated, truncated, info = envs.step(actions[at].numpy())
        rewards[at], dones[at] = torch.as_tensor(reward), torch.as_tensor(terminated | truncated)

        steps = (played + 1) * args.num_envs
        if steps > max(args.learning_starts, args.num_envs):
            ago = torch.randint(1, min(played, rounds - 1) + 1, (args.batch_size,))
            i, j = (at - ago) % rounds, torch.randint(args.num_envs, (args.batch_size,))
            after = (i + 1) % rounds
            with torch.no_grad():
                following = target_net(obs[after, j].float())
                following = following.masked_fill(~masks[after, j], -1e9).amax(-1)  # nlp_gym
                target = rewards[i, j] + args.gamma * (1 - dones[i, j]) * following
            value = q_net(obs[i, j].float()).gather(1, actions[i, j].unsqueeze(1)).squeeze(1)
            loss = F.smooth_l1_loss(value, target)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(q_net.parameters(), 10.0)
            optimizer.step()
        if steps // args.target_period > (steps - args.num_envs) // args.target_period:
            target_net.load_state_dict(q_net.state_dict())
    steps, seconds = n_rounds * args.num_envs, time.perf_counter() - start

    @torch.no_grad()  # score
    def act(x: Any, mask: Any) -> Any:  # score
        values = q_net(torch.as_tensor(x)).masked_fill(~torch.as_tensor(mask), -1e9)  # score
        return values.argmax(-1).numpy()  # score

    dev = nlp_gym.make_task(args.env, split="dev", **options)  # score
    score = dev.score(rollout(dev, act, layout="flat"), bootstrap=0)  # score
    result = {"library": "CleanRL style DQN", "steps": steps, "seconds": round(seconds, 2)}
    print(score.text, json.dumps({**result, "dev": round(score.value, 4)}), sep="\n")
    return steps, seconds, float(score.value)


if __name__ == "__main__":
    with one_line_errors():
        main()
