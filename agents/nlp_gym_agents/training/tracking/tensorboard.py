"""TensorBoard files that never end a run: what cannot be written is left out, after one warning."""

from __future__ import annotations

import errno
import io
import os
import socket
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.logger import Logger, TensorBoardOutputFormat
from tensorboard.compat.proto.event_pb2 import Event  # type: ignore[import-untyped]
from tensorboard.summary.writer.record_writer import (  # type: ignore[import-untyped]
    RecordWriter,
)
from torch.utils.tensorboard import FileWriter, SummaryWriter

from nlp_gym.errors import RunError, shown
from nlp_gym.files import append_whole

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""What a volume answers that works at other times."""


class _EventFile:
    """An event file to which each event is written at once, all of it or nothing.

    TensorBoard's own writer hands events to a thread, which dies of the first failure.

    Args:
        folder: It is made with the file.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        # The names are TensorBoard's, which reads files in their order.
        seconds, part = divmod(time.time_ns(), 10**9)
        host = f"{socket.gethostname()}.{os.getpid()}.{part}"
        self.path = Path(folder) / f"events.out.tfevents.{seconds:010d}.{host}"
        self._begun = False

    def add_event(self, event: Any) -> None:
        """Add an event.

        Raises:
            OSError: The disk is full, or the file cannot be written to.
        """
        self.flush()
        self._append(event)

    def _append(self, event: Any) -> None:
        record = io.BytesIO()
        RecordWriter(record).write(event.SerializeToString())
        append_whole(self.path, record.getvalue(), sync=False)

    def get_logdir(self) -> str:
        """The folder."""
        return self.folder

    def flush(self) -> None:
        """Make the file, unless it is there; there is nothing else to do.

        Raises:
            OSError: As `add_event`.
        """
        if not self._begun:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._append(Event(wall_time=time.time(), file_version="brain.Event:2"))
            self._begun = True

    def close(self) -> None:
        """Do nothing: nothing is open."""


class _Files(FileWriter):
    def __init__(self, folder: str) -> None:
        self.event_writer = _EventFile(folder)


class _Summaries(SummaryWriter):
    def _get_file_writer(self) -> Any:
        this: Any = self
        if this.file_writer is None:
            this.file_writer = _Files(self.log_dir)
            this.all_writers = {self.log_dir: this.file_writer}
        return this.file_writer


class TensorBoardLog(TensorBoardOutputFormat):
    """Stable-Baselines3's TensorBoard format; whatever goes wrong is a warning, the first time.

    Later figures are tried again: a full disk may have been cleared.

    Args:
        folder: Of the files.
    """

    def __init__(self, folder: str) -> None:
        self.writer = _Summaries(folder)
        self._is_closed = self._warned = False
        self.write({}, {})  # makes the file

    def write(
        self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0
    ) -> None:
        """Write figures of a step."""
        try:
            super().write(key_values, key_excluded, step)
        except Exception as error:
            if self._warned:
                return
            self._warned = True
            warnings.warn(
                f"TensorBoard files cannot be written to {self.writer.log_dir} "
                f"({getattr(error, 'strerror', None) or error}). Training goes on; metrics.jsonl "
                "and the checkpoints do not depend on them.",
                stacklevel=2,
            )

    def close(self) -> None:
        """Nothing is open, and all that could be written is."""
        self._is_closed = True


def check_log_folder(folder: str | None) -> None:
    """Refuse a folder for TensorBoard files that can never be one; a full disk may be cleared.

    Args:
        folder: The argument ``tensorboard_log``; None: the run's own.

    Raises:
        RunError: It cannot be made, or not be written to.
    """
    if folder is None:
        return
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), folder)
    except OSError as error:
        if error.errno not in _FULL:
            raise RunError(
                f"tensorboard_log={shown(folder)} cannot be written to: {error.strerror or error}. "
                "Give another folder with --tensorboard-log."
            ) from error


@contextmanager
def logged(model: BaseAlgorithm, folder: Path) -> Iterator[None]:
    """Within it Stable-Baselines3's figures go to TensorBoard files and nowhere else.

    Args:
        model: Gets the logger.
        folder: Of the files; where it cannot be written to there are none, after a warning.
    """
    logger = Logger(str(folder), [TensorBoardLog(str(folder))])
    model.set_logger(logger)
    try:
        yield
    finally:
        logger.close()
