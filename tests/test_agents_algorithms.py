"""Algorithms: the table, masks, determinism, behaviour cloning, warm starts, and that all learn."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch as th
from stable_baselines3.common.buffers import DictReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback

from nlp_gym import make_task
from nlp_gym.envs.vector import TaskVectorEnv
from nlp_gym.errors import InvalidArgumentError, UnknownNameError
from nlp_gym.tasks.core.rollout import rollout
from nlp_gym.tasks.core.task import Task
from nlp_gym.tasks.tagging.task import SequenceTagging, TaggingState
from nlp_gym_agents.algorithms.imitation.demonstrations import OracleData, collect
from nlp_gym_agents.algorithms.pretraining import warm_start
from nlp_gym_agents.algorithms.pretraining_loss import q_targets
from nlp_gym_agents.algorithms.q_learning.masked_dqn import td_target
from nlp_gym_agents.algorithms.registry import ALGORITHMS, information_of_run, resolve
from nlp_gym_agents.algorithms.vec_env import SB3VecEnv
from nlp_gym_agents.config.hyperparams import build_arguments, load_hyperparams
from nlp_gym_agents.config.train_config import TrainConfig
from nlp_gym_agents.evaluation.baselines import run_baselines
from nlp_gym_agents.evaluation.test_report import start_information
from nlp_gym_agents.models.acting import make_act
from nlp_gym_agents.networks.features.extractor import NLPExtractor
from nlp_gym_agents.networks.features.source import FeatureSource
from nlp_gym_agents.networks.policies.dueling import explore
from nlp_gym_agents.runs.folder import read_config, write_config

Q_OPTIONS = [
    "n_envs:32",
    "batch_size:128",
    "buffer_size:20000",
    "learning_starts:500",
    "train_freq:1",
    "target_update_interval:500",
]
PPO_OPTIONS = ["n_envs:32", "n_steps:16", "batch_size:128", "n_epochs:6"]
SMALL: dict[str, list[str]] = {
    "a2c": ["n_envs:32", "n_steps:1", "learning_rate:1e-2"],
    "aggrevate": ["batch_size:128"],
    "bc": ["batch_size:128"],
    "dagger": ["batch_size:128"],
    "dqn": Q_OPTIONS,
    "expected_pg": PPO_OPTIONS,
    "maskable_ppo": PPO_OPTIONS,
    "masked_dqn": Q_OPTIONS,
    "ppo": PPO_OPTIONS,
    "qrdqn": [*Q_OPTIONS, "policy_kwargs.n_quantiles:5"],
    "rloo": ["texts:2", "samples:4", "credit:decision", "learning_rate:1e-2"],
    "recurrent_ppo": [*PPO_OPTIONS, "n_epochs:2", "policy_kwargs.lstm_hidden_size:32"],
}


QUICK = ("bc", "masked_dqn", "ppo")
"""Algorithms that plain tests train to the end."""

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def pos() -> Task:
    return make_task("POS-EWT-v0", corpus="sample", encoder="hashed", encoder_kwargs={"dim": 32})


@pytest.fixture(scope="module")
def ner() -> Task:
    return make_task("NER-CoNLL-v0", corpus="sample", encoder="hashed", encoder_kwargs={"dim": 32})


def build(algo: str, task: Task, *overrides: str, seed: int = 0, obs_type: str = "index") -> Any:
    """A small model as the command builds it."""
    options = ["learning_rate:3e-3", "gamma:0.0", *SMALL.get(algo, [])]
    hidden = "policy_kwargs.features_extractor_kwargs.hidden:[32]"
    params = load_hyperparams(algo, "any", [*options, hidden, *overrides])
    arguments = build_arguments(params)
    policy_kwargs = arguments["policy_kwargs"]
    policy_kwargs["features_extractor_class"] = NLPExtractor
    if obs_type == "index":
        policy_kwargs["features_extractor_kwargs"]["source"] = FeatureSource(task, "cpu")
    env = SB3VecEnv(TaskVectorEnv(task, params["n_envs"], obs_type=obs_type))
    return resolve(algo).cls(env=env, seed=seed, device="cpu", **arguments)


def accuracy(model: Any, task: Task, *, masked: bool, obs_type: str = "index") -> float:
    outputs = rollout(task, make_act(model, masked), obs_type=obs_type)
    return task.score(outputs, bootstrap=0).value


def same_weights(left: Any, right: Any) -> bool:
    one, two = left.policy.state_dict(), right.policy.state_dict()
    return one.keys() == two.keys() and all(th.equal(one[key], two[key]) for key in one)


class OnlyGold(SequenceTagging):
    """Tagging with every wrong label masked."""

    def mask(self, state: TaggingState) -> Any:
        return np.eye(self.n_actions, dtype=bool)[self.oracle(state)]

    def observe(self, state: TaggingState, obs_type: str) -> Any:
        mask = self.mask(state).astype(np.int8)
        return {**super().observe(state, obs_type), "action_mask": mask}


@pytest.fixture(scope="module")
def only_gold() -> Task:
    options: dict[str, Any] = {"corpus": "sample", "encoder": "hashed"}
    return OnlyGold(dataset="ud_ewt", scheme="flat", **options)


# -- the table ---------------------------------------------------------------------------------


def test_algorithms_table() -> None:
    assert set(ALGORITHMS) == set(SMALL)
    for name, row in ALGORITHMS.items():
        assert resolve(name) is row
        assert row.cls.__name__.lower() == name.replace("_", "")
        assert row.doc
    assert {name for name, row in ALGORITHMS.items() if row.masked} == {
        "aggrevate",
        "bc",
        "expected_pg",
        "dagger",
        "maskable_ppo",
        "masked_dqn",
        "rloo",
    }


def test_algorithms_by_import_path() -> None:
    row = resolve("sb3_contrib:TRPO")
    assert (row.policy_kind, row.masked, row.cls.__name__) == ("actor_critic", False, "TRPO")
    assert resolve("sb3_contrib:MaskablePPO").masked
    assert resolve("nlp_gym_agents.algorithms.q_learning.masked_dqn:MaskedDQN").masked
    assert resolve("stable_baselines3:DQN").policy_kind == "q"


@pytest.mark.parametrize(
    ("base", "said", "information"),
    [
        ("BC", None, "oracle"),
        ("AggreVaTe", None, "full information + oracle"),
        ("ExpectedPG", None, "full information"),
        ("MaskedDQN", None, "bandit"),
        ("MaskedDQN", "full information", "full information"),
        ("TRPO", "full information", "full information"),
        ("TRPO", "all of it", InvalidArgumentError),
    ],
)
def test_what_an_own_class_learns_from(
    base: str, said: str | None, information: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {row.cls.__name__: row.cls for row in ALGORITHMS.values()}
    parent = resolve("sb3_contrib:TRPO").cls if base == "TRPO" else known[base]
    own = type("Own", (parent,), {} if said is None else {"information": said})
    monkeypatch.setitem(sys.modules, "own_module", SimpleNamespace(Own=own))
    if not isinstance(information, str):
        with pytest.raises(information, match="information='all of it' is not known"):
            resolve("own_module:Own")
        return
    row = resolve("own_module:Own")
    assert row.information == information_of_run(row, {}) == information


@pytest.mark.parametrize(
    ("algo", "params", "start", "known"),
    [
        ("maskable_ppo", {}, None, "bandit"),
        ("maskable_ppo", {}, "oracle", "bandit, start: oracle"),
        ("maskable_ppo", {}, "bandit, start: oracle", "bandit, start: bandit + oracle"),
        ("maskable_ppo", {"constant_reward": 1.0}, "oracle", "no reward, start: oracle"),
        ("masked_dqn", {"constant_reward": 1.0, "full_targets": True}, None, "no reward"),
        ("masked_dqn", {"constant_reward": 0.0, "demonstrations": 0.5}, None, "no reward + oracle"),
        ("aggrevate", {"constant_reward": 1.0}, None, "no reward + oracle"),
    ],
)
def test_what_a_run_learned_from(
    algo: str, params: dict[str, Any], start: str | None, known: str
) -> None:
    assert information_of_run(ALGORITHMS[algo], params, start=start) == known


def test_what_the_start_of_a_run_learned_from(tmp_path: Path) -> None:
    """What continues clones is no bandit, however many runs there are between."""

    def write(name: str, algo: str, **settings: Any) -> dict[str, Any]:
        config = TrainConfig(env="POS-EWT-v0", algo=algo, **settings).as_dict()
        (tmp_path / name).mkdir()
        write_config(tmp_path / name, config, command=())
        return read_config(tmp_path / name)

    def start_of(algo: str, **settings: Any) -> str | None:
        return start_information({"algo": algo, **settings})

    assert start_information(write("cloned", "bc")) is None
    run = str(tmp_path / "cloned")
    assert start_of("ppo", warm_start="bc:3") == "oracle"
    ppo = write("ppo", "maskable_ppo", continue_from=run)
    assert start_information(ppo) == start_of("ppo", warm_start=run) == "oracle"
    assert start_of("ppo", continue_from=str(tmp_path / "ppo")) == "bandit, start: oracle"
    write("full", "expected_pg")
    full = str(tmp_path / "full")
    assert start_of("ppo", warm_start=full) == "full information"
    # Values are regressed on what the oracle does, whoever the trunk comes from.
    assert start_of("dqn", warm_start=full) == "full information + oracle"
    gone = str(tmp_path / "gone")
    assert start_of("ppo", warm_start=gone) == "oracle"
    assert start_of("ppo", continue_from=gone) == "not known"


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("masked_dqm", UnknownNameError, "Did you mean 'masked_dqn'"),
        ("nowhere:Class", InvalidArgumentError, "package.module:Class"),
        ("stable_baselines3:Nothing", InvalidArgumentError, "Nothing"),
        ("math:pi", InvalidArgumentError, "no algorithm class"),
        (":", InvalidArgumentError, "package.module:Class"),
    ],
)
def test_algorithms_unknown(name: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        resolve(name)


# -- learning ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "algo",
    [pytest.param(a, marks=[] if a in QUICK else [pytest.mark.slow]) for a in sorted(SMALL)],
)
def test_algorithms_learn(algo: str, pos: Task) -> None:
    model = build(algo, pos).learn(8_000)
    assert model.num_timesteps >= 8_000
    baselines = run_baselines(pos, pos, ["random", "majority"], bootstrap=0)
    value = accuracy(model, pos, masked=ALGORITHMS[algo].masked)
    assert value > baselines["majority"].value + 0.08 > baselines["random"].value + 0.08


@pytest.mark.parametrize("algo", sorted(set(SMALL) - {"recurrent_ppo"}))
def test_algorithms_same_seed_same_weights(algo: str, ner: Task) -> None:
    one, two = (build(algo, ner, seed=3).learn(1_500) for _ in range(2))
    assert same_weights(one, two)
    assert not same_weights(one, build(algo, ner, seed=4).learn(1_500))


def test_algorithms_read_features_observations(pos: Task) -> None:
    for algo in ("ppo", "bc"):
        model = build(algo, pos, obs_type="features").learn(4_000)
        assert accuracy(model, pos, masked=False, obs_type="features") > 0.25


def test_algorithms_index_and_features_learn_alike(ner: Task) -> None:
    index, features = (build("bc", ner, obs_type=kind) for kind in ("index", "features"))
    index.learn(2_000)
    features.learn(2_000)
    assert same_weights(index, features)


# -- masks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("algo", ["maskable_ppo", "masked_dqn", "bc"])
def test_algorithms_untrained_is_right_where_only_gold_is_legal(algo: str, only_gold: Task) -> None:
    assert accuracy(build(algo, only_gold), only_gold, masked=True) == 1.0
    assert accuracy(build(algo, only_gold), only_gold, masked=False) < 0.5


@pytest.mark.parametrize("algo", ["maskable_ppo", "masked_dqn"])
def test_algorithms_explore_legal_actions_only(algo: str, only_gold: Task) -> None:
    model = build(algo, only_gold).learn(2_000)
    episodes = list(model.ep_info_buffer)
    assert len(episodes) > 20
    assert all(episode["r"] == episode["l"] for episode in episodes)


def test_masked_dqn_explores_uniformly_and_by_environment(ner: Task) -> None:
    model = build("masked_dqn", ner, "n_envs:64")
    model._last_obs = model.env.reset()
    legal = model._last_obs["action_mask"].astype(bool)
    greedy = explore(model.policy, model._last_obs, 0.0)
    assert legal[np.arange(64), greedy].all()
    draws = np.stack([explore(model.policy, model._last_obs, 1.0) for _ in range(400)])  # (400, B)
    counts = np.stack([(draws == a).sum(axis=0) for a in range(ner.n_actions)], axis=1)  # (B, A)
    assert (counts[~legal] == 0).all()
    expected = 400 / legal.sum(axis=1).mean()
    assert counts[legal].min() > expected / 2
    some = np.stack([explore(model.policy, model._last_obs, 0.5) for _ in range(50)])
    moved = (some != greedy).mean(axis=1)  # share of the environments in one step
    assert 0.15 < moved.mean() < 0.6
    assert moved.min() > 0
    assert moved.max() < 1


def test_masked_dqn_target_by_hand() -> None:
    online = th.tensor([[1.0, 5.0, 3.0], [4.0, 2.0, 9.0], [0.0, 1.0, 2.0]])
    target = th.tensor([[10.0, 20.0, 30.0], [40.0, 50.0, 60.0], [70.0, 80.0, 90.0]])
    mask = th.tensor([[True, False, True], [True, True, False], [False, False, False]])
    rewards, dones = th.tensor([[1.0], [2.0], [3.0]]), th.tensor([[0.0], [0.0], [1.0]])
    double = td_target(rewards, dones, chooser=online, valuer=target, mask=mask, gamma=0.5)
    # Row 0: best legal online action is 2 (3.0, not the illegal 5.0): 1 + 0.5 * 30. Row 1: action
    # 0 (4.0): 2 + 0.5 * 40. Row 2 has ended and no legal action: 3, and finite.
    assert double.tolist() == [[16.0], [22.0], [3.0]]
    single = td_target(rewards, dones, chooser=target, valuer=target, mask=mask, gamma=0.5)
    assert single.tolist() == [[16.0], [27.0], [3.0]]
    free = td_target(rewards, dones, chooser=online, valuer=target, mask=None, gamma=0.5)
    assert free.tolist() == [[11.0], [32.0], [3.0]]


@pytest.mark.parametrize(("double", "expected"), [(True, 30.0), (False, 40.0)])
def test_masked_dqn_reads_the_next_mask(double: bool, expected: float, ner: Task) -> None:
    model = build("masked_dqn", ner, "gamma:0.5", f"double:{double}")
    a = ner.n_actions
    obs = ner.observe(ner.initial(np.array([0])), "index")
    after = {key: th.as_tensor(value) for key, value in obs.items()}
    after["action_mask"] = th.tensor([[0, 1, 1] + [0] * (a - 3)])
    online, target = th.zeros(1, a), th.zeros(1, a)
    online[0, :3], target[0, :3] = th.tensor([9.0, 2.0, 1.0]), th.tensor([90.0, 30.0, 40.0])
    object.__setattr__(model, "q_net", lambda obs: online)
    object.__setattr__(model, "q_net_target", lambda obs: target)
    data = SimpleNamespace(
        rewards=th.tensor([[1.0]]), dones=th.zeros(1, 1), next_observations=after
    )
    assert model._target(data).item() == 1.0 + 0.5 * expected


def test_replay_of_a_million_index_transitions_is_small(ner: Task) -> None:
    space = ner.observation_space("index")
    buffer = DictReplayBuffer(1_000_000, space, ner.action_space, device="cpu", n_envs=64)
    arrays = [*buffer.observations.values(), *buffer.next_observations.values()]
    arrays += [buffer.actions, buffer.rewards, buffer.dones, buffer.timeouts]
    assert sum(array.nbytes for array in arrays) < 200e6


# -- behaviour cloning -------------------------------------------------------------------------


def test_oracle_data_holds_every_decision_once(ner: Task) -> None:
    data = collect(ner, gamma=0.5, batch=7)
    assert len(data) == int(ner.lengths.sum())
    row, position = (data.observations[key].flatten() for key in ("row", "position"))
    assert len(set(zip(row.tolist(), position.tolist(), strict=True))) == len(data)
    labels = [ner.labels[a] for a in data.actions.tolist()]
    for r, p, label in zip(row.tolist()[::97], position.tolist()[::97], labels[::97], strict=True):
        assert (ner.corpus.samples[r].labels or ())[p] == label
    # Every decision earns 1: the return is 1 + 1/2 + 1/4 ... to the end of the text.
    left = th.from_numpy(ner.lengths)[row.long()] - position
    assert th.allclose(data.returns, 2.0 * (1.0 - 0.5**left), atol=1e-5)
    assert data.masks[th.arange(len(data)), data.actions].all()


def test_bc_counts_samples_and_calls_back(pos: Task) -> None:
    class Watch(BaseCallback):
        seen: list[int] = []  # noqa: RUF012 - one instance, one test

        def _on_step(self) -> bool:
            self.seen.append(self.num_timesteps)
            return len(self.seen) < 12

    model, watch = build("bc", pos, "batch_size:200"), Watch()
    model.learn(3_000, callback=watch)
    total = int(pos.lengths.sum())  # the batch at the end of an epoch is smaller
    epoch = [*range(200, total, 200), total]
    expected = [*epoch, *(total + n for n in epoch)][:12]
    assert watch.seen == expected
    assert model.num_timesteps == expected[-1]


def test_bc_resumes_inside_an_epoch(pos: Task) -> None:
    class Stop(BaseCallback):
        def _on_step(self) -> bool:
            return self.num_timesteps < 1_300

    whole, cut = build("bc", pos), build("bc", pos)
    whole.learn(2_500)
    cut.learn(2_500, callback=Stop())
    assert cut.num_timesteps < 2_500
    cut.learn(2_500 - cut.num_timesteps, reset_num_timesteps=False)
    assert cut.num_timesteps == whole.num_timesteps == 2_500
    assert same_weights(whole, cut)


def test_bc_fits_the_value_to_the_oracle_return(pos: Task) -> None:
    model = build("bc", pos).learn(20_000)
    obs = {key: value.float() for key, value in model.data.observations.items()}
    with th.no_grad():
        values = model.policy.predict_values(obs).flatten()
    errors = (values - 1.0).abs()  # gamma is 0, each decision earns 1
    assert errors.mean() < 0.3
    with th.no_grad():
        untrained = build("bc", pos).policy.predict_values(obs).flatten()
    assert (untrained - 1.0).abs().mean() > 0.8


def test_bc_refuses_smoothing_over_illegal_actions(pos: Task) -> None:
    with pytest.raises(InvalidArgumentError, match="mask_loss=False"):
        build("bc", pos, "label_smoothing:0.1", "mask_loss:true")
    build("bc", pos, "label_smoothing:0.1").learn(300)
    build("bc", pos, "mask_loss:true").learn(300)


def test_bc_needs_a_task(pos: Task) -> None:
    model = build("bc", pos)
    model.set_env(model.env)
    del model.env.venv.task
    with pytest.raises(InvalidArgumentError, match="no `task`"):
        _ = model.data


# -- warm start --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def teacher(pos: Task) -> Any:
    return build("bc", pos).learn(12_000)


@pytest.mark.parametrize("algo", ["ppo", "maskable_ppo", "a2c"])
def test_warm_start_copies_actor_critics(algo: str, pos: Task, teacher: Any) -> None:
    model = build(algo, pos, seed=5)
    warm_start(model, teacher.policy)
    assert same_weights(model, teacher)


@pytest.mark.parametrize("algo", ["maskable_ppo", "masked_dqn"])
def test_warm_start_copies_all_layers_or_none(algo: str, pos: Task, teacher: Any) -> None:
    kwargs = "policy_kwargs.features_extractor_kwargs"
    dropping = build(algo, pos, f"{kwargs}.input_dropout:0.2", f"{kwargs}.dropout:0.2")
    for other in (build(algo, pos), dropping):
        warm_start(other, teacher.policy, learning_rate=0.0)
        trunks = [m for m in other.policy.modules() if isinstance(m, NLPExtractor)]
        for trunk in trunks:
            own, its = trunk.state_dict(), teacher.policy.features_extractor.state_dict()
            assert own.keys() == its.keys()
            assert all(th.equal(own[key], its[key]) for key in own)
    for change in ("layer_norm:true", "hidden:[32, 32]", "hidden:[16]"):
        with pytest.raises(InvalidArgumentError, match="do not fit"):
            warm_start(build(algo, pos, f"{kwargs}.{change}"), teacher.policy)


@pytest.mark.parametrize("algo", ["dqn", "masked_dqn", "qrdqn"])
@pytest.mark.parametrize("start", ["policy", "passes"])
def test_warm_start_regresses_values(algo: str, start: str, pos: Task, teacher: Any) -> None:
    model = build(algo, pos)
    before = accuracy(model, pos, masked=False)
    options: dict[str, Any] = {"batch_size": 16, "learning_rate": 5e-3}
    warm_start(model, teacher.policy if start == "policy" else 6, **options)
    assert accuracy(model, pos, masked=False) > before + 0.2
    assert model.exploration_schedule(1.0) == model.exploration_final_eps
    nets = [getattr(model, name) for name in vars(model) if name in ("q_net", "quantile_net")]
    targets = [getattr(model, name) for name in vars(model) if name.endswith("net_target")]
    for one, two in zip(nets[0].parameters(), targets[0].parameters(), strict=True):
        assert th.equal(one, two)
    model.learn(600)


def test_warm_start_clones_actor_critics(pos: Task) -> None:
    model = build("ppo", pos)
    before = accuracy(model, pos, masked=False)
    warm_start(model, 6, batch_size=64, learning_rate=5e-3)
    assert accuracy(model, pos, masked=False) > before + 0.2


@pytest.mark.parametrize("start", ["policy", "passes"])
def test_warm_start_leaves_illegal_actions_unlikely(start: str, ner: Task) -> None:
    model = build("ppo", ner)
    teacher = build("bc", ner).learn(20_000).policy if start == "policy" else 5
    warm_start(model, teacher, batch_size=64)
    data = collect(ner, gamma=0.0)
    with th.no_grad():
        obs = {key: value.float() for key, value in data.observations.items()}
        probabilities = model.policy.get_distribution(obs).distribution.probs
    illegal = (probabilities * ~data.masks).sum(dim=1)
    assert illegal.mean() < 0.1  # 0.63 where the loss is over legal actions alone


def test_warm_start_targets_by_hand() -> None:
    batch = OracleData(
        {"action_mask": th.ones(2, 3)},
        actions=th.tensor([2, 0]),
        rewards=th.tensor([1.0, 1.0]),
        returns=th.tensor([3.0, 1.0]),
    )
    assert q_targets(batch, th.tensor(1.0), 3).tolist() == [[2, 2, 3], [1, 0, 0]]


def test_warm_start_refusals(pos: Task, ner: Task, teacher: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="number of passes"):
        warm_start(build("ppo", pos), 0)
    with pytest.raises(InvalidArgumentError, match="number of passes"):
        warm_start(build("ppo", pos), True)
    with pytest.raises(InvalidArgumentError, match="cannot be warm started"):
        warm_start(build("recurrent_ppo", pos), teacher.policy)
    with pytest.raises(InvalidArgumentError, match="do not fit"):
        warm_start(build("ppo", ner), teacher.policy)
    with pytest.raises(InvalidArgumentError, match="do not fit"):
        warm_start(build("dqn", ner), teacher.policy)
