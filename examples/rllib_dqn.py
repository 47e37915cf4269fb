"""RLlib's DQN (new API stack), masked, with two env runners that play native vector environments.

What RLlib's own CartPole example lacks is marked `# nlp_gym`; what computes the score, `# score`.
An illegal action has the value minus infinity: it is not explored, played or bootstrapped from.

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
from ray.rllib.core.rl_module.rl_module import RLModuleSpec  # nlp_gym
from ray.rllib.examples.rl_modules.classes import action_masking_rlm as masking  # nlp_gym

import nlp_gym  # nlp_gym
from nlp_gym.messages import one_line_errors
from nlp_gym.tasks import rollout  # score


class MaskedDQN(masking.ActionMaskingRLModule, DefaultDQNTorchRLModule):  # nlp_gym
    """RLlib's module over the key `observations`; values of illegal actions are minus infinity."""

    def setup(self) -> None:  # nlp_gym
        """Build the networks; then observations have both keys again."""
        super().setup()  # nlp_gym
        self.observation_space = self.observation_space_with_mask  # nlp_gym

    def _qf_forward_helper(self, batch: Any, encoder: Any, head: Any) -> Any:  # nlp_gym
        seen, mask = batch["obs"]["observations"], batch["obs"]["action_mask"]  # nlp_gym
        out = super()._qf_forward_helper({**batch, "obs": seen}, encoder, head)  # nlp_gym
        out["qf_preds"] = out["qf_preds"].masked_fill(mask == 0, -torch.inf)  # nlp_gym
        return out  # nlp_gym


def make_config(args: argparse.Namespace, options: dict[str, Any]) -> DQNConfig:
    """Double, dueling DQN; a label hardly changes what later words earn, so gamma is 0."""
    return (
        DQNConfig()
        .environment(f"nlp_gym:{args.env}", env_config=options)  # nlp_gym
        .env_runners(
            num_env_runners=args.env_runners,
            num_envs_per_env_runner=args.num_envs // args.env_runners,
            gym_env_vectorize_mode="vector_entry_point",  # nlp_gym
            rollout_fragment_length=1,
        )
        .rl_module(
            rl_module_spec=RLModuleSpec(  # nlp_gym
                module_class=MaskedDQN,  # nlp_gym
                model_config=DefaultModelConfig(fcnet_hiddens=[256]),
            )
        )
        .training(
            train_batch_size_per_learner=args.batch,
            replay_buffer_config={"type": "EpisodeReplayBuffer", "capacity": args.capacity},
            num_steps_sampled_before_learning_starts=500,
            target_network_update_freq=5000,
            epsilon=[[0, 0.5], [args.steps // 10, 0.05]],
            lr=[[0, args.lr], [args.steps, 0.0]],
            gamma=0.0,
            n_step=1,
            training_intensity=4.0,
            grad_clip=10.0,
        )
        .reporting(min_sample_timesteps_per_iteration=1000)
        .debugging(seed=args.seed, log_level="ERROR")
    )


def main(argv: list[str] | None = None) -> tuple[int, float, float]:
    """Train and score; returns steps, seconds of training and the task's metric on dev."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--env", default="NER-CoNLL-v0", help="a registered id")
    parser.add_argument("--encoder", default="minilm", help="'hashed' needs no weights")
    parser.add_argument("--data-dir", help="folder of the real corpora (default: bundled sample)")
    parser.add_argument("--steps", type=int, default=100_000, help="environment steps")
    parser.add_argument("--num-envs", type=int, default=128, help="of all env runners")
    parser.add_argument("--env-runners", type=int, default=2)
    parser.add_argument("--batch", type=int, default=512, help="each step is drawn four times")
    parser.add_argument("--capacity", type=int, default=50_000, help="of the replay, in steps")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    options = {"encoder": args.encoder, "data_dir": args.data_dir}
    seen = {"layout": "observations_action_mask", "autoreset_mode": "NextStep"}  # nlp_gym
    ray.init("local", num_cpus=args.env_runners, include_dashboard=False, log_to_driver=False)
    algo, start, steps = make_config(args, {**options, **seen}).build_algo(), time.perf_counter(), 0
    while steps < args.steps:
        found = algo.train()["env_runners"]
        steps = int(found["num_env_steps_sampled_lifetime"])
        print(f"{steps:>9,} steps  reward an episode {found.get('episode_return_mean', 0):.3f}")
    seconds, module = time.perf_counter() - start, algo.get_module()

    @torch.no_grad()  # score
    def act(obs: Any, mask: Any) -> Any:  # score
        batch = {key: torch.from_numpy(value) for key, value in obs.items()}  # score
        return module.forward_inference({"obs": batch})["actions"].numpy()  # score

    dev = nlp_gym.make_task(args.env, split="dev", **options)  # score
    score = dev.score(rollout(dev, act, layout=seen["layout"]), bootstrap=0)  # score
    algo.stop()
    ray.shutdown()
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    result = {"library": "RLlib DQN", "steps": steps, "seconds": round(seconds, 2)}
    print(json.dumps({**result, "dev": round(score.value, 4), "rss_mb": round(rss)}))
    return steps, seconds, float(score.value)


if __name__ == "__main__":
    with one_line_errors():
        main()
