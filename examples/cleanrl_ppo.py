"""PPO in one file, in the style of CleanRL, with action masks; only torch, Gymnasium and nlp_gym.

What a CartPole script in this style lacks is marked `# nlp_gym`, and what scores it `# score`. The
settings are those of `maskable_ppo`; where rewards come last: `--gamma 1`. See own-algorithm.md.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import nn
from torch.distributions import Categorical

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
    num_steps: int = 8
    minibatch: int = 512
    learning_rate: float = 1e-3
    gamma: float = 0.0


class Agent(nn.Module):
    """Policy and value on one shared hidden layer."""

    def __init__(self, n_inputs: int, n_actions: int, width: int = 256) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(n_inputs, width), nn.ReLU())
        self.actor, self.critic = nn.Linear(width, n_actions), nn.Linear(width, 1)
        nn.init.orthogonal_(self.actor.weight, 0.01)  # begin near the uniform policy

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> tuple[Any, Any]:  # nlp_gym
        """Distribution over legal actions and (B,) values, of (B, D) inputs and a (B, A) mask."""
        hidden = self.trunk(x)
        logits = self.actor(hidden).masked_fill(mask == 0, -1e9)  # nlp_gym
        return Categorical(logits=logits, validate_args=False), self.critic(hidden).squeeze(-1)


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
    agent = Agent(n_inputs, n_actions)
    optimizer = torch.optim.Adam(agent.parameters(), lr=args.learning_rate, eps=1e-5)
    shape = (args.num_steps, args.num_envs)
    obs, actions = torch.zeros((*shape, n_inputs)), torch.zeros(shape, dtype=torch.long)
    masks = torch.zeros((*shape, n_actions))  # nlp_gym
    logprobs, rewards, dones, values, advantages = (torch.zeros(shape) for _ in range(5))
    n_updates, start = max(1, args.steps // (args.num_envs * args.num_steps)), time.perf_counter()
    next_obs, info = envs.reset(seed=args.seed)  # nlp_gym
    for update in range(n_updates):
        optimizer.param_groups[0]["lr"] = args.learning_rate * (1 - update / n_updates)
        for step in range(args.num_steps):
            obs[step] = torch.as_tensor(next_obs)
            masks[step] = torch.as_tensor(info["action_mask"])  # nlp_gym
            with torch.no_grad():
                policy, values[step] = agent(obs[step], masks[step])  # nlp_gym
            actions[step] = policy.sample()
            logprobs[step] = policy.log_prob(actions[step])
            next_obs, reward, terminated, truncated, info = envs.step(actions[step].numpy())
            rewards[step], dones[step] = map(torch.as_tensor, (reward, terminated | truncated))
        gain, last = torch.zeros(1), torch.as_tensor(next_obs)
        following = agent.critic(agent.trunk(last)).squeeze(-1).detach()
        for step in reversed(range(args.num_steps)):
            alive = args.gamma * (1 - dones[step])  # the next text is reset to in the same step
            gain = rewards[step] + alive * (following + 0.9 * gain) - values[step]
            advantages[step], following = gain, values[step]
        kept = obs, actions, logprobs, advantages, advantages + values
        shuffled = torch.cat([torch.randperm(obs[:, :, 0].numel()) for _ in range(3)])
        for index in shuffled.split(args.minibatch):
            x, action, logprob, gain, target = (array.flatten(0, 1)[index] for array in kept)
            policy, value = agent(x, masks.flatten(0, 1)[index])  # nlp_gym
            ratio = (policy.log_prob(action) - logprob).exp()
            gain = (gain - gain.mean()) / (gain.std() + 1e-8)
            clipped = torch.min(ratio * gain, ratio.clamp(0.8, 1.2) * gain)
            loss = (0.5 * (value - target).square() - clipped - 0.01 * policy.entropy()).mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(agent.parameters(), 0.5)
            optimizer.step()
    steps, seconds = n_updates * args.num_envs * args.num_steps, time.perf_counter() - start

    @torch.no_grad()  # score
    def act(x: Any, mask: Any) -> Any:  # score
        return agent(torch.as_tensor(x), torch.as_tensor(mask))[0].probs.argmax(-1).numpy()  # score

    dev = nlp_gym.make_task(args.env, split="dev", **options)  # score
    score = dev.score(rollout(dev, act, layout="flat"), bootstrap=0)  # score
    result = {"library": "CleanRL style PPO", "steps": steps, "seconds": round(seconds, 2)}
    print(score.text, json.dumps({**result, "dev": round(score.value, 4)}), sep="\n")
    return steps, seconds, float(score.value)


if __name__ == "__main__":
    with one_line_errors():
        main()
