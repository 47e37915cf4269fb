"""Minari export: what is loaded again is what the environment plays."""

from __future__ import annotations

import builtins
import warnings
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from nlp_gym import make_task
from nlp_gym.errors import InvalidArgumentError, MissingDependencyError
from nlp_gym_agents.cli.main import main
from nlp_gym_agents.config.train_config import TrainConfig
from nlp_gym_agents.evaluation.minari import Export, export
from nlp_gym_agents.models.trained import load_trained
from nlp_gym_agents.training.train import train

minari = pytest.importorskip("minari")
pytest.importorskip("h5py")
SAMPLE = {"corpus": "sample", "encoder": "hashed"}


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))


def replay(dataset: Any) -> int:
    """Play every episode in the recovered environment; gives the steps played."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package is a checkout, not installed
        env = dataset.recover_environment()
    steps = 0
    for episode in dataset.iterate_episodes():
        obs, _ = env.reset(options={"row": int(episode.infos["row"][0])})
        for t, action in enumerate(episode.actions):
            for key, values in episode.observations.items():
                np.testing.assert_array_equal(values[t], obs[key])
                assert values.dtype == obs[key].dtype
            obs, reward, terminated, truncated, _ = env.step(int(action))
            assert reward == episode.rewards[t]
            assert (terminated, truncated) == (episode.terminations[t], episode.truncations[t])
            steps += 1
        for key, values in episode.observations.items():
            np.testing.assert_array_equal(values[-1], obs[key])
        assert terminated
    return steps


@pytest.mark.parametrize(
    ("env", "policy", "obs_type"),
    [
        ("NER-CoNLL-v0", "oracle", "features"),
        ("ChoiceQA-ARC-v0", "random", "features"),
        ("Summary-SciTLDR-v0", "oracle", "index"),
    ],
)
def test_minari_round_trip(env: str, policy: str, obs_type: str) -> None:
    wanted = Export(env, policy, episodes=70, obs_type=obs_type, env_kwargs=SAMPLE)
    written = export(wanted)
    name = f"nlp_gym/{env.removesuffix('-v0')}/{policy}-v0"
    loaded = minari.load_dataset(name)
    assert loaded.total_episodes == written.total_episodes == 70
    assert replay(loaded) == loaded.total_steps
    rows = [int(e.infos["row"][0]) for e in loaded.iterate_episodes()]
    size = len(make_task(env, **SAMPLE).corpus)  # all samples before any comes again
    assert len(set(rows)) == min(size, 70)
    assert loaded.storage.metadata["algorithm_name"] == policy
    facts = loaded.storage.metadata["nlp_gym"]
    assert facts["bundled_sample"] is True
    assert facts["encoder"]["name"] == "hashed"
    assert "Text of" in loaded.storage.metadata["description"]


@pytest.mark.parametrize("env", ["NER-CoNLL-v0", "MultiLabel-GoEmotions-v0"])
def test_minari_flat_is_one_vector_with_masks_in_the_infos(env: str) -> None:
    wanted = Export(env, "random", episodes=20, flat=True, env_kwargs=SAMPLE)
    loaded = minari.load_dataset(export(wanted).spec.dataset_id)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        recovered = loaded.recover_environment()
    plain = gym.make(env, **SAMPLE)
    keys = sorted(set(plain.observation_space) - {"action_mask"})
    assert isinstance(recovered.observation_space, gym.spaces.Box)
    for episode in loaded.iterate_episodes():
        start = {"row": int(episode.infos["row"][0])}
        obs, info = recovered.reset(options=start)
        parts, _ = plain.reset(options=start)
        for t in range(len(episode.actions) + 1):
            assert episode.observations[t].dtype == obs.dtype == np.float32
            np.testing.assert_array_equal(episode.observations[t], obs)
            vector = np.concatenate([parts[key].ravel() for key in keys])
            np.testing.assert_array_equal(episode.observations[t], vector)
            np.testing.assert_array_equal(episode.infos["action_mask"][t], info["action_mask"])
            if t < len(episode.actions):
                action = int(episode.actions[t])
                assert episode.infos["action_mask"][t][action]
                obs, _, _, _, info = recovered.step(action)
                parts, *_ = plain.step(action)


def test_minari_evaluation_environment_is_the_dev_split() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded = export(Export("POS-EWT-v0", episodes=2, obs_type="index", env_kwargs=SAMPLE))
        splits = [
            loaded.recover_environment(eval_env=dev).unwrapped.task.split for dev in (False, True)
        ]
    assert splits == ["train", "dev"]


def test_minari_data_without_a_dev_split_are_said_to_have_none(tmp_path: Path) -> None:
    path = tmp_path / "mine.conll"
    path.write_text("Ada B-PER\nspoke O\n\n", encoding="utf-8")
    given = {"data": {"train": str(path)}, "encoder": "hashed"}
    with pytest.warns(UserWarning, match=r"eval_env=True\) will give.*no 'dev' split"):
        loaded = export(Export("NER-v0", episodes=1, env_kwargs=given))
    assert loaded.total_steps == 2


def test_minari_arrays_are_compressed_without_losses(tmp_path: Path) -> None:
    wanted = Export("NER-CoNLL-v0", episodes=30, env_kwargs=SAMPLE)
    loaded = export(wanted)
    assert replay(loaded) == loaded.total_steps
    size = sum(episode.observations["context"].nbytes for episode in loaded)
    [path] = (tmp_path / "minari").glob("**/main_data.hdf5")
    assert path.stat().st_size < size
    assert loaded.storage.metadata["dataset_size"] == loaded.storage.get_size()


def test_minari_random_is_seeded(capsys: pytest.CaptureFixture[str]) -> None:
    actions = []
    for i, seed in enumerate((0, 0, 1)):
        wanted = Export(
            "POS-EWT-v0", "random", episodes=5, seed=seed, obs_type="index", env_kwargs=SAMPLE
        )
        found = export(Export(**{**vars(wanted), "dataset_id": f"nlp_gym/toy/random-v{i}"}))
        actions.append([e.actions.tolist() for e in found.iterate_episodes()])
    assert actions[0] == actions[1] != actions[2]


def test_minari_agent_plays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = TrainConfig(env="ChoiceQA-ARC-v0", algo="bc", n_timesteps=64, env_kwargs=SAMPLE)
    run = train(config, run_dir=tmp_path / "run", progress=False)
    main_args = ["export-minari", "--run", str(run), "--episodes", "10", "--split", "dev"]
    with pytest.raises(SystemExit) as ended:
        main(main_args)
    assert ended.value.code == 0
    assert capsys.readouterr().out.splitlines()[-1] == "nlp_gym/ChoiceQA-ARC/bc-v0"
    assert replay(minari.load_dataset("nlp_gym/ChoiceQA-ARC/bc-v0")) >= 10


def test_minari_agent_with_a_memory_plays_as_it_is_scored(tmp_path: Path) -> None:
    hyperparams = {"n_steps": 16, "batch_size": 64, "learning_rate": 0.01}
    config = TrainConfig(
        env="POS-EWT-v0",
        algo="recurrent_ppo",
        n_timesteps=1024,
        n_envs=8,
        env_kwargs=SAMPLE,
        hyperparams=hyperparams,
    )
    run = train(config, run_dir=tmp_path / "run", progress=False)
    agent = load_trained(run)
    task = agent.task("dev")
    outputs = agent.outputs(task)
    for obs_type in ("features", "index"):
        name = f"nlp_gym/{obs_type}/agent-v0"
        wanted = Export(
            run=run, split="dev", episodes=len(outputs), obs_type=obs_type, dataset_id=name
        )
        for episode in export(wanted).iterate_episodes():
            played = [task.labels[action] for action in episode.actions]
            assert played == list(outputs[int(episode.infos["row"][0])])


def test_minari_command_line_takes_the_id(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--episodes", "3", "--obs-type", "index", "--env-kwargs", "corpus:sample"]
    options += ["encoder:hashed"]
    for given in (["ChoiceQA-ARC-v0"], ["--env", "POS-EWT-v0"]):
        with pytest.raises(SystemExit) as ended:
            main(["export-minari", *given, *options])
        assert ended.value.code == 0
        name = given[-1].removesuffix("-v0")
        assert capsys.readouterr().out.splitlines()[-1] == f"nlp_gym/{name}/oracle-v0"
    with pytest.raises(SystemExit) as ended:
        main(["export-minari", "POS-EWT-v0", "--env", "NER-v0"])
    assert ended.value.code == 1
    assert "two environments" in capsys.readouterr().err


def test_minari_refusals() -> None:
    for changes, words in (
        ({"env": "No-v0"}, "No-v0"),
        ({"policy": "expert"}, "oracle, random"),
        ({"obs_type": "tokens"}, "features or index"),
        ({"obs_type": "index", "flat": True}, "flat=True with obs_type='index'"),
        ({"episodes": 0}, "episodes=0"),
        ({"dataset_id": "mine"}, "dataset_id='mine' must have the form"),
        ({"dataset_id": "a b/c-v0"}, "dataset_id='a b/c-v0'"),
    ):
        values: dict[str, Any] = {"env": "POS-EWT-v0", "env_kwargs": SAMPLE, **changes}
        with pytest.raises(InvalidArgumentError, match=words):
            export(Export(**values))
    wanted = Export("POS-EWT-v0", episodes=1, obs_type="index", env_kwargs=SAMPLE)
    export(wanted)
    with pytest.raises(InvalidArgumentError, match=r"already exists.*--dataset-id"):
        export(wanted)


def test_minari_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "minari":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(MissingDependencyError, match=r"pip install 'nlp-gymnasium\[minari\]'"):
        export(Export("POS-EWT-v0"))
