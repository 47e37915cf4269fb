"""The corrections that count, of each text the last one, and files of them to train with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from nlp_gym.errors import DataError, InvalidArgumentError, NLPGymError, listed, shown
from nlp_gym.files import write_output
from nlp_gym.types import SPLITS, Sample
from nlp_gym_agents.prediction.feedback.rows import Row, key_of, new_labels, samples_of
from nlp_gym_agents.prediction.feedback.store import Correction, Record
from nlp_gym_agents.prediction.records import to_json

ENDING = ".jsonl"


def last_corrections(records: Sequence[Record], family: str) -> list[Correction]:
    """The last correction of each text, in the order in which texts were first corrected.

    Args:
        records: What is kept, in order. Rows that cannot be read are left out.
        family: Task family.
    """
    found: dict[str, Correction] = {}
    for record in records:
        if isinstance(record, Correction):
            try:
                found[key_of(samples_of(record.rows, family, gold=True))] = record
            except NLPGymError:
                continue
    return list(found.values())


def write_corrections(
    path: str | Path, corrections: Sequence[Correction], family: str, known: Sequence[str]
) -> list[Path]:
    """Write corrections as files to train with.

    Args:
        path: A file; or, where its name has no ending, a folder that gets a file for each of train,
            dev and test, see `parted`.
        corrections: Of different texts.
        family: Task family.
        known: Labels of the agent.

    Returns:
        The files.

    Raises:
        InvalidArgumentError: There are none, or too few to be parted.
        DataError: A file cannot be written.
    """
    path = Path(path)
    if not corrections:
        raise InvalidArgumentError(
            f"export={shown(str(path))}: no corrections are kept. Give some with `agent.observe` "
            "or `nlp-gym feedback RUN TEXT --correct ANSWER`."
        )
    if path.suffix and not path.is_dir():
        write_output("export", path, to_json([row for one in corrections for row in one.rows]))
        return [path]
    parts = parted(corrections, family, known)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{path} cannot be made: {error.strerror or error}.") from error
    files = [path / f"{split}{ENDING}" for split in SPLITS]
    for file, split in zip(files, SPLITS, strict=True):
        write_output("export", file, to_json(parts[split]))
    return files


def parted(
    corrections: Sequence[Correction], family: str, known: Sequence[str]
) -> dict[str, list[Row]]:
    """Rows of corrections by split: a tenth of the texts is for dev, a tenth for test.

    A text is not held out where nothing else in train would have one of its new labels: it could
    not be learned then. Which ones are follows from the texts alone.

    Args:
        corrections: Of different texts.
        family: Task family.
        known: Labels of the agent; a file that is cut by `nlp_gym.data` takes no heed of them.

    Raises:
        InvalidArgumentError: They are too few.
    """
    samples = [samples_of(one.rows, family, gold=True) for one in corrections]
    labels = [_labels(each, family, known) for each in samples]
    there = Counter(label for each in labels for label in each)
    order = sorted(range(len(samples)), key=lambda n: key_of(samples[n]))
    tenth, held = max(1, round(len(order) / 10)), dict[int, str]()
    for n in order:
        if len(held) == 2 * tenth:
            break
        if all(there[label] > 1 for label in labels[n]):
            there.subtract(labels[n])
            held[n] = SPLITS[1 + len(held) % 2]
    if len(set(held.values())) < 2 or len(held) == len(samples):
        new = f", of which each new label ({listed(sorted(there))}) has to stay in train" * bool(
            there
        )
        raise InvalidArgumentError(
            f"export: {len(samples)} corrected texts{new} are too few to be parted into train, dev "
            "and test: correct some more, or export into a FILE.jsonl and part that yourself."
        )
    return {
        split: [
            row
            for n, one in enumerate(corrections)
            if held.get(n, SPLITS[0]) == split
            for row in one.rows
        ]
        for split in SPLITS
    }


def _labels(samples: Sequence[Sample], family: str, known: Sequence[str]) -> set[str]:
    return {label for sample in samples for label in new_labels(sample, family, known)}
