"""d3rlpy trains offline on Minari datasets of flat vectors, which are exported here."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("d3rlpy")
pytest.importorskip("minari")

import minari

from examples import d3rlpy_cql
from nlp_gym_agents.evaluation.minari import Export, export

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("one_thread")]
GIVEN = {"encoder": "hashed", "corpus": "sample"}


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))


def test_d3rlpy_learns_from_experts_and_from_random_play(
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = [
        export(Export("POS-EWT-v0", policy, episodes=100, flat=True, env_kwargs=GIVEN))
        for policy in ("oracle", "random")
    ]
    options = [word for data in names for word in ("--dataset", data.spec.dataset_id)]
    updates, _, dev = d3rlpy_cql.main([*options, "--steps", "150", "--batch", "128"])
    assert updates == 150
    assert dev > 0.25  # accuracy; chance is one in 17
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said["dev"] == round(dev, 4)


def test_d3rlpy_sees_the_episodes_that_minari_holds() -> None:
    written = export(Export("NER-CoNLL-v0", "random", episodes=5, flat=True, env_kwargs=GIVEN))
    buffer = d3rlpy_cql.load([written.spec.dataset_id], 9)
    loaded = list(minari.load_dataset(written.spec.dataset_id).iterate_episodes())
    assert len(buffer.episodes) == len(loaded) == 5
    for found, episode in zip(buffer.episodes, loaded, strict=True):
        np.testing.assert_array_equal(found.observations, episode.observations[:-1])
        np.testing.assert_array_equal(found.actions[:, 0], episode.actions)
        np.testing.assert_array_equal(found.rewards[:, 0], episode.rewards.astype(np.float32))
        assert found.terminated
        legal = episode.infos["action_mask"][:-1]
        assert legal[np.arange(len(legal)), episode.actions].all()
