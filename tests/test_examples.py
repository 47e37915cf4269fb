"""Examples and benchmarks run as they are documented, shortened."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.filterwarnings("ignore:.*bundled:UserWarning")

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"


def load(path: str) -> ModuleType:
    """Import a script by its path from the repository root; folders of scripts are no packages."""
    name = f"script_{Path(path).stem}"
    spec = importlib.util.spec_from_file_location(name, ROOT / path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def _one_thread() -> Iterator[None]:
    """Nets this small are slower on several threads, by far where the cores are busy."""
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("_one_thread")
@pytest.mark.parametrize("name", ["cleanrl_ppo", "cleanrl_dqn"])
def test_example_learns_and_ends_with_its_result(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    example = load(f"examples/{name}.py")
    options = ["--env", "POS-EWT-v0", "--encoder", "hashed", "--num-envs", "64"]
    before = example.main([*options, "--steps", "64"])[2]
    steps, seconds, dev = example.main([*options, "--steps", "16000"])
    assert dev > before + 0.15  # accuracy; chance is one in 17
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (result["steps"], result["dev"]) == (steps, round(dev, 4))
    assert result["seconds"] == pytest.approx(seconds, abs=0.01)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_example_is_short_and_shares_no_code_with_agents(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert len(source.splitlines()) <= 120
    assert "import nlp_gym_agents" not in source
    assert "from nlp_gym_agents" not in source
    assert "stable_baselines3" not in source


@pytest.mark.parametrize(
    ("path", "most"),
    [("cleanrl_ppo", 10), ("cleanrl_dqn", 10), ("tianshou_ppo", 10), ("torchrl_ppo", 10)],
)
def test_example_marks_the_few_lines_that_the_library_lacks(path: str, most: int) -> None:
    lines = (EXAMPLES / f"{path}.py").read_text(encoding="utf-8").splitlines()
    marked = [line for line in lines if line.endswith("# nlp_gym")]
    assert 0 < len(marked) <= most
    assert any("nlp_gym.make_vec_env(" in line or "gym.make(" in line for line in marked)
    assert any("mask" in line for line in marked)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="asks the system what a process has used")
def test_outside_benchmark_prints_ours_and_the_example(capsys: pytest.CaptureFixture[str]) -> None:
    benchmark = load("benchmarks/outside.py")
    options = ["--env", "POS-EWT-v0", "--encoder", "hashed", "--steps", "4000"]
    benchmark.main([*options, "--only", "cleanrl_dqn"])
    rows = [line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines()[2:]]
    assert [row[0].strip() for row in rows] == ["nlp-gym masked_dqn", "CleanRL style DQN"]
    for _, steps, dev, rate, seconds, memory in rows:
        assert int(steps.replace(",", "")) in range(3900, 4200)
        assert 0.05 < float(dev) < 1
        assert float(rate.replace(",", "")) > 10
        assert float(seconds) > 0
        assert 50 < float(memory.replace(",", "")) < 5000


def test_stepping_benchmark_prints_its_table(capsys: pytest.CaptureFixture[str]) -> None:
    benchmark = load("benchmarks/speed/stepping.py")
    options = ["--encoder", "hashed", "--repeats", "2", "--seconds", "0.02", "--num-envs", "8"]
    cases = benchmark.main(options)
    assert all(len(case.rates) == 2 and min(case.rates) > 0 for case in cases)
    table = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert len(table) == len(cases) + 2


def test_memory_benchmark_replay_of_a_million_fits_in_200_mb() -> None:
    benchmark = load("benchmarks/memory/resident.py")
    options = ["--encoder", "hashed", "--steps", "20000", "--every", "10000", "--num-envs", "50"]
    sizes, replay = benchmark.main(options)
    assert len(sizes) == 3
    assert replay < 200


@pytest.mark.slow
def test_memory_stays_flat_over_millions_of_steps() -> None:
    benchmark = load("benchmarks/memory/resident.py")
    options = ["--encoder", "hashed", "--steps", "3000000", "--every", "1000000"]
    sizes, _ = benchmark.main(options)
    assert sizes[-1] - sizes[1] < 5  # MiB


@pytest.mark.slow
def test_index_stepping_is_at_least_a_third_of_cartpole() -> None:
    """The target is half (README); the slack is for machines whose caches are shared."""
    benchmark = load("benchmarks/speed/stepping.py")
    options = ["--encoder", "hashed", "--only", "index"]
    cases = benchmark.main([*options, "--repeats", "5", "--clock", "cpu"])
    rates = {case.name: sorted(case.rates)[len(case.rates) // 2] for case in cases}
    batched = next(rate for name, rate in rates.items() if name.endswith("x 256, index"))
    assert batched > rates["CartPole-v1 x 256"] / 3
