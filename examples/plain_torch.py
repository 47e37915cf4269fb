"""A plain PyTorch agent: masked actor-critic, PPO clipped update, only torch and gymnasium.

Shows what any RL library sees of an nlp_gym environment: fixed-shape arrays in a dict, a Discrete
action, a mask. Nothing here comes from `nlp_gym_agents`.

    python examples/plain_torch.py --encoder hashed --steps 30000
    python examples/plain_torch.py --env POS-EWT-v0 --data-dir ../shared/data --steps 300000
"""

from __future__ import annotations

import argparse
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import nn
from torch.distributions import Categorical
from torch.nn import functional as F

import nlp_gym
from nlp_gym.tasks import rollout

HORIZON, EPOCHS, MINIBATCH, CLIP, ENTROPY, LAMBDA = 32, 4, 256, 0.2, 0.01, 0.9
Batch = dict[str, torch.Tensor]


class ActorCritic(nn.Module):
    """One hidden layer shared by a policy head and a value head."""

    def __init__(self, space: gym.spaces.Dict, n_actions: int, width: int = 256) -> None:
        super().__init__()
        n_inputs = sum(int(np.prod(space[key].shape or ())) for key in ("context", "history"))
        self.trunk = nn.Sequential(nn.Linear(n_inputs, width), nn.Tanh())
        self.pi, self.value = nn.Linear(width, n_actions), nn.Linear(width, 1)
        nn.init.zeros_(self.pi.weight)  # start from the uniform policy over legal actions

    def forward(self, obs: Batch) -> tuple[Categorical, torch.Tensor]:
        """Distribution over legal actions (B, A) and values (B,)."""
        hidden = self.trunk(torch.cat([obs["context"], obs["history"]], dim=-1))
        logits = self.pi(hidden).masked_fill(obs["action_mask"] == 0, -1e9)
        return Categorical(logits=logits, validate_args=False), self.value(hidden).squeeze(-1)


def to_torch(obs: dict[str, Any]) -> Batch:
    """Copies: the environment is free to reuse its arrays."""
    return {key: torch.tensor(np.asarray(value)) for key, value in obs.items()}


def evaluate(agent: ActorCritic, task: Any) -> Any:
    """Score of the greedy policy over the whole split, each text once."""

    @torch.no_grad()
    def act(obs: dict[str, Any], mask: Any) -> Any:
        return agent(to_torch(obs))[0].probs.argmax(-1).numpy()

    return task.score(rollout(task, act, obs_type="features"), bootstrap=0)


@torch.no_grad()
def collect(agent: ActorCritic, env: Any, obs: Batch, gamma: float) -> tuple[Batch, Batch]:
    """Play HORIZON steps; returns the flat batch and the observation to go on from."""
    rows: list[Batch] = []
    for _ in range(HORIZON):
        policy, value = agent(obs)
        action = policy.sample()
        after, reward, terminated, truncated, _ = env.step(action.numpy())
        done = torch.tensor(terminated | truncated, dtype=torch.float32)
        extra = {"action": action, "logp": policy.log_prob(action), "value": value, "done": done}
        rows.append({**obs, **extra, "reward": torch.tensor(reward, dtype=torch.float32)})
        obs = to_torch(after)  # SAME_STEP autoreset: where done, already the next text
    following, gain = agent(obs)[1], torch.zeros(env.num_envs)
    for row in reversed(rows):  # generalised advantage estimation
        alive = 1.0 - row["done"]
        gain = row["reward"] + gamma * alive * (following + LAMBDA * gain) - row["value"]
        row["advantage"], row["return"], following = gain, gain + row["value"], row["value"]
    return {key: torch.cat([row[key] for row in rows]) for key in rows[0]}, obs


def update(agent: ActorCritic, optimizer: torch.optim.Optimizer, batch: Batch) -> None:
    """A few epochs of PPO's clipped objective on one batch."""
    advantage = batch["advantage"]
    batch["advantage"] = (advantage - advantage.mean()) / (advantage.std() + 1e-6)
    for _ in range(EPOCHS):
        for index in torch.randperm(len(advantage)).split(MINIBATCH):
            part = {key: value[index] for key, value in batch.items()}
            policy, value = agent(part)
            ratio = (policy.log_prob(part["action"]) - part["logp"]).exp()
            clipped = ratio.clamp(1 - CLIP, 1 + CLIP)
            gain = torch.min(ratio * part["advantage"], clipped * part["advantage"]).mean()
            loss = (
                -gain + 0.5 * F.mse_loss(value, part["return"]) - ENTROPY * policy.entropy().mean()
            )
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(agent.parameters(), 0.5)
            optimizer.step()


def main(argv: list[str] | None = None) -> tuple[float, float]:
    """Train; returns the dev metric before and after."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--env", default="NER-CoNLL-v0", help="a registered id")
    parser.add_argument("--encoder", default="minilm", help="'hashed' needs no weights")
    parser.add_argument("--data-dir", help="folder of the real corpora (default: bundled sample)")
    parser.add_argument("--steps", type=int, default=100_000, help="environment steps")
    parser.add_argument("--num-envs", type=int, default=64)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--gamma", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    torch.manual_seed(args.seed)
    kwargs = {"encoder": args.encoder} | ({"data_dir": args.data_dir} if args.data_dir else {})
    env: Any = gym.make_vec(args.env, num_envs=args.num_envs, obs_type="features", **kwargs)
    dev = nlp_gym.make_task(args.env, split="dev", **kwargs)
    agent = ActorCritic(env.single_observation_space, int(env.single_action_space.n))
    optimizer = torch.optim.Adam(agent.parameters(), lr=args.lr)
    obs, start = to_torch(env.reset(seed=args.seed)[0]), evaluate(agent, dev)
    print(f"{args.env}, dev {start.metric} before training: {start.value:.3f}")
    n_updates = max(1, args.steps // (HORIZON * args.num_envs))
    for turn in range(1, n_updates + 1):
        batch, obs = collect(agent, env, obs, args.gamma)
        update(agent, optimizer, batch)
        if turn * 10 // n_updates > (turn - 1) * 10 // n_updates:
            steps, reward = turn * HORIZON * args.num_envs, batch["reward"].mean()
            print(f"{steps:>9,} steps  mean reward a step {reward:+.3f}", flush=True)
    score = evaluate(agent, dev)
    print(f"{args.env}, dev {score.metric} after training: {score.value:.3f}\n{score.text}")
    env.close()
    return float(start.value), float(score.value)


if __name__ == "__main__":
    main()
