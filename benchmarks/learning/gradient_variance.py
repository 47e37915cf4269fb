"""How noisy the policy gradients of several algorithms are: same network, same states.

    python benchmarks/learning/gradient_variance.py --data-dir DIR
    python benchmarks/learning/gradient_variance.py --data-dir DIR --rollouts 64 --only metric

From one set of running episodes each algorithm plays `--rollouts` rollouts with different sampled
actions, and the gradient of its own loss on the whole rollout is kept, without entropy and critic.
Weights never move. `rloo` plays episodes to their ends: `--n-envs` of them, from their beginnings,
four samples of each text, with the same texts in every rollout, so it has more decisions for a
gradient. Of R gradients g with mean m, the variance is ``V = sum |g - m|^2 / (R - 1)``,
the square of the expected gradient is estimated by ``|m|^2 - V / R``, and the table has their
ratio, the relative variance of one rollout's gradient, and its root's inverse, the signal to noise.
Both are given for a fresh network and for one that has learned for a while (by expected_pg).
A ratio of 0 means that nothing depends on what was sampled.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch as th
from stable_baselines3.common.callbacks import CallbackList

import nlp_gym
from nlp_gym.messages import one_line_errors
from nlp_gym_agents.algorithms.registry import ALGORITHMS, AlgorithmRow, information_of
from nlp_gym_agents.config.hyperparams import load_hyperparams, nested_merge
from nlp_gym_agents.config.signatures import arguments
from nlp_gym_agents.models.build import build_model

SAMPLES = 4
"""Samples of a text for `rloo`, of which a rollout has as many episodes as environments."""
ALGOS = ("maskable_ppo", "expected_pg", "rloo")
"""Those of them are measured that the table of algorithms has."""


@dataclass(frozen=True)
class Case:
    """What is played.

    Attributes:
        name: For the table.
        env: Id.
        kwargs: Of the task.
        params: Of all algorithms that take them.
        n_steps: Steps of a rollout.
        algos: Of `ALGOS`.
    """

    name: str
    env: str
    n_steps: int
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=lambda: {"gamma": 0.0})
    algos: Sequence[str] = ALGOS


_TO_THE_END = {"gamma": 1.0, "gae_lambda": 0.95}
CASES = (
    Case("tags, one decision", "NER-CoNLL-v0", 1),
    Case("tags, correctness", "NER-CoNLL-v0", 16),
    Case("tags, metric", "NER-CoNLL-v0", 16, {"reward": "metric"}, _TO_THE_END),
    Case("labels, metric", "MultiLabel-GoEmotions-v0", 4, {"reward": "metric"}, _TO_THE_END),
    Case("spans, metric", "SpanQA-SQuAD-v0", 2, {"reward": "metric"}, _TO_THE_END),
    Case(
        "texts, metric",
        "Translation-Multi30k-v0",
        24,
        {"reward": "metric"},
        _TO_THE_END,
        ("maskable_ppo", "rloo"),
    ),
)


def model_of(row: AlgorithmRow, case: Case, task: Any, n_envs: int) -> Any:
    """An algorithm whose updates are one gradient of a whole rollout that moves nothing."""
    wanted = {
        **case.params,
        "n_steps": case.n_steps,
        "n_epochs": 1,
        "batch_size": case.n_steps * n_envs,
        "ent_coef": 0.0,
        "vf_coef": 0.0,
        "max_grad_norm": 1e9,
        "normalize_advantage": False,
        "temperature": None,
        "target_kl": None,
        "learning_rate": 1e-3,
    }
    if row.name == "rloo":  # whole episodes, in one update
        samples = min(SAMPLES, n_envs)
        wanted |= {"samples": samples, "texts": n_envs // samples, "batch_size": None}
        wanted |= {"weight_average": None, "mixed_precision": False}
    taken = arguments(row.cls)
    params = load_hyperparams(row.name, case.env)
    network = load_hyperparams("maskable_ppo", case.env)["policy_kwargs"]
    for key in ("kl", "start", "env_kwargs"):
        params.pop(key, None)
    params = nested_merge(params, {key: v for key, v in wanted.items() if key in taken})
    params["policy_kwargs"] = network
    return build_model(row, task, params, n_envs=n_envs, seed=0, device="cpu")


def gradients(model: Any, rollouts: int, start: tuple[Any, Any]) -> Iterator[th.Tensor]:
    """The policy's gradient of each of several rollouts from the same running episodes."""
    model.policy.optimizer = th.optim.SGD(model.policy.parameters(), lr=0.0)
    model.lr_schedule = lambda _: 0.0
    calls = CallbackList([])
    calls.init_callback(model)
    for number in range(rollouts):
        model._last_obs = model.env.venv.restore(*start)
        model._last_episode_starts[:] = False
        model.texts_begun = 0  # of rloo: the same texts
        model.policy.optimizer.zero_grad(
            set_to_none=False
        )  # where nothing is learned from, it is 0
        th.manual_seed(number)
        model.collect_rollouts(
            model.env, calls, model.rollout_buffer, n_rollout_steps=model.n_steps
        )
        model.train()
        yield th.cat(
            [
                (th.zeros_like(p) if p.grad is None else p.grad).flatten().double()
                for name, p in model.policy.named_parameters()
                if not name.startswith("value_net")
            ]
        )


def relative_variance(found: th.Tensor) -> float:
    """Variance of R gradients (R, P) over the square of the expected one."""
    mean = found.mean(dim=0)
    variance = ((found - mean) ** 2).sum().item() / (len(found) - 1)
    square = (mean**2).sum().item()
    signal = square - variance / len(found)
    return 0.0 if variance <= 1e-12 * square else variance / signal if signal > 0 else math.inf


def measure(case: Case, rollouts: int, n_envs: int, learned: int, **kwargs: Any) -> Iterator[str]:
    """Rows of the table."""
    task = nlp_gym.make_task(case.env, **{**kwargs, **case.kwargs})
    task.encode(progress=None)
    rows = [ALGORITHMS[name] for name in case.algos if name in ALGORITHMS]
    models = {row.name: model_of(row, case, task, n_envs) for row in rows}
    teacher = models.get("expected_pg", models["maskable_ppo"])
    # Running episodes in the middle, the same for all.
    venv = teacher.env.venv
    teacher.env.seed(0)
    teacher.env.reset()
    for _ in range(3 if task.lengths.max() > 2 else 0):
        venv.step(venv.oracle_actions())
    start = venv.snapshot()
    for stage in ("fresh", "learned"):
        if stage == "learned":
            teacher = _taught(case, task, n_envs, learned, teacher)
        weights = {name: v.clone() for name, v in teacher.policy.state_dict().items()}
        for row in rows:
            model = models[row.name]
            model.policy.load_state_dict(weights)
            model._setup_learn(10**9, None)
            model.env.reset()
            found = th.stack(list(gradients(model, rollouts, start)))
            ratio = relative_variance(found)
            noise = math.inf if ratio == 0 else ratio**-0.5
            told = information_of(row, {})
            yield f"| {case.name} | {stage} | {row.name} | {told} | {ratio:.3g} | {noise:.2f} |"


def _taught(case: Case, task: Any, n_envs: int, decisions: int, fresh: Any) -> Any:
    """A model that has learned from rewards for a while, from the weights of `fresh`."""
    name = "expected_pg" if "expected_pg" in case.algos else "maskable_ppo"
    params = load_hyperparams(name, case.env)
    for key in ("kl", "start", "env_kwargs"):
        params.pop(key, None)
    params = nested_merge(params, {**case.params, "n_steps": 8, "batch_size": 8 * n_envs})
    params["policy_kwargs"] = load_hyperparams("maskable_ppo", case.env)["policy_kwargs"]
    model = build_model(ALGORITHMS[name], task, params, n_envs=n_envs, seed=0, device="cpu")
    model.policy.load_state_dict(fresh.policy.state_dict())
    return model.learn(decisions)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data-dir", help="folder of the corpora; without it the bundled samples")
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--rollouts", type=int, default=32, help="gradients of each algorithm")
    parser.add_argument("--n-envs", type=int, default=64, help="episodes side by side")
    parser.add_argument("--learned", type=int, default=20_000, help="decisions of the taught")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    given = parser.parse_args()
    th.set_num_threads(1)
    corpus = {"data_dir": given.data_dir} if given.data_dir else {"corpus": "sample"}
    print("| case | network | algorithm | learns from | relative variance | signal to noise |")
    print("|---|---|---|---|---:|---:|")
    for case in CASES:
        if given.only in case.name:
            table = measure(
                case, given.rollouts, given.n_envs, given.learned, encoder=given.encoder, **corpus
            )
            for row in table:
                print(row, flush=True)


if __name__ == "__main__":
    with one_line_errors():
        main()
