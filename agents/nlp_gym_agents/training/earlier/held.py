"""What a run holds of the policy that it continues, kept in a file so that it can be resumed.

``earlier.safetensors``  the weights training began with (``weights/NAME``) and, for `ewc`, how much
                         each matters (``fisher/NAME``); its sha256 is in every checkpoint
``fisher.safetensors``   for the stage after this one: how much each weight mattered so far; written
                         at the end of a run with `ewc`, from its own data, which may be gone later
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch as th

from nlp_gym.errors import RunError
from nlp_gym.files import atomic_path, sha256_file
from nlp_gym_agents.config.continual import stage_task
from nlp_gym_agents.models.build import encode, feature_source
from nlp_gym_agents.models.grow import Growth, grown_zeros
from nlp_gym_agents.networks.features.swap_source import swapped_source
from nlp_gym_agents.runs.files.plain_files import read_json
from nlp_gym_agents.runs.files.weights import POLICY, Tensors, read_tensors, save_tensors
from nlp_gym_agents.runs.folder import writing
from nlp_gym_agents.runs.settings import SETTINGS
from nlp_gym_agents.runs.snapshots import locate
from nlp_gym_agents.training.callbacks.kl_penalty import frozen_copy
from nlp_gym_agents.training.earlier.consolidation import (
    Consolidation,
    check_consolidates,
    fisher,
    learned,
)
from nlp_gym_agents.training.earlier.distillation import Distillation, check_distils
from nlp_gym_agents.training.earlier.weights import growth_since
from nlp_gym_agents.training.start.setup import Setup

EARLIER, FISHER = "earlier.safetensors", "fisher.safetensors"
_WEIGHTS, _INFORMATION = "weights/", "fisher/"


def hold_earlier(run: Path, setup: Setup, *, sha256: str | None = None) -> str | None:
    """Put the penalties for leaving the earlier policy into a model.

    Args:
        run: The run folder, which gets the file.
        setup: With a model that was just built; a new run's has the weights of the earlier run.
        sha256: Of the file, by the checkpoint training goes on from; None: it begins.

    Returns:
        The file's sha256; None: nothing is held.

    Raises:
        InvalidArgumentError: The model's decisions cannot be compared one by one.
        RunError: The file is missing or damaged, or the data of the last stage cannot be read and
            its run kept no information.
    """
    config, model = setup.config, setup.model
    if config.ewc:
        check_consolidates(model)
    if config.continue_from is None or not (config.distill or config.ewc):
        return None
    if config.distill:
        check_distils(model, config.distill)
    path = run / EARLIER
    # The earlier run itself may be gone when this one is resumed.
    known = list(setup.train_task.labels)[: config.stages[-1]["n_labels"]]
    growth = growth_since(setup, known)
    if sha256 is None:
        own = model.policy.named_parameters()
        tensors = {_WEIGHTS + name: parameter.detach() for name, parameter in own}
        if config.ewc:
            found = _information(setup, growth)
            tensors |= {_INFORMATION + name: values for name, values in found.items()}
        with writing(run), atomic_path(path) as temporary:
            save_tensors(temporary, tensors)
    elif not path.is_file() or sha256_file(path) != sha256:
        raise RunError(
            f"{path} is missing or damaged: its sha256 is not the one in the checkpoint, and the "
            "run holds the policy in it. Restore it, or train again."
        )
    held = read_tensors(path)
    weights, information = _part(held, _WEIGHTS), _part(held, _INFORMATION)
    _check(path, dict(model.policy.named_parameters()), weights)
    if config.distill:
        before = frozen_copy(model.policy)
        with th.no_grad():
            for name, parameter in before.named_parameters():
                parameter.copy_(weights[name])
        bounds = setup.train_task.corpus_bounds
        new_rows = None if bounds is None else int(bounds[1])
        Distillation(model, before, config.distill, growth, new_rows)
    if config.ewc:
        _check(path, learned(model), information)
        Consolidation(model, config.ewc, weights, information)
    return sha256_file(path)


def _part(tensors: Mapping[str, th.Tensor], prefix: str) -> Tensors:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _check(path: Path, own: Mapping[str, th.Tensor], held: Mapping[str, th.Tensor]) -> None:
    for name in sorted({*own, *held}):
        shapes = [tuple(w[name].shape) if name in w else "absent" for w in (held, own)]
        if shapes[0] != shapes[1]:
            raise RunError(
                f"{path} does not fit: {name} is {shapes[0]} there, and {shapes[1]} in the policy. "
                "Resume with the settings of the run's config.yml."
            )


def _information(setup: Setup, growth: Growth) -> Tensors:
    """How much the weights mattered before: as the earlier run kept it, or estimated now."""
    config, model = setup.config, setup.model
    kept = Path(config.continue_from or "") / FISHER
    if kept.is_file():
        return grown_zeros(read_tensors(kept), learned(model), growth)
    kwargs = {**config.task_kwargs, "encoder": setup.train_task.encoder, "encoder_kwargs": None}
    try:
        task = stage_task(config.env, "train", kwargs, config.stages[-1])
    except RunError as error:
        raise RunError(
            f"ewc: {kept} is missing, which a run trained with --ewc keeps, and it cannot be made "
            f"now. {error}"
        ) from error
    trainable = config.encoder_mode != "frozen"
    if not trainable:
        encode(task)
    source = feature_source(task, setup.obs_type, model.device, trainable=trainable)
    known = th.zeros(growth.actions[1], dtype=th.bool)
    known[growth.moved(growth.actions[0])] = True
    if source is None:
        return fisher(model, task, obs_type=setup.obs_type, known=known, seed=config.seed)
    with swapped_source(model.policy, source):
        return fisher(model, task, obs_type=setup.obs_type, known=known, seed=config.seed)


def keep_information(run: Path, setup: Setup) -> None:
    """At the end of a run with `ewc`: keep how much the weights of ``best/`` matter.

    Args:
        run: Its folder.
        setup: Its model; it gets the weights of ``best/``.
    """
    config, model, path = setup.config, setup.model, run / FISHER
    if not config.ewc or path.is_file():
        return
    folder = locate(run / "best")
    aliases = read_json(folder / SETTINGS)["aliases"]
    model.policy.load_state_dict(read_tensors(folder / POLICY, aliases))
    bounds = setup.train_task.corpus_bounds
    rows = None if bounds is None else int(bounds[1])
    own = fisher(model, setup.train_task, obs_type=setup.obs_type, rows=rows, seed=config.seed)
    if config.continue_from is not None:
        before = _part(read_tensors(run / EARLIER), _INFORMATION)
        own = {name: values + before[name].to(values) for name, values in own.items()}
    with writing(run, resumable=True), atomic_path(path) as temporary:
        save_tensors(temporary, own)
