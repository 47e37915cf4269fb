"""`CheckReport`, the result of `check`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from nlp_gym.data.readers.shared.decoding import Problem
from nlp_gym.types import Sample


@dataclass(frozen=True)
class CheckReport:
    """Result of `check`.

    Attributes:
        path: The file.
        format: Name of the reader, as in `READERS`.
        scheme: Tag scheme of the file; ``"none"`` for labels that are not tags of entities.
        n_samples: Number of texts that can be read.
        n_words: Number of words of these.
        labels: How often each label occurs, after conversion to IOB2.
        problems: Every bad row, in file order. The file is usable only if there is none.
        warnings: Rows that are read, but perhaps not as meant.
        family: Task family of the reader.
        counts: Numbers of choices, answers and other things that the family has.
        samples: The first samples, as they will be seen.
        n_skipped: Number of samples that ``bad_rows="skip"`` leaves out.
    """

    path: Path
    format: str
    scheme: str
    n_samples: int
    n_words: int
    labels: Counter[str]
    problems: list[Problem]
    warnings: list[Problem]
    family: str = "tagging"
    counts: dict[str, int] = field(default_factory=dict)
    samples: tuple[Sample, ...] = ()
    n_skipped: int = 0

    @property
    def ok(self) -> bool:
        """True if the file can be used."""
        return not self.problems or (self.n_skipped > 0 and self.n_samples > 0)
