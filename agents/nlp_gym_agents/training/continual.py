"""Go on with a trained agent on new data, whose labels may be new.

Data comes continually, and its distribution moves. `continue_run` begins a new run with the best
weights of an earlier one (the optimizer is fresh). What it forgets of the earlier stages can be
held by samples of them (`replay`), by the earlier policy where their data is gone (`distill`) or by
the weights that mattered most there (`ewc`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nlp_gym_agents.config.train_config import TrainConfig
from nlp_gym_agents.training.train import train


def continue_run(
    run: str | Path,
    data: str | Path | Mapping[str, str | Path],
    *,
    replay: float = 0.0,
    distill: float = 0.0,
    ewc: float = 0.0,
    n_timesteps: int | None = None,
    run_dir: str | Path | None = None,
    trust: Sequence[str] | str = (),
    settings: Mapping[str, Any] | None = None,
    **options: Any,
) -> Path:
    """Train a new run that begins with the best weights of `run`, on new data.

    Args:
        run: Folder of a run of any family and algorithm.
        data: A file or a folder of splits, one file a split, an id (``"NER-WNUT-v0"``) or the
            catalogue name of a corpus. Labels that the run does not have are added to its own.
        replay: Share of what is learned from that comes from the data of the earlier stages.
        distill: Coefficient of the divergence from the policy of `run` on the new texts.
        ewc: Coefficient of elastic weight consolidation.
        n_timesteps: Decisions to train on; None: as for a new run on that data.
        run_dir: Exactly where; None counts up as `training.train.train` does.
        trust: Modules that the settings of `run` may have imported.
        settings: Further fields of `TrainConfig`, such as ``{"seed": 1, "eval_freq": 500}``.
        **options: Further arguments of `training.train.train`, such as `progress`.

    Returns:
        The new run folder.

    Raises:
        NLPGymError: See `config.continual.continued` and `training.train.train`.
    """
    files = {k: str(v) for k, v in data.items()} if isinstance(data, Mapping) else str(data)
    fields: dict[str, Any] = {**(settings or {}), "continue_from": str(run), "data": files}
    fields |= {"replay": replay, "distill": distill, "ewc": ewc}
    if n_timesteps is not None:
        fields["n_timesteps"] = n_timesteps
    return train(TrainConfig(**fields), run_dir=run_dir, trust=trust, **options)
