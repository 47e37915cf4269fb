"""Checks of the rules: the expert, rewards, illegal actions, and gold that must not be seen."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from nlp_gym.tasks.core.rollout import oracle_decisions, rollout
from nlp_gym.tasks.core.task import ILLEGAL_COST, Task
from nlp_gym.testing.shells import same_step
from nlp_gym.testing.subject import (
    Subject,
    equal,
    require,
    shuffled_gold,
    without_gold,
)
from nlp_gym.types import SPLITS, BoolArray, Float64Array, Int64Array, Observation

CONSTANTS = 16
"""Most actions of which each is played alone."""
_TRIED = 160
"""Most actions of a state that are compared one by one."""
CONSTANT_SHARE = 0.95
"""Most of the oracle's score that one action alone may get."""


def oracle(subject: Subject, split: str = "train") -> None:
    """The oracle scores 1.0, or more than chance where the class says `exact_oracle = False`."""
    task = subject.task(split)
    require(task.has_gold, f"the {split} split of the sample has no gold")
    score = task.score(rollout(task, "oracle"), bootstrap=50)
    if task.exact_oracle:
        require(
            score.value == 1.0 and score.interval == (1.0, 1.0),
            f"the oracle scores {score.value} on {split}, interval {score.interval}",
        )
    else:
        rng = np.random.default_rng(0)
        chance = rollout(task, lambda _, mask: np.where(mask, rng.random(mask.shape), -1).argmax(1))
        floor = task.score(chance, bootstrap=0).value
        require(score.value > floor, f"the oracle scores {score.value} on {split}, chance {floor}")
        low, high = score.interval or (1.0, 0.0)
        require(low <= score.value <= high, f"{score.value} lies outside its interval {low}-{high}")
    require(score.n == len(task.corpus), f"{score.n} of {len(task.corpus)} samples are scored")
    require(
        score.metric == task.metric_name and score.metric in score.signature,
        f"metric {score.metric!r}, metric_name {task.metric_name!r} and the signature "
        f"{score.signature!r} differ",
    )
    json.dumps(score.report)


def _play_to_the_end(
    task: Task, choose: Callable[[Any], Int64Array]
) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Returns of one episode on every sample, and the final states' metric and costs."""
    n = len(task.corpus)
    state = task.initial(np.arange(n))
    totals, running = np.zeros(n), np.ones(n, bool)
    for _ in range(int(task.lengths.max())):
        if not running.any():
            break
        part = state.take(running)
        rewards, ended = task.transition(part, choose(part))
        where = np.flatnonzero(running)
        totals[where] += rewards
        state.put(where, part)
        running[where[ended]] = False
    require(not running.any(), "an episode took more decisions than `lengths` says")
    return totals, task.potential(state), state.cost


def oracle_rewards(subject: Subject, reward: str = "metric") -> None:
    """The oracle's rewards sum to the metric less the costs, and to more than chance."""
    task = subject.task(reward=reward)
    totals, value, cost = _play_to_the_end(task, task.oracle)
    if reward != "correctness":
        require(
            np.array_equal(totals, value - cost),
            f"the oracle's {reward} rewards do not sum to the metric less the costs",
        )
        require(
            not task.exact_oracle or (value == 1.0).all(),
            f"the oracle's `potential` is {value.min()} on a sample, and 1.0 is its maximum",
        )
    rng = np.random.default_rng(1)
    chance, _, lost = _play_to_the_end(
        task, lambda state: rng.integers(task.n_actions, size=len(state.row))
    )
    require(
        totals.mean() > chance.mean(),
        f"the oracle earns {totals.mean():.3f} an episode, chance {chance.mean():.3f}",
    )
    require(lost.min() >= 0.0, "a cost is negative")


def rewards_sum(subject: Subject, seed: int = 0) -> None:
    """The `metric` rewards of an episode sum to its `sparse` reward exactly."""
    dense, sparse = (
        subject.vector(16, obs_type="index", reward=reward) for reward in ("metric", "sparse")
    )
    rng = np.random.default_rng(seed)
    dense.reset(seed=seed), sparse.reset(seed=seed)
    totals, ends, steps = np.zeros(16), 0, 80 if subject.quick else 200
    for _ in range(steps):
        wise = rng.random(16) < 0.6  # a mix of right, wrong and illegal actions
        actions = np.where(
            wise, dense.oracle_actions(), rng.integers(dense.single_action_space.n, size=16)
        )
        _, reward, done, _, _ = dense.step(actions)
        _, final, done_too, _, _ = sparse.step(actions)
        totals += reward
        require(np.array_equal(done, done_too), "an episode's end depends on the reward")
        for total, one in zip(totals[done], final[done], strict=True):
            require(total == one, f"metric rewards sum to {total}, the sparse reward is {one}")
        require(not final[~done].any(), "a sparse reward came before the end")
        totals[done] = 0.0
        ends += int(done.sum())
    wanted = min(21, 16 * (steps // int(dense.task.lengths.max())))
    require(ends >= wanted, f"only {ends} episodes ended; by `lengths` there must be {wanted}")


def illegal_actions(subject: Subject) -> None:
    """An illegal action is played as its repair, a legal one, and costs an eighth."""
    task = subject.task(reward="sparse")
    state = task.initial(np.arange(min(64, len(task.corpus))))
    rng = np.random.default_rng(0)
    for _ in range(int(task.lengths.max())):
        actions = rng.integers(task.n_actions, size=len(state.row))
        each = np.arange(len(actions))
        mask = task.mask(state)
        legal = mask[each, actions]
        repaired, illegal = task.repair(state, actions)
        require(np.array_equal(illegal, ~legal), "`repair` calls other actions illegal than `mask`")
        require(np.array_equal(repaired[legal], actions[legal]), "`repair` changes a legal action")
        require(mask[each, repaired].all(), "`repair` gives an illegal action")
        other = state.take(each)
        _, ended = task.transition(state, actions)
        task.transition(other, repaired)
        require(
            np.array_equal(state.cost - other.cost, ILLEGAL_COST * ~legal),
            f"an illegal action does not cost {ILLEGAL_COST} more than its repair",
        )
        other.cost[:] = state.cost
        require(
            equal(vars(state), vars(other)), "an illegal action leads elsewhere than its repair"
        )
        state = state.take(~ended)
        if not len(state.row):
            break


def branching(subject: Subject, reward: str = "metric") -> None:
    """`branch` and `action_rewards` give what `transition` does, and leave the episodes alone."""
    task = subject.task(reward=reward)
    n, rng = task.n_actions, np.random.default_rng(0)
    state = task.initial(rng.integers(len(task.corpus), size=8))
    # Rewards sum exactly to this, so that those of branched ways do, too.
    totals, looks = np.zeros(8), 0
    for step in range(int(task.lengths.max())):
        episodes = len(state.row)
        # Of thousands of tokens some, the oracle's among them.
        tried = np.array([rng.permutation(n)[:_TRIED] for _ in range(episodes)])
        tried[:, 0] = task.oracle(state)
        if step % 2 == 0 and looks < (2 if n > _TRIED else 4):
            looks += 1
            _same_branches(task, state, tried)
        wise = rng.random(episodes) < 0.6
        actions = np.where(wise, tried[:, 0], rng.integers(n, size=episodes))
        told = task.branch(state, actions[:, None])
        rewards, ended = task.transition(state, actions)
        require(
            np.array_equal(told.rewards[:, 0], rewards) and np.array_equal(told.ended[:, 0], ended),
            f"`branch` and `transition` differ in the rewards or ends of step {step}",
        )
        totals += rewards
        if reward != "correctness" and ended.any():
            final = (task.potential(state) - state.cost)[ended]
            require(
                np.array_equal(totals[ended], final),
                f"{reward} rewards of a branched episode do not sum to the metric less the costs",
            )
        state, totals = state.take(~ended), totals[~ended]
        if not len(state.row):
            break


def _same_branches(task: Task, state: Any, tried: Int64Array) -> None:
    """Compare all that is said of B episodes with what `transition` does to copies of them."""
    before = state.take(np.arange(len(state.row)))
    every = task.action_rewards(state)
    found = task.branch(state, tried)
    require(equal(vars(state), vars(before)), "`branch` or `action_rewards` changes the episodes")
    require(
        every.shape == (len(state.row), task.n_actions) and every.dtype == np.float64,
        f"`action_rewards` gives {every.dtype} of the shape {every.shape}, not float64 of (B, A)",
    )
    for k in range(tried.shape[1]):
        copy = before.take(np.arange(len(before.row)))
        rewards, ended = task.transition(copy, tried[:, k])
        at = np.arange(len(rewards))
        require(
            np.array_equal(every[at, tried[:, k]], rewards),
            f"`action_rewards` of {tried[:, k].tolist()} are {every[at, tried[:, k]].tolist()}, "
            f"and `transition` gives {rewards.tolist()}",
        )
        own = found.state.take(at * tried.shape[1] + k)
        require(
            np.array_equal(found.rewards[:, k], rewards)
            and np.array_equal(found.ended[:, k], ended)
            and equal(vars(own), vars(copy)),
            "`branch` leads elsewhere than `transition`",
        )


def gold_hidden(subject: Subject, obs_type: str = "features") -> None:
    """The same texts without gold, or with that of others, give the same observations and masks."""
    split = "test" if obs_type == "index" else "dev"
    task = subject.task(split)
    require(task.has_gold, f"the {split} split of the sample has no gold to hide")
    with without_gold():
        bare = subject.task(split)
    require(not bare.has_gold, "`has_gold` is True for samples that are not annotated")
    same_view(task, bare, obs_type, "with gold and without")
    with shuffled_gold():
        try:
            other = subject.task(split)
        except Exception:  # gold of others may be impossible here, as a word that is absent
            return
    same_view(task, other, obs_type, "with their gold and with that of others")


def same_view(task: Task, other: Task, obs_type: str, which: str) -> None:
    """Play both tasks by chance and compare what is seen."""
    rng = np.random.default_rng(0)
    state, state_other = (t.initial(np.arange(len(task.corpus))) for t in (task, other))
    for step in range(int(task.lengths.max())):
        seen, seen_other = task.observe(state, obs_type), other.observe(state_other, obs_type)
        for key in seen:
            require(
                key in seen_other and equal(seen[key], seen_other[key]),
                f"obs[{key!r}] of the same texts {which} differs before step {step}",
            )
        require(
            np.array_equal(task.mask(state), other.mask(state_other)),
            f"the masks of the same texts {which} differ before step {step}",
        )
        actions = rng.integers(task.n_actions, size=len(state.row))
        _, ended = task.transition(state, actions)
        require(
            np.array_equal(ended, other.transition(state_other, actions)[1]),
            f"the same texts {which} end at other steps",
        )
        if ended.all():
            break
        state, state_other = state.take(~ended), state_other.take(~ended)


def not_scored_without_gold(subject: Subject, limit: int | None = None) -> None:
    """Without gold environments play on, alike, and give no score."""
    n, kwargs = 4, {"obs_type": "index", "max_episode_steps": limit}
    with without_gold():
        batched, single = subject.vector(n, **kwargs), subject.side_by_side(n, **kwargs)
    require(not batched.task.has_gold, "`has_gold` is True for samples that are not annotated")
    require(equal(batched.reset(seed=1), single.reset(seed=1)), "reset(seed=1) differs")
    rng = np.random.default_rng(0)
    ends, longest = 0, int(limit or batched.task.lengths.max())
    for step in range(max(60, 4 * longest)):
        actions = rng.integers(batched.single_action_space.n, size=n)
        info = same_step(batched, single, actions, step)[4]
        if "final_info" in info:
            require("score" not in info["final_info"], "a text without gold has a score")
            ends += 1
    require(ends > 3, f"only {ends} steps ended an episode; by `lengths` there must be more")


def same_shapes(subject: Subject, obs_type: str = "features") -> None:
    """What is trained on one split can be played on another: spaces have the same shapes."""
    found = {}
    for split in SPLITS:
        task = subject.task(split)
        space = task.observation_space(obs_type)
        boxes = {key: (box.shape, box.dtype) for key, box in space.items()}
        found[split] = (boxes, task.n_actions)
        for what, one, other in zip(
            ("observations", "actions"), found[split], found["train"], strict=True
        ):
            require(one == other, f"{what} of {split} are {one}, those of train {other}")


def constant_agents(subject: Subject) -> None:
    """Agents that do nothing, or always the same, stay at their floor, below the oracle."""
    train, task = subject.task(), subject.task("dev")
    _, actions = oracle_decisions(train)
    counts = np.bincount(actions, minlength=task.n_actions)[: task.n_actions]
    best = task.score(rollout(task, "oracle"), bootstrap=0).value
    # The oracle's frequent actions, the first (which repairs illegal ones) and the last (STOP).
    chosen = [0, task.n_actions - 1, *np.argsort(-counts, kind="stable").tolist()]
    top = CONSTANT_SHARE * best
    for action in list(dict.fromkeys(chosen))[: 4 if subject.quick else CONSTANTS]:

        def constant(_: Observation, mask: BoolArray, action: int = action) -> Int64Array:
            played: Int64Array = np.where(mask[:, action], action, mask.argmax(axis=1))
            return played

        value = task.score(rollout(task, constant), bootstrap=0).value
        require(
            value <= top,
            f"always playing action {action} ({task.action_name(action)}) scores {value:.3f}, the "
            f"oracle {best:.3f}: nothing has to be learnt",
        )
