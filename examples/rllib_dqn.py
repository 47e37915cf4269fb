"""RLlib's DQN (new API stack), masked, with two env runners that play native vector environments.

Needs ``pip install "ray[rllib]>=2.50"``. An illegal action has the value minus infinity, which
RLlib's DQN never explores, plays or bootstraps from.

    python examples/rllib_dqn.py --encoder hashed --steps 20000
    python examples/rllib_dqn.py --data-dir ../shared/data --steps 100000
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from typing import Any

import ray
import torch
from ray.rllib.algorithms.dqn import DQNConfig
from ray.rllib.algorithms.dqn.torch.default_dqn_torch_rl_module import DefaultDQNTorchRLModule
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.examples.rl_modules.classes.action_masking_rlm import ActionMaskingRLModule

import nlp_gym
from nlp_gym.layout import Layout
from nlp_gym.tasks import rollout

LAYOUT = "observations_action_mask"


class MaskedDQN(ActionMaskingRLModule, DefaultDQNTorchRLModule):
    """RLlib's module over the key `observations`; values of illegal actions are minus infinity."""

    def setup(self) -> None:
        """Build the networks, then take both keys again."""
        super().setup()
        self.observation_space = self.observation_space_with_mask

    def _qf_forward_helper(self, batch: Any, encoder: Any, head: Any) -> Any:
        seen = batch["obs"]
        out = super()._qf_forward_helper({**batch, "obs": seen["observations"]}, encoder, head)
        out["qf_preds"] = out["qf_preds"].masked_fill(seen["action_mask"] == 0, -torch.inf)
        return out


def make_config(args: argparse.Namespace, env_config: dict[str, Any]) -> DQNConfig:
    """Double, dueling DQN; a label hardly changes what later words earn, so gamma is 0."""
    return (
        DQNConfig()
        .environment(f"nlp_gym:{args.env}", env_config=env_config)
        .env_runners(
            num_env_runners=args.env_runners,
            num_envs_per_env_runner=args.num_envs // args.env_runners,
            gym_env_vectorize_mode="vector_entry_point",  # the native one, not one env a copy
            rollout_fragment_length=1,
        )
        .rl_module(
            rl_module_spec=RLModuleSpec(
                module_class=MaskedDQN, model_config=DefaultModelConfig(fcnet_hiddens=[256])
            )
        )
        .training(
            train_batch_size_per_learner=512,
            replay_buffer_config={"type": "EpisodeReplayBuffer", "capacity": args.capacity},
            num_steps_sampled_before_learning_starts=1000,
            target_network_update_freq=5000,
            epsilon=[[0, 0.5], [args.steps // 10, 0.05]],
            lr=[[0, args.lr], [args.steps, 0.0]],
            gamma=0.0,
            n_step=1,
            training_intensity=4.0,
            grad_clip=10.0,
        )
        .reporting(min_sample_timesteps_per_iteration=5000)
        .debugging(seed=args.seed, log_level="ERROR")
    )


def evaluate(module: Any, task: Any) -> float:
    """Score of the greedy policy over the whole split, each text once."""
    layout = Layout(LAYOUT, task.observation_space("features"))

    @torch.no_grad()
    def act(obs: Any, mask: Any) -> Any:
        batch = {key: torch.from_numpy(value) for key, value in layout.batch(obs).items()}
        return module.forward_inference({"obs": batch})["actions"].numpy()

    return float(task.score(rollout(task, act, obs_type="features"), bootstrap=0).value)


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Train and print the dev score."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--env", default="NER-CoNLL-v0", help="a registered id")
    parser.add_argument("--encoder", default="minilm", help="'hashed' needs no weights")
    parser.add_argument("--data-dir", help="folder of the real corpora (default: bundled sample)")
    parser.add_argument("--steps", type=int, default=100_000, help="environment steps")
    parser.add_argument("--num-envs", type=int, default=128, help="of all env runners")
    parser.add_argument("--env-runners", type=int, default=2)
    parser.add_argument("--capacity", type=int, default=50_000, help="of the replay, in steps")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    kwargs = {"encoder": args.encoder} | ({"data_dir": args.data_dir} if args.data_dir else {})
    ray.init(num_cpus=args.env_runners, include_dashboard=False, log_to_driver=False)
    env_config = {"layout": LAYOUT, "autoreset_mode": "NextStep", **kwargs}
    algo, start, steps = make_config(args, env_config).build_algo(), time.perf_counter(), 0
    while steps < args.steps:
        found = algo.train()["env_runners"]
        steps = int(found["num_env_steps_sampled_lifetime"])
        print(f"{steps:>9,} steps  reward an episode {found.get('episode_return_mean', 0):.3f}")
    seconds = time.perf_counter() - start
    dev = evaluate(algo.get_module(), nlp_gym.make_task(args.env, split="dev", **kwargs))
    algo.stop()
    ray.shutdown()
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    result = {"library": f"rllib {ray.__version__}", "steps": steps, "seconds": round(seconds, 1)}
    result |= {"dev": round(dev, 4), "rss_mb": round(rss)}
    print(json.dumps(result))
    return result


if __name__ == "__main__":
    main()
