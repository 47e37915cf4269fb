"""The example that training ends with."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from nlp_gym.inert import visible
from nlp_gym_agents.config.train_config import TrainConfig
from nlp_gym_agents.evaluation.example import example_lines, print_example
from nlp_gym_agents.models.trained import load_trained
from nlp_gym_agents.training.train import train

HOSTILE = "\x1b]0;owned\x07", "\u202egnp.exe", "[bold]:smile:[/bold]", "<script>"
"""Words; a file with a NUL is refused where it is read."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tagger whose dev split is hostile and long, but for one sentence."""
    folder = tmp_path_factory.mktemp("example")
    sentences = {
        "train": "\n\n".join(f"Ann{i} B-PER\nsings O" for i in range(20)),
        "dev": "Too O\nshort B-PER\n\n"
        + "\n".join(f"w{i} B-PER" for i in range(300))
        + "\n\nno O\nname O\nin O\nit O\n\n"
        + "\n".join(f"{text} B-PER" for text in HOSTILE)
        + "\nsings O\n",
        "test": "Bob B-PER\nsings O",
    }
    for split, text in sentences.items():
        (folder / f"{split}.conll").write_text(text)
    config = TrainConfig(
        env="NER-v0",
        algo="bc",
        n_timesteps=40,
        data=str(folder),
        env_kwargs={"encoder": "hashed", "window": 0},
        device="cpu",
    )
    return train(config, run_dir=folder / "run", progress=False)


def test_example_is_readable_and_of_the_users_own_dev_split(run: Path) -> None:
    agent = load_trained(run, device="cpu")
    head, gold, said, decided = example_lines(agent, agent.task("dev"))
    assert head.startswith("an example with its gold, data/dev") or "/dev " in head
    assert said == "what the agent decides on it:"
    assert "<script>/B-PER" in gold
    assert "<script>/" in decided
    assert "sings" in gold
    assert max(map(len, (gold, decided))) <= 112


def test_example_of_a_hostile_text_is_inert(run: Path) -> None:
    shown = io.StringIO()
    print_example(run, Console(file=shown, force_terminal=True, width=200), device="cpu")
    text = shown.getvalue()
    assert "[bold]:smile:[/bold]" in text
    for line in text.splitlines():
        assert visible(line) == line


def test_example_of_long_texts_alone_is_cut(run: Path, tmp_path: Path) -> None:
    file = tmp_path / "long.conll"
    file.write_text("\n".join(f"word{i} O" for i in range(2000)) + "\n")
    agent = load_trained(run, device="cpu")
    lines = example_lines(agent, agent.task("dev", data={"dev": str(file)}))
    assert max(map(len, lines[1:])) <= 112
