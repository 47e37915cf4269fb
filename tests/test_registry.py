"""What every registered id must do; a new row in the table gets all of this free.

The rules are those of `nlp_gym.testing`, which people who write tasks run on their own.
"""

from __future__ import annotations

import gymnasium as gym
import pytest
from gymnasium.utils.env_checker import data_equivalence

from nlp_gym.registration import ENVS
from nlp_gym.testing import Check, Subject
from nlp_gym.testing.processes import digest, digests, require_same, spec_text
from nlp_gym_agents.evaluation.conformance import all_checks

IDS = [row.id for row in ENVS]
KINDS = list({(row.task, row.dataset, str(row.kwargs)): row.id for row in reversed(ENVS)}.values())
"""One id of those that play the same rules on the same sample."""
SLOW = ("states_told_apart", "flat_memory")
TASKS = list({row.task: row.id for row in reversed(ENVS)}.values())
"""One id of each task: what its code keeps in memory is the same with any sample."""
PLAYED = ("batched_equals_single", "rewards_sum", "snapshots")
"""Checks by steps that are played: many in one variant on one id of each task, else fewer."""
TOGETHER = "same_in_every_process"
"""One process plays all ids here, rather than one each."""


def cases():
    """Every check with each of its variants on one id of each task, with one on every other id.

    Other ids play the same code on other samples: they are slow tests, and which variant is theirs
    goes round. Slow too is the variant of which most is played.
    """
    for check in all_checks():
        for number, variant in enumerate(check.variants):
            told = "-".join(map(str, (check, *variant.values())))
            ids = TASKS if check.name == "flat_memory" else KINDS
            for place, env_id in enumerate(IDS if check.by_id else ids):
                own = env_id in TASKS or place % len(check.variants) == number
                if check.name == TOGETHER or not own:
                    continue
                slow = check.name in SLOW or env_id not in TASKS
                slow |= check.name in PLAYED and variant == check.variants[0]
                marks = [pytest.mark.slow] if slow else []
                yield pytest.param(env_id, check, variant, id=f"{told}-{env_id}", marks=marks)


@pytest.mark.parametrize(("env_id", "check", "variant"), list(cases()))
def test_id_keeps_the_rule(env_id, check: Check, variant):
    most = env_id in TASKS and variant == check.variants[0]
    quick = check.name in PLAYED and not most
    check.run(Subject(env_id, quick=quick), variant)


@pytest.fixture(scope="module")
def rollouts():
    """What processes of two hash seeds play, by id."""
    specs = [spec_text(Subject(env_id)) for env_id in IDS]
    return {hash_seed: digests(specs, hash_seed) for hash_seed in (1, 2)}


@pytest.mark.parametrize("env_id", IDS)
def test_rollout_is_the_same_in_every_process(env_id, rollouts):
    own = digest(Subject(env_id).vector(3, obs_type="features"))
    assert len(own[0]) == 64
    for hash_seed, played in rollouts.items():
        require_same(own, played[env_id], hash_seed)


@pytest.mark.parametrize("make_env", [gym.make, gym.make_vec])
def test_spec_with_a_path_survives_json(make_env, tmp_path):
    path = tmp_path / "own.conll"
    path.write_text("".join(f"{name} B-PER\nleft O\n\n" for name in ("Ana", "Li", "Bo", "Jo")))
    for data in (path, {"train": path}):
        env = make_env("NER-v0", data=data, encoder="hashed")
        again = make_env(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
        assert data_equivalence(env.reset(seed=9), again.reset(seed=9), exact=True)


def test_ids_have_the_fields_form():
    for row in ENVS:
        assert gym.spec(row.id).kwargs["task"] == row.task
    with pytest.raises(gym.error.NameNotFound, match="NER-CoNLL"):
        gym.make("NER-CoNL-v0")
