"""Label raw text with a trained agent."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agents.inputs import Input, from_text, from_words
from agents.loading import Agent, load_agent
from agents.predictions import is_bio, to_record
from nlp_gym.types import Sample


class Predictor:
    """A loaded run, for many calls.

    Args:
        run: A run folder.
        checkpoint: ``"best"`` or ``"last"``.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``.

    Raises:
        RunError: The run cannot be loaded.
    """

    def __init__(self, run: str | Path, *, checkpoint: str = "best", device: str = "auto") -> None:
        self.agent: Agent = load_agent(run, checkpoint=checkpoint, device=device)
        self.bio = is_bio(self.agent.labels)

    def predict(
        self, texts: Sequence[str | Sequence[str] | Input], *, progress: bool = False
    ) -> list[dict[str, Any]]:
        """Label texts.

        Raw text is cut into sentences, which are labelled one by one as in training, and these into
        words. A blank text gives a record without tokens.

        Args:
            texts: Raw text, or a sequence of words each.
            progress: Show bars on stderr.

        Returns:
            One record a text, see `agents.predictions`.

        Raises:
            InvalidArgumentError: A text that is not Unicode, see `agents.inputs`.
        """
        inputs = [_as_input(text) for text in texts]
        sentences = [sentence for item in inputs for sentence in item.sentences]
        samples = [Sample(tuple(word for word, _, _ in sentence)) for sentence in sentences]
        outputs = iter(self._outputs(samples, progress=progress))
        records = []
        for item in inputs:
            labels = [label for _ in item.sentences for label in next(outputs)]
            records.append(to_record(item, labels, bio=self.bio))
        return records

    def _outputs(self, samples: list[Sample], *, progress: bool) -> list[Sequence[str]]:
        if not samples:
            return []
        task = self.agent.task("test", data=samples, data_dir=None)
        return self.agent.outputs(task, progress=progress, cache=False)


def _as_input(text: str | Sequence[str] | Input) -> Input:
    if isinstance(text, Input):
        return text
    return from_text(text) if isinstance(text, str) else from_words(text)


def predict_texts(
    run: str | Path, texts: Sequence[str | Sequence[str]], **options: Any
) -> list[dict[str, Any]]:
    """Label texts with a run, see `Predictor`."""
    return Predictor(run, **options).predict(texts)
