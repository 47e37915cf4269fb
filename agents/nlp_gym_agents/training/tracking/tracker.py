"""``--track``: a training run in Weights & Biases. Nothing of it can end, or change, the training.

Without an API key, or without a network, the run is written to the run folder alone, and
``wandb sync`` uploads it later. The id of the run is kept in the run folder (``tracking.json``), so
that a run that is resumed goes on in Weights & Biases too.
"""

from __future__ import annotations

import json
import os
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from nlp_gym.errors import InvalidArgumentError, MissingDependencyError, shown
from nlp_gym.files import write_json
from nlp_gym.inert import json_escaped, one_line
from nlp_gym_agents.runs.files import schema
from nlp_gym_agents.runs.files.plain_files import read_json
from nlp_gym_agents.runs.folder import TRACKING

if TYPE_CHECKING:
    from nlp_gym_agents.explain.trace import Trace

PROJECT = "nlp-gym"
_PATIENCE = 20  # seconds that Weights & Biases has to answer at the beginning
_LONGEST = 128  # characters of a project, an entity, a group or a tag


@dataclass(frozen=True)
class Tracking:
    """Where a run belongs in Weights & Biases.

    Attributes:
        project: Name of the project.
        entity: User or team; None: the default one of the API key.
        group: Group of runs.
        tags: Tags.
    """

    project: str = PROJECT
    entity: str | None = None
    group: str | None = None
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the names where they are given, and not in the middle of a run."""
        for name in (self.project, self.entity, self.group, *self.tags):
            if name is not None and not 0 < len(name) <= _LONGEST:
                raise InvalidArgumentError(
                    f"A name for Weights & Biases, {shown(name)}, must have from 1 to {_LONGEST} "
                    "characters."
                )


class _Record(TypedDict):
    id: str
    project: str
    entity: str | None
    group: str | None
    tags: list[str]


def check_tracking(tracking: Tracking | None) -> None:
    """Say at once, and not after hours of encoding, that the library is not there.

    Raises:
        MissingDependencyError: The extra ``track`` is not installed.
    """
    if tracking is None:
        return
    import importlib.util

    try:
        spec = importlib.util.find_spec("wandb")
    except (ImportError, ValueError):
        spec = None
    # A folder wandb/ that an earlier run left where Python looks for modules has no origin.
    if spec is None or spec.origin is None:
        raise MissingDependencyError("wandb", "track", "--track")


class Tracker:
    """A run in Weights & Biases; whatever goes wrong is a warning, the first time.

    Args:
        run: The run folder, which gets ``wandb/`` and ``tracking.json``.
        tracking: Where the run belongs; that of an earlier process of the run is kept.
        config: The settings of the run.
        note: Shows a line to people.
    """

    def __init__(
        self,
        run: Path,
        tracking: Tracking,
        config: Mapping[str, Any],
        note: Callable[[str], None],
    ) -> None:
        self.run, self.tracking, self.config, self.note = run, tracking, config, note
        self._live: Any = None
        self._warned = False
        with self._harmless():
            self._live = self._started()

    def evaluation(self, row: Mapping[str, Any]) -> None:
        """Log a line of ``metrics.jsonl``; its numbers get the names of the TensorBoard files."""
        own = {"seconds", "processor_seconds", "train_reward", "steps_per_second"}
        numbers = {key: value for key, value in row.items() if isinstance(value, int | float)}
        figures = {
            "timesteps": row["timesteps"],
            f"dev/{row['metric']}": row["value"],
            **{f"train/{key}": value for key, value in numbers.items() if key in own},
        }
        known = {*own, "timesteps", "value"}
        figures |= {f"dev/{key}": value for key, value in numbers.items() if key not in known}
        self._log(lambda: figures)

    def samples(self, timesteps: int, traces: Sequence[Trace]) -> None:
        """Log samples of dev: a table of texts and decisions, and a page of their traces."""

        def made() -> dict[str, Any]:
            import wandb

            from nlp_gym_agents.explain.page import trace_html

            rows = [sample_row(trace) for trace in traces]
            columns: list[str | int] = list(rows[0])
            table = wandb.Table(columns=columns, data=[list(row.values()) for row in rows])
            page = wandb.Html(trace_html(traces), inject=False)
            return {"timesteps": timesteps, "dev/samples": table, "dev/traces": page}

        self._log(made)

    def end(self, *, failed: bool) -> None:
        """Close the run."""
        if self._live is not None:
            with self._harmless():
                self._live.finish(exit_code=int(failed))
            self._live = None

    def _log(self, made: Callable[[], Mapping[str, Any]]) -> None:
        if self._live is not None:
            with self._harmless():
                self._live.log(made())

    @contextmanager
    def _harmless(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # of a library that speaks to a server
            if not self._warned:
                self._warned = True
                warnings.warn(
                    f"Weights & Biases failed ({type(error).__name__}: "
                    f"{one_line(str(error))[:300]}). Training goes on; metrics.jsonl and the "
                    "checkpoints do not depend on it.",
                    stacklevel=3,
                )

    def _started(self) -> Any:
        """Begin the run, or go on with it; offline where that is all that is possible."""
        import wandb

        record = self._record()
        mode = os.environ.get("WANDB_MODE")
        if mode is None and not _has_key(wandb):
            mode = "offline"
            self.note(
                "Weights & Biases: there is no API key (`wandb login`, or WANDB_API_KEY), so that "
                "the run is written offline."
            )
        try:
            live = self._init(wandb, record, mode)
        except Exception as error:
            if mode is not None:
                raise
            problem = one_line(str(error))[:300]
            self.note(f"Weights & Biases cannot be reached ({problem}): writing offline.")
            live = self._init(wandb, record, "offline")
        if live.settings.mode == "offline":
            self.note(f"Upload it later with: wandb sync {Path(live.dir).parent}")
        live.define_metric("timesteps")
        live.define_metric("*", step_metric="timesteps")
        return live

    def _init(self, wandb: Any, record: _Record, mode: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the library, about itself
            return wandb.init(
                project=record["project"],
                entity=record["entity"],
                group=record["group"],
                tags=record["tags"],
                id=record["id"],
                name=self.run.name,
                resume="allow",
                dir=str(self.run),
                mode=mode,
                config=dict(self.config),
                # Nothing of the terminal, the code or the git repository is sent.
                settings=wandb.Settings(
                    silent=True,
                    console="off",
                    disable_code=True,
                    disable_git=True,
                    save_code=False,
                    init_timeout=_PATIENCE,
                ),
            )

    def _record(self) -> _Record:
        """What is kept in the run folder; made by the first process of the run."""
        path = self.run / TRACKING
        if not path.exists():
            facts = asdict(self.tracking)
            write_json(path, {"id": uuid.uuid4().hex[:8], **facts, "tags": [*facts["tags"]]})
        record = read_json(path)
        schema.check(record, _Record, path)
        found: _Record = record
        return found


def _has_key(wandb: Any) -> bool:
    """Whether an API key is known; never asks a person for one."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    try:
        return bool(wandb.login(prompt=False, verify=False))
    except Exception:  # an older release has no such argument, or a damaged file of keys
        return False


@contextmanager
def tracked(
    run: Path,
    tracking: Tracking | None,
    config: Mapping[str, Any],
    note: Callable[[str], None],
) -> Iterator[Tracker | None]:
    """Within it a run is tracked; arguments as for `Tracker`. None: it is not."""
    if tracking is None:
        yield None
        return
    tracker = Tracker(run, tracking, config, note)
    failed = True
    try:
        yield tracker
        failed = False
    finally:
        tracker.end(failed=failed)


def sample_row(trace: Trace) -> dict[str, Any]:
    """A sample of dev as a row of a table: what was read, decided and right."""
    from nlp_gym_agents.explain.terminal import trace_text

    return {
        "text": one_line(" ".join(trace.words)),
        "output": json_escaped(json.dumps(trace.output, ensure_ascii=False, default=str)),
        "score": trace.score,
        "decisions": trace_text(trace),
    }
