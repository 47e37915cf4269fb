"""RLlib's PPO (new API stack), masked, with two env runners that play native vector environments.

What RLlib's own CartPole example lacks is marked `# nlp_gym`; what computes the score, `# score`.
The module that masks is RLlib's. Env runners learn of the id by the module in front of it.

    python examples/rllib_ppo.py --data-dir ../shared/data --steps 300000
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from typing import Any

import ray
import torch
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
from ray.rllib.core.rl_module.rl_module import RLModuleSpec  # nlp_gym
from ray.rllib.examples.rl_modules.classes import action_masking_rlm as masking  # nlp_gym

import nlp_gym  # nlp_gym
from nlp_gym.messages import one_line_errors
from nlp_gym.tasks import rollout  # score


def make_config(args: argparse.Namespace, options: dict[str, Any]) -> PPOConfig:
    """PPO on one hidden layer that policy and values share."""
    return (
        PPOConfig()
        .environment(f"nlp_gym:{args.env}", env_config=options)  # nlp_gym
        .env_runners(
            num_env_runners=args.env_runners,
            num_envs_per_env_runner=args.num_envs // args.env_runners,
            gym_env_vectorize_mode="vector_entry_point",  # nlp_gym
        )
        .rl_module(
            rl_module_spec=RLModuleSpec(  # nlp_gym
                module_class=masking.ActionMaskingTorchRLModule,  # nlp_gym
                model_config=DefaultModelConfig(
                    fcnet_hiddens=[256],
                    fcnet_activation="relu",
                    fcnet_kernel_initializer="orthogonal_",
                    fcnet_kernel_initializer_kwargs={"gain": 2**0.5},
                    head_fcnet_kernel_initializer="orthogonal_",
                    head_fcnet_kernel_initializer_kwargs={"gain": 0.01},
                    vf_share_layers=True,
                ),
            )
        )
        .training(
            train_batch_size_per_learner=1024,
            minibatch_size=args.minibatch,
            num_epochs=3,
            lr=[[0, args.lr], [args.steps, 0.0]],
            gamma=0.0,
            lambda_=0.9,
            clip_param=0.2,
            use_kl_loss=False,
            entropy_coeff=0.01,
            vf_loss_coeff=0.5,
            grad_clip=0.5,
        )
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
    parser.add_argument("--minibatch", type=int, default=512)
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
        found = module.forward_inference({"obs": batch})  # score
        return found["action_dist_inputs"].argmax(-1).numpy()  # score

    dev = nlp_gym.make_task(args.env, split="dev", **options)  # score
    score = dev.score(rollout(dev, act, layout=seen["layout"]), bootstrap=0)  # score
    algo.stop()
    ray.shutdown()
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    result = {"library": "RLlib PPO", "steps": steps, "seconds": round(seconds, 2)}
    print(json.dumps({**result, "dev": round(score.value, 4), "rss_mb": round(rss)}))
    return steps, seconds, float(score.value)


if __name__ == "__main__":
    with one_line_errors():
        main()
