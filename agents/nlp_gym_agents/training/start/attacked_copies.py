"""`--adversarial attack:RUN`: copies of training texts, changed by an attack on a trained agent.

The attack is made once, before training, and its texts are kept in the run folder: a run that is
resumed reads them again, whatever became of the agent that was attacked.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nlp_gym.data.corpora.copies import write_copies
from nlp_gym.data.text.changes import checked_kinds
from nlp_gym.data.text.perturb import COPIES, copies_file
from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym.progress import tell
from nlp_gym.tasks.core.make import task_class
from nlp_gym_agents.attack.run import drawn_samples, finder_of
from nlp_gym_agents.attack.search import Search, SearchLimits
from nlp_gym_agents.attack.victim import RunVictim
from nlp_gym_agents.config.train_config import TrainConfig
from nlp_gym_agents.runs.folder import writing

FILE = "attacked.json"
"""In a run folder: the changed samples."""
BUDGET = 40
"""Queries for a text; less than an evaluation's, as thousands of texts are attacked."""
COPIES_OF_A_TEXT = 8
"""An attack on the new agent tries other changes than the one that deceived the old one, so that
the worst alone defend against little."""


def with_attacked_copies(
    config: TrainConfig, run: Path, *, progress: bool, trust: Sequence[str] | str = ()
) -> TrainConfig:
    """Attack training texts and write their changed copies into a new run folder.

    Args:
        config: Merged.
        run: The run folder.
        progress: Say on stderr what was found.
        trust: As for `nlp_gym_agents.models.trained.load_trained`.

    Returns:
        The settings with the copies beside the training texts; the same where nothing is attacked.

    Raises:
        RunError: The agent cannot be loaded.
        InvalidArgumentError: It was trained on texts of another family or with other labels.
    """
    name = config.attacked_run
    if name is None:
        return config
    victim = RunVictim(name, device=config.device, trust=trust)
    family = task_class(config.env).sample_family()
    if victim.family != family:
        raise InvalidArgumentError(
            f"adversarial={shown(config.adversarial)}: the agent decides on texts of the family "
            f"{shown(victim.family)}, and {config.env} has those of {shown(family)}."
        )
    data_dir = config.data_dir
    samples = drawn_samples(
        victim, "train", config.adversarial_texts, seed=config.seed, data_dir=data_dir
    )
    kinds = checked_kinds(None, family)
    finder = finder_of(victim, kinds, samples, seed=config.seed, data_dir=data_dir)
    limits = SearchLimits(BUDGET)
    found = Search(victim.judge, finder, limits, keep=COPIES_OF_A_TEXT).attack(samples)
    changed = [copy for one in found for copy in one.tries]
    with writing(run):
        write_copies(run / FILE, changed, family=family)
    if progress:
        deceived = sum(one.succeeded for one in found)
        tell(
            f"attack on {name}: {deceived:,} of {sum(one.was_right for one in found):,} right "
            f"decisions on training texts became wrong; {len(changed):,} changed copies"
        )
    return _reading(config, [*_given(config), _own(run)])


def with_own_copies(config: TrainConfig, run: Path) -> TrainConfig:
    """The settings of a run that was moved: its copies are those in its folder."""
    if config.attacked_run is None or not (run / FILE).is_file():
        return config
    given = _given(config)
    # Its own came last; files of the same name before them are those of other runs.
    named = [k for k, spec in enumerate(given) if Path(copies_file(spec)).name == FILE]
    return _reading(config, [*(s for k, s in enumerate(given) if k not in named[-1:]), _own(run)])


def _given(config: TrainConfig) -> list[str]:
    given = config.env_kwargs.get("augment") or []
    return [given] if isinstance(given, str) else list(given)


def _own(run: Path) -> str:
    return f"{COPIES}{(run / FILE).resolve()}"


def _reading(config: TrainConfig, augment: list[str]) -> TrainConfig:
    return config.with_changes(env_kwargs={**config.env_kwargs, "augment": augment})
