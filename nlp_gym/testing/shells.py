"""Checks of the environments around the rules: single, batched, seeded, pickled, restored."""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import warnings
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from nlp_gym.errors import InvalidActionError, InvalidArgumentError, NotResetError
from nlp_gym.tasks.core.make import task_spec
from nlp_gym.testing.subject import Fault, Subject, equal, refused, require


def gymnasium_checker(subject: Subject, obs_type: str = "features") -> None:
    """Gymnasium's `check_env` raises nothing and warns of nothing."""
    from gymnasium.utils.env_checker import check_env

    # It draws in every mode, and one of them prints.
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("error")
        check_env(subject.env(obs_type=obs_type, render_mode="ansi").unwrapped)


def batched_equals_single(
    subject: Subject, obs_type: str = "index", reward: str = "metric"
) -> None:
    """The vector environment plays step for step what single environments play."""
    n, kwargs = 5, {"obs_type": obs_type, "reward": reward}
    batched, single = subject.vector(n, **kwargs), subject.side_by_side(n, **kwargs)
    require(equal(batched.reset(seed=7), single.reset(seed=7)), "reset(seed=7) differs")
    rng = np.random.default_rng(0)
    ends, steps = 0, 60 if subject.quick else 250
    for step in range(steps):
        actions = rng.integers(batched.single_action_space.n, size=n)
        ends += int(same_step(batched, single, actions, step)[2].sum())
    wanted = min(11, n * (steps // int(batched.task.lengths.max())))
    require(
        ends >= wanted,
        f"only {ends} episodes ended in {n * steps} steps; by `lengths` there must be {wanted}",
    )
    again = batched.reset(seed=[3] * n)
    require(equal(again, single.reset(seed=[3] * n)), f"reset(seed={[3] * n}) differs")


def same_step(batched: Any, single: Any, actions: Any, step: int) -> tuple[Any, ...]:
    """Play a step in both, which must give the same; gives what it returned."""
    left, right = batched.step(actions), single.step(actions)
    names = ("observations", "rewards", "terminations", "truncations", "infos")
    for name, one, other in zip(names, left, right, strict=True):
        require(equal(one, other), f"{name} differ after step {step} with actions {actions}")
    masks = np.stack(single.call("action_masks"))
    require(np.array_equal(batched.action_masks(), masks), f"masks differ after step {step}")
    if batched.task.has_gold:
        oracle = np.stack(single.call("oracle_action"))
        require(
            np.array_equal(batched.oracle_actions(), oracle),
            f"the oracle's actions differ after step {step}",
        )
    found: tuple[Any, ...] = left
    return found


def step_limit(subject: Subject) -> None:
    """`max_episode_steps` truncates batched and single environments alike."""
    n, kwargs = 4, {"max_episode_steps": 2, "obs_type": "index"}
    batched, single = subject.vector(n, **kwargs), subject.side_by_side(n, **kwargs)
    require(equal(batched.reset(seed=1), single.reset(seed=1)), "reset(seed=1) differs")
    truncated = 0
    for step in range(30):
        actions = batched.oracle_actions()  # who plays at random may end an episode at once
        truncated += int(same_step(batched, single, actions, step)[3].sum())
    require(
        truncated > 0 or batched.task.lengths.max() <= 2,
        "no episode was truncated, though `lengths` says that some take more than 2 decisions",
    )


def seeding(subject: Subject) -> None:
    """Equal seeds draw the same episodes, others draw others."""
    env = subject.env(obs_type="index")

    def drawn(seed: int) -> list[int]:
        env.reset(seed=seed)
        return [int(env.reset()[0]["row"][0]) for _ in range(80)]

    require(drawn(3) == drawn(3), "seed 3 drew other samples the second time")
    require(drawn(3) != drawn(4), "seeds 3 and 4 drew the same 80 samples")


def spec_json(subject: Subject) -> None:
    """The spec can be written as JSON, read, pickled and made again."""
    from gymnasium.envs.registration import EnvSpec

    env = subject.env(obs_type="index")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text = env.spec.to_json()
        json.loads(task_spec(subject.env_id).to_json())
    for spec in (EnvSpec.from_json(text), pickle.loads(pickle.dumps(env.spec))):
        again = gym.make(spec)
        require(equal(env.reset(seed=9), again.reset(seed=9)), "made of its spec, it is another")


def pickling(subject: Subject, obs_type: str = "features") -> None:
    """A pickled environment goes on where it was."""
    env = subject.env(obs_type=obs_type)
    env.reset(seed=2)
    if env.step(0)[2]:
        env.reset()
    copy = pickle.loads(pickle.dumps(env))
    for step in range(60):
        left, right = env.step(1), copy.step(1)
        require(equal(left, right), f"the copy differs after step {step}")
        if left[2]:
            require(equal(env.reset(), copy.reset()), f"the copy's reset after step {step} differs")


def snapshots(subject: Subject) -> None:
    """A vector environment restored from a snapshot plays on exactly."""
    first, second = (subject.vector(4, obs_type="index") for _ in range(2))
    rng = np.random.default_rng(0)
    n = first.single_action_space.n
    first.reset(seed=5)
    for _ in range(37):
        first.step(rng.integers(n, size=4))
    arrays, generators = first.snapshot()
    second.restore(arrays, json.loads(json.dumps(generators)))
    for step in range(100 if subject.quick else 400):  # further than one block of drawn samples
        actions = rng.integers(n, size=4)
        require(
            equal(first.step(actions), second.step(actions)),
            f"the restored environment differs after step {step}",
        )


def masks_agree(subject: Subject) -> None:
    """The mask is the same in the observation, the info and `action_masks()`, and never empty."""
    env = subject.env(obs_type="features")
    obs, info = env.reset(seed=0)
    for step in range(50):
        asked = env.unwrapped.action_masks()
        require(
            np.array_equal(obs["action_mask"], info["action_mask"]),
            f"obs['action_mask'] and info['action_mask'] differ before step {step}",
        )
        require(
            np.array_equal(obs["action_mask"].astype(bool), asked),
            f"obs['action_mask'] and action_masks() differ before step {step}",
        )
        require(asked.any(), f"no action is legal before step {step}")
        obs, _, ended, _, info = env.step(env.action_space.sample(obs["action_mask"]))
        if ended:
            obs, info = env.reset()
    vector = subject.vector(3, obs_type="features")
    obs, info = vector.reset(seed=0)
    require(
        np.array_equal(obs["action_mask"], info["action_mask"])
        and np.array_equal(obs["action_mask"].astype(bool), vector.action_masks()),
        "the masks of the vector environment differ",
    )


def last_masks(subject: Subject, obs_type: str = "index") -> None:
    """Observations at the end of an episode have a legal action, too."""
    env = subject.vector(8, obs_type=obs_type)
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    finals = 0
    for _ in range(max(60, int(env.task.lengths.max()))):
        *_, info = env.step(rng.integers(env.single_action_space.n, size=8))
        for final in info.get("final_obs", ()):
            if final is not None:
                named = "legal" in final
                mask = env.task.masks[final["legal"][0]] if named else final["action_mask"]
                require(mask.any(), "a final observation has no legal action")
                finals += 1
        if "final_info" in info:
            masks = info["final_info"]["action_mask"][info["_final_info"]]
            require(masks.any(axis=1).all(), "final_info has a mask without a legal action")
    require(finals > 5, f"only {finals} episodes ended; by `lengths` each of 8 must have ended")
    state = env.task.initial(np.arange(len(env.task.corpus)))
    while len(state.row):  # whatever the last decision was
        actions = rng.integers(env.task.n_actions, size=len(state.row))
        _, ended = env.task.transition(state, actions)
        require(env.task.mask(state).any(axis=1).all(), "`mask` has no legal action in some state")
        state = state.take(~ended)


def _arrays_in(data: Any) -> list[npt.NDArray[Any]]:
    """Every array of numbers in what a call returned."""
    if isinstance(data, np.ndarray) and data.dtype != object:
        return [data]
    if isinstance(data, dict):
        data = data.values()
    elif not isinstance(data, tuple | list | np.ndarray):
        return []
    return [array for part in data for array in _arrays_in(part)]


def _played(subject: Subject, obs_type: str, batched: bool, spoil: bool = False) -> Iterator[Any]:
    """What each call returns while a game is played, with a reset in the middle.

    Args:
        subject: The id.
        obs_type: As in `gym.make`.
        batched: Play the vector environment.
        spoil: Yield copies, and overwrite what was returned, as its owner may.
    """

    def handed(returned: Any) -> Any:
        if not spoil:
            return returned
        kept = deepcopy(returned)
        for array in _arrays_in(returned):
            if array.flags.writeable:
                array[...] = 1
        return kept

    rng = np.random.default_rng(0)
    if batched:
        env = subject.vector(4, obs_type=obs_type, render_mode="ansi")
    else:
        env = subject.env(obs_type=obs_type).unwrapped
    for seed in (0, 1):
        yield handed(env.reset(seed=seed))
        for _ in range(10):
            if batched:
                yield handed(env.step(rng.integers(env.single_action_space.n, size=4)))
                continue
            returned = env.step(int(rng.integers(env.action_space.n)))
            yield handed(returned)
            if returned[2]:
                yield handed(env.reset())


def arrays_not_shared(subject: Subject, obs_type: str = "index", batched: bool = False) -> None:
    """No two arrays that calls return share memory; they can be kept, and overwritten."""
    kept, copies = [], []
    for returned in _played(subject, obs_type, batched):
        kept.append(returned)
        copies.append(deepcopy(returned))
    require(equal(kept, copies), "a later call wrote to an array that was returned before")
    arrays = _arrays_in(kept)
    for i, array in enumerate(arrays):
        require(array.flags.writeable, "an array that was returned cannot be written to")
        if any(np.shares_memory(array, other) for other in arrays[:i]):
            raise Fault("two arrays that were returned share memory")
    both = zip(
        copies,
        _played(subject, obs_type, batched, spoil=True),
        strict=True,
    )
    require(
        all(equal(left, right) for left, right in both),
        "overwriting what was returned changed what later calls return",
    )


def row_option(subject: Subject) -> None:
    """`reset(options={"row": i})` plays sample i, and what is no sample is refused."""
    env = subject.env(obs_type="index")
    n = len(env.unwrapped.task.corpus)
    for row in (0, min(5, n - 1), n // 2):
        played = int(env.reset(options={"row": row})[0]["row"][0])
        require(played == row, f"row {row} was asked for and row {played} is played")
    rows = [n - 1, 0, n // 2]
    found = subject.vector(3, obs_type="index").reset(options={"row": rows})[0]["row"]
    require(found.ravel().tolist() == rows, f"rows {rows} were asked for, {found.ravel()} played")
    for options in ({"row": n}, {"rwo": 1}):
        with refused(InvalidArgumentError, f"reset(options={options})"):
            env.reset(options=options)


def misuse(subject: Subject) -> None:
    """An action outside the space, or a step before `reset`, is a typed error."""
    env = subject.env(obs_type="index").unwrapped
    n = int(env.action_space.n)
    with refused(NotResetError, "step before reset"):
        env.step(0)
    env.reset(seed=0)
    for bad in (n, -1, 0.5, "O", None):
        with refused(InvalidActionError, f"action {bad!r} of Discrete({n})"):
            env.step(bad)
    vector = subject.vector(2, obs_type="index")
    vector.reset(seed=0)
    for actions in ([0], [0, n], [0, -1], [0.5, 0.5]):
        with refused(InvalidActionError, f"actions {actions} of Discrete({n})"):
            vector.step(np.array(actions))
