"""Pointer policies: actions are candidates, on a toy task that only reading them can solve."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest
import torch as th

from nlp_gym import make_task
from nlp_gym.errors import InvalidArgumentError
from nlp_gym.metrics.base import Score
from nlp_gym.render import Frame
from nlp_gym.tasks.core.kinds import UnitTask
from nlp_gym.tasks.core.rollout import rollout
from nlp_gym.tasks.core.tables import Extra, Tables, ragged
from nlp_gym.tasks.core.task import State
from nlp_gym.types import Corpus, Sample
from nlp_gym_agents.algorithms.pretraining import warm_start
from nlp_gym_agents.algorithms.registry import resolve
from nlp_gym_agents.config.train_config import TrainConfig
from nlp_gym_agents.models.acting import make_act
from nlp_gym_agents.models.build import build_model
from nlp_gym_agents.models.trained import load_trained
from nlp_gym_agents.networks.features.extractor import NLPExtractor
from nlp_gym_agents.networks.features.pointer import (
    PADDING,
    Packed,
    PointerScorer,
    real,
    similarities,
)
from nlp_gym_agents.networks.features.source import FeatureSource
from nlp_gym_agents.networks.features.swap_source import is_pointer, swapped_source
from nlp_gym_agents.training.train import resume, train

ID = "PointerToy-v0"
WORDS = [f"{a}{b}" for a in "bdfgklmnprst" for b in ("ado", "elu", "iri", "ona", "umi")]
SIZES = {"train": 1500, "dev": 60, "test": 60}
pytestmark = [pytest.mark.usefixtures("one_thread", "_toy"), pytest.mark.slow]


@dataclass
class PickState(State):
    chosen: Any
    last: Any


class PickTask(UnitTask):
    """Pick the candidates that are the sample's words, each once, then STOP."""

    family: ClassVar[str] = "choice"
    metric_name = "share"

    def __init__(self, *, room: int = 5, pointed: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.room, self.n = room, len(self.corpus)
        self._wanted = np.zeros((self.n, room), bool)
        for i, sample in enumerate(self.corpus.samples):
            for j, word in enumerate(sample.extra["words"]):
                self._wanted[i, j] = word in sample.words
        self.extras = {"chosen": Extra(room, 1), "last": Extra(1, room + 1)}

    def load(self, split: str) -> Corpus:
        rng = np.random.default_rng(sorted(SIZES).index(split))
        samples = []
        for i in range(SIZES[split]):
            drawn = [WORDS[k] for k in rng.permutation(len(WORDS))[: rng.integers(2, 6)]]
            picked = tuple(drawn[k] for k in sorted(rng.permutation(len(drawn))[:2]))
            samples.append(Sample(picked, None, str(i), {"words": tuple(drawn)}, gold=picked))
        return Corpus("toy", split, samples, ())

    @property
    def lengths(self) -> Any:
        return np.full(self.n, self.room + 1)

    @property
    def n_actions(self) -> int:
        return self.room + 1

    @cached_property
    def tables(self) -> Tables:
        add = self._texts.add
        samples = self.corpus.samples

        def unit(word: str) -> int:  # a text, as units are standardised for texts
            return add([word + letter for letter in "abcdefgh"])

        shown = ragged([[unit(w) for w in s.extra["words"]] for s in samples], self.room)
        mine = ragged([[unit(w) for w in s.words] for s in samples], 2)
        blank = np.full((self.n, 0), -1)
        return Tables.build(
            len(self._texts.texts),
            offsets=np.arange(self.n),
            context=blank,
            row_units=mine,
            candidates=shown[:, :, None],
        )

    def initial(self, rows: Any) -> PickState:
        b = len(rows)
        chosen = np.zeros((b, self.room), np.int32)
        return PickState(**self.state_fields(rows), chosen=chosen, last=np.zeros((b, 1), np.int32))

    def extra(self, state: PickState) -> Any:
        return {"chosen": state.chosen.copy(), "last": state.last.copy()}

    def mask(self, state: PickState) -> Any:
        there = self.tables.candidates[state.row, :, 0] < len(self._texts.texts)
        stop = np.ones((len(state.row), 1), bool)
        return np.concatenate([there & (state.chosen == 0), stop], axis=1)

    def oracle(self, state: PickState) -> Any:
        left = self._wanted[state.row] & (state.chosen == 0)
        return np.where(left.any(axis=1), left.argmax(axis=1), self.room)

    def play(self, state: PickState, actions: Any) -> Any:
        right = (actions == self.oracle(state)).astype(float)
        pick = actions < self.room
        state.chosen[np.flatnonzero(pick), actions[pick]] = 1
        state.last[:, 0] = actions + 1
        return right, 0.0, ~pick

    def potential(self, state: PickState) -> Any:
        return (state.chosen == self._wanted[state.row]).all(axis=1).astype(float)

    def outputs(self, state: PickState) -> list[Any]:
        return [tuple(np.flatnonzero(row).tolist()) for row in state.chosen]

    def corpus_score(
        self, rows: Sequence[int], outputs: Sequence[Any], *, bootstrap: int, report: bool
    ) -> Score:
        gold = [tuple(np.flatnonzero(self._wanted[i]).tolist()) for i in rows]
        share = np.mean([tuple(a) == b for a, b in zip(outputs, gold, strict=True)])
        return Score("share", float(share), None, len(gold), "toy", {}, "toy")

    def frame(self, state: PickState, i: int) -> Frame:
        raise NotImplementedError

    def record(self, row: int, output: Any) -> dict[str, Any]:
        return {"picked": [self._sample(row).extra["words"][k] for k in output]}


@pytest.fixture(scope="module")
def _toy() -> Any:
    shells = {
        "entry_point": "nlp_gym.envs.single:TaskEnv",
        "vector_entry_point": "nlp_gym.envs.vector:TaskVectorEnv",
    }
    kwargs = {"task": f"{__name__}:PickTask", "dataset": "toy", "encoder": "hashed"}
    kwargs["encoder_kwargs"] = {"dim": 48}
    gym.register(ID, kwargs=kwargs, **shells)
    yield
    del gym.registry[ID]


@pytest.fixture(scope="module")
def task(_toy: Any) -> Any:
    return make_task(ID)


SMALL: dict[str, dict[str, Any]] = {
    "ppo": {"n_steps": 8, "batch_size": 64},
    "a2c": {"n_steps": 8},
    "maskable_ppo": {"n_steps": 8, "batch_size": 64},
    "dqn": {"buffer_size": 5000, "learning_starts": 100, "batch_size": 64},
    "masked_dqn": {"buffer_size": 5000, "learning_starts": 100, "batch_size": 64},
    "bc": {"batch_size": 64, "learning_rate": 2e-3},
}


def model_of(algo: str, task: Any, obs_type: str = "index", **more: Any) -> Any:
    extractor = {"hidden": [16], "pointer_dim": 8, **more}
    kwargs = {"features_extractor_kwargs": extractor}
    params = {"policy": "MultiInputPolicy", "policy_kwargs": kwargs, **SMALL[algo]}
    return build_model(resolve(algo), task, params, n_envs=8, obs_type=obs_type, device="cpu")


def tensors(obs: Any) -> dict[str, th.Tensor]:
    return {key: th.as_tensor(value).float() for key, value in obs.items()}


def walked(task: Any, n: int = 12) -> PickState:
    """A state in which candidates are chosen."""
    state: PickState = task.initial(np.arange(n))
    task.transition(state, task.oracle(state))
    return state


def test_pointer_source_gathers_context_and_candidates(task: Any) -> None:
    source, state = FeatureSource(task, "cpu"), walked(task)
    obs, seen = task.observe(state, "index"), task.observe(state, "features")
    row, position = th.tensor(obs["row"]), th.tensor(obs["position"])
    assert np.array_equal(source.gather(row, position).numpy(), seen["context"])
    ids = source.candidates(row, position)
    assert ids.shape == (12, 5, 1)
    assert ids.dtype == th.int32
    flat = ids.flatten()
    vectors, rows = source.units(flat)
    spread = vectors if rows is None else vectors[rows]
    assert len(vectors) < len(flat)  # padding, at least, repeats
    assert np.array_equal(spread.view(12, 5, -1).numpy(), seen["candidates"])


def test_pointer_source_by_slot() -> None:
    from types import SimpleNamespace

    from nlp_gym.types import Encoded

    features = np.arange(8, dtype=np.float16).reshape(4, 2)
    tables = Tables.build(
        3,
        offsets=[0, 0],
        context=[[0], [1]],
        candidates=[[[0, 1], [-1, -1]], [[2, 2], [1, 0]]],
        by="slot",
    )
    encoded = Encoded(features, np.zeros(1))
    none = {"masks": None, "slot_flags": {}, "source_pieces": lambda most: None}
    source = FeatureSource(SimpleNamespace(encoded=encoded, tables=tables, **none))
    got = source.candidates(th.tensor([[1], [0]]), th.tensor([[0], [1]]))
    assert got.tolist() == [[[0, 1], [3, 3]], [[2, 2], [1, 0]]]
    many, rows = source.units(th.tensor([2, 0, 2, 2, 2]))
    assert rows is not None
    assert many.tolist() == [[0, 1], [4, 5]]
    assert rows.tolist() == [1, 0, 1, 1, 1]
    few, rows = source.units(th.tensor([2, 0, 1]))
    assert rows is None
    assert few.tolist() == [[4, 5], [0, 1], [2, 3]]


def test_pointer_index_scores_what_features_carry(task: Any) -> None:
    index = NLPExtractor(task.observation_space("index"), FeatureSource(task, "cpu"), hidden=[8])
    given = NLPExtractor(task.observation_space("features"), hidden=[8])
    assert index.keys.flags == ["chosen"]
    assert index.features_dim == given.features_dim == 8 + 6
    given.load_state_dict(index.state_dict())
    state = walked(task)
    one, two = (
        extractor(tensors(task.observe(state, kind)))
        for extractor, kind in ((index, "index"), (given, "features"))
    )
    assert th.allclose(one, two, atol=1e-5)
    scores = one[:, 8:].detach().numpy()
    there = task.tables.candidates[:12, :, 0] < len(task.units)
    assert (scores[:, :5] == PADDING).tolist() == (~there).tolist()
    assert np.abs(scores[:, :5][there]).max() < 5
    assert real(one[:, 8:]).sum() == there.sum() + 12


def test_pointer_scores_do_not_depend_on_the_batch_or_the_order(task: Any) -> None:
    extractor = NLPExtractor(task.observation_space("index"), FeatureSource(task, "cpu"))
    assert extractor.pointer is not None
    th.nn.init.normal_(extractor.pointer.score.weight)
    obs = tensors(task.observe(walked(task), "index"))
    together = extractor(obs)
    alone = th.cat([extractor({k: v[i : i + 1] for k, v in obs.items()}) for i in range(12)])
    assert th.allclose(together, alone, rtol=1e-4, atol=1e-3)
    flipped = {**obs, "chosen": 1 - obs["chosen"]}
    changed = (extractor(flipped) != together).any(dim=0)
    assert not changed[:256].any()  # the trunk does not see the marks
    assert changed[256:].tolist() == [*real(together[:, 256:-1]).any(dim=0).tolist(), False]


def test_pointer_shared_units_score_as_copies_do() -> None:
    th.manual_seed(0)
    scorer = PointerScorer(6, 2, flags=1, hidden=4, context=12, fixed=1, width=8)
    th.nn.init.normal_(scorer.score.weight)
    owner = th.arange(40).repeat_interleave(th.tensor([1, 30] * 20))  # few and many
    place = th.cat([th.arange(n) for n in [1, 30] * 20])
    tables = [th.randn(3, 6), th.randn(30, 6)]
    rows = [th.randint(len(table), owner.shape) for table in tables]
    h, context, flags = th.randn(40, 4), th.randn(40, 12), th.randint(2, (len(owner), 1)).float()
    grads, results = [], []
    for parts in (
        list(zip(tables, rows, strict=True)),
        [(table[r], None) for table, r in zip(tables, rows, strict=True)],
        [(tables[0], rows[0]), (tables[1][rows[1]], None)],
    ):
        scorer.zero_grad()
        scores = scorer(h, context, Packed(owner, place, parts, flags, 30))
        scores[real(scores)].sum().backward()
        grads.append(scorer.keys[0].weight.grad.clone())
        results.append(scores.detach())
    for i in (1, 2):
        assert th.allclose(results[0], results[i], atol=1e-4)
        assert th.allclose(grads[0], grads[i], rtol=1e-3, atol=1e-3)
    likeness = similarities(context, Packed(owner, place, [(tables[1], rows[1])], flags, 30))
    own, theirs = tables[1][rows[1]][:, None], context.view(40, 2, 6)[owner]
    assert th.allclose(likeness, th.cosine_similarity(own, theirs, dim=2), atol=1e-5)


def test_pointer_empty_batch_of_candidates(task: Any) -> None:
    extractor = NLPExtractor(task.observation_space("features"), hidden=[4])
    obs = tensors(task.observe(walked(task, 2), "features"))
    obs["candidates"] = th.zeros_like(obs["candidates"])
    scores = extractor(obs)[:, 4:]
    assert (scores[:, :5] == PADDING).all()
    assert th.isfinite(scores).all()


def test_pointer_dueling_values_are_centred_over_the_actions_that_are_there(task: Any) -> None:
    network = model_of("masked_dqn", task).policy.q_net
    th.manual_seed(0)
    for parameter in (
        network.features_extractor.pointer.score.weight,
        *network.value_net.parameters(),
    ):
        th.nn.init.normal_(parameter)
    obs = tensors(task.observe(walked(task), "index"))
    features = network.extract_features(obs, network.features_extractor)
    values, advantages = network(obs), network.q_net(features)
    there = real(advantages)
    assert not there.all()
    means = th.stack([row[mask].mean() for row, mask in zip(values, there, strict=True)])
    state_values = network.value_net(features).flatten()
    assert state_values.std() > 0.1
    assert th.allclose(means, state_values, atol=1e-4)
    differences = (values - advantages).masked_fill(~there, th.nan)  # one number per state
    spread = th.nan_to_num(differences - differences[:, -1:])
    assert spread.abs().max() < 1e-4
    assert (values[~there] < PADDING / 2).all()


@pytest.mark.parametrize("obs_type", ["index", "features"])
def test_pointer_given_masks_scores_legal_candidates_alone(
    obs_type: str, task: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy, scored = model_of("maskable_ppo", task, obs_type).policy, []
    scorer = policy.features_extractor.pointer
    th.nn.init.normal_(scorer.score.weight)
    scorer.register_forward_hook(lambda *call: scored.append(len(call[1][2].owner)))
    state = walked(task)
    obs, mask = tensors(task.observe(state, obs_type)), th.as_tensor(task.mask(state))
    there = int((task.tables.candidates[:12] < len(task.units)).sum())
    legal = int(mask[:, :5].sum())
    assert legal < there

    def results() -> list[th.Tensor]:
        policy.zero_grad()
        values, logs, entropy = policy.evaluate_actions(obs, mask.float().argmax(dim=1), mask)
        (logs.sum() + entropy.sum() + values.sum()).backward()
        grads = [p.grad.clone() for p in policy.parameters() if p.grad is not None]
        return [values, logs, entropy, *grads]

    policy(obs, action_masks=mask)
    policy.get_distribution(obs, mask)
    policy.get_distribution(obs)  # without masks every candidate is seen
    assert scored == [legal, legal, there]
    few = results()
    monkeypatch.setattr(
        "nlp_gym_agents.networks.policies.pointer.scoring_legal", lambda *_: nullcontext()
    )
    every = results()
    assert scored[3:] == [legal, there]
    assert len(few) > 10
    for one, two in zip(few, every, strict=True):
        assert th.allclose(one, two, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("algo", list(SMALL))
@pytest.mark.parametrize("obs_type", ["index", "features"])
def test_pointer_policies_act_and_learn(algo: str, obs_type: str, task: Any) -> None:
    model = model_of(algo, task, obs_type)
    assert is_pointer(model.policy)
    names = [name for name, _ in model.policy.named_parameters()]
    assert not any("action_net" in name for name in names)
    obs, mask = task.observe(walked(task), obs_type), task.mask(walked(task))
    fast = make_act(model, masked=algo == "masked_dqn")(obs, mask)
    assert np.array_equal(fast, model.predict(obs, deterministic=True)[0])
    masked = make_act(model, masked=True)(obs, mask)
    assert mask[np.arange(12), masked].all()
    before = [p.detach().clone() for p in model.policy.parameters()]
    model.learn(256)
    assert any(not th.equal(a, b) for a, b in zip(before, model.policy.parameters(), strict=True))
    assert all(th.isfinite(p).all() for p in model.policy.parameters())


def test_pointer_cloning_solves_the_toy_on_unseen_texts(task: Any) -> None:
    model = model_of("bc", task, hidden=[32], pointer_dim=32)
    model.learn(40_000, log_interval=None)
    dev = make_task(ID, "dev", room=7)  # more room than the policy was built with
    with swapped_source(model.policy, FeatureSource(dev, "cpu")):
        score = dev.score(rollout(dev, make_act(model, masked=True)))
    assert score.value > 0.6  # random: .02


@pytest.mark.parametrize("algo", ["masked_dqn", "maskable_ppo", "ppo", "a2c", "dqn"])
def test_pointer_warm_start(algo: str, task: Any) -> None:
    teacher = model_of("bc", task)
    teacher.learn(20_000, log_interval=None)
    model = model_of(algo, task)
    warm_start(model, teacher.policy)
    state = walked(task, 100)
    obs, mask = task.observe(state, "index"), task.mask(state)
    right = task.oracle(state)
    taught = make_act(model, masked=True)(obs, mask)
    untaught = make_act(model_of(algo, task), masked=True)(obs, mask)
    assert (taught == right).mean() > (untaught == right).mean() + 0.15


def test_pointer_label_smoothing_leaves_padding_alone(task: Any) -> None:
    from nlp_gym_agents.algorithms.imitation.bc import cloning_loss
    from nlp_gym_agents.algorithms.imitation.demonstrations import collect

    model = model_of("bc", task)
    batch = collect(task, gamma=0.0).take(th.arange(50), th.device("cpu"))
    plain, _, _ = cloning_loss(model.policy, batch)
    smooth, _, _ = cloning_loss(model.policy, batch, label_smoothing=0.1)
    assert (plain - smooth).abs().item() < 1  # over padding it would be hundreds


@pytest.mark.parametrize("algo", ["qrdqn", "recurrent_ppo"])
def test_pointer_unsupported_algorithms_say_what_works(algo: str, task: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"a2c, bc, dqn, maskable_ppo, masked_dqn, ppo"):
        build_model(resolve(algo), task, {"policy": "MultiInputPolicy"}, device="cpu")


def test_pointer_options_are_checked(task: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="pointer_dim=0"):
        model_of("bc", task, pointer_dim=0)
    params = {"policy": "MultiInputPolicy", "policy_kwargs": {"net_arch": [8]}}
    with pytest.raises(InvalidArgumentError, match="net_arch"):
        build_model(resolve("bc"), task, params, device="cpu")


@pytest.mark.parametrize("algo", ["masked_dqn", "maskable_ppo"])
def test_pointer_train_save_load_resume(algo: str, tmp_path: Path) -> None:
    config = TrainConfig(
        env=ID,
        algo=algo,
        n_timesteps=512,
        n_envs=8,
        hyperparams={
            **SMALL[algo],
            "policy_kwargs": {"features_extractor_kwargs": {"hidden": [16], "pointer_dim": 8}},
        },
        warm_start="bc:2",
        eval_freq=256,
    )
    run = train(config, run_dir=tmp_path / "run", progress=False)
    agent = load_trained(run, device="cpu")
    dev = agent.task("dev")
    value = dev.score(agent.outputs(dev)).value
    assert value == pytest.approx(agent.settings["value"])
    again = resume(run, n_timesteps=1024, progress=False)
    assert load_trained(again, checkpoint="last").settings["timesteps"] == 1024
