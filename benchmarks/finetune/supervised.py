"""Supervised finetuning as one would write it with transformers: the ceiling of `comparison`.

The whole pretrained model, dropout on, one linear layer, AdamW, a warm-up and a linear decay,
random batches padded to their longest text. Nothing here comes from `agents`; only the corpus, the
official score and the weights are those that agents are measured with.

- Tagging: a word's label is read at its first sub-word. ``I-X`` where no ``X`` is open is read as
  ``B-X``, which the environment does too.
- Classification: from the mean of the last hidden states.
- Span QA: question and passage as a pair, the first and the last word of the answer. Passages that
  are too long for the model are cut.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.finetune.texts import IGNORED, Reader, Text, repaired
from nlp_gym.tasks.core.task import Task
from nlp_gym.types import Sample

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to finetune.

    Attributes:
        epochs: Passes over the training texts.
        batch: Texts in a batch.
        lr: Highest learning rate.
        warmup: Share of the steps in which it rises.
        weight_decay: Of AdamW.
        evaluations: On dev, evenly spread.
        seed: Of the head, dropout and order.
        device: Where it runs.
        bfloat16: Products in bfloat16 (autocast).
        clock: "wall", or "cpu" for seconds of processors.
    """

    epochs: float = 3.0
    batch: int = 32
    lr: float = 1e-4
    warmup: float = 0.1
    weight_decay: float = 0.01
    evaluations: int = 10
    seed: int = 0
    device: str = "cpu"
    bfloat16: bool = False
    clock: str = "wall"


class Plain(nn.Module):
    """A pretrained model and a linear layer.

    Args:
        encoder: From `TransformerEncoder.load_model`.
        task: On the training corpus.
    """

    def __init__(self, encoder: Any, task: Task) -> None:
        super().__init__()
        self.encoder, self.kind = encoder, task.family
        width = 2 if self.kind == "spanqa" else len(task.labels)
        self.dropout = nn.Dropout(0.1)
        self.head = nn.Linear(encoder.config.hidden_size, width)
        self.segments = getattr(encoder.config, "type_vocab_size", 0) > 1

    def forward(
        self, ids: torch.Tensor, mask: torch.Tensor, types: torch.Tensor, words: torch.Tensor
    ) -> torch.Tensor:
        """(B, W, A) scores of words, or (B, A) of texts.

        Args:
            ids: (B, L) sub-words.
            mask: (B, L) 1 for what is not padding.
            types: (B, L) 0 in the first text, 1 in the second.
            words: (B, W) where words begin.
        """
        options = {"token_type_ids": types} if self.segments else {}
        states = self.encoder(input_ids=ids, attention_mask=mask, **options).last_hidden_state
        if self.kind == "classification":
            states = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        else:
            states = states.gather(1, words[..., None].expand(-1, -1, states.shape[-1]))
        scores: torch.Tensor = self.head(self.dropout(states)).float()
        return scores


def _padded(rows: list[list[int]], fill: int, device: str) -> torch.Tensor:
    width = max(map(len, rows))
    return torch.tensor([row + [fill] * (width - len(row)) for row in rows], device=device)


class Finetuned:
    """A model that learns, with what it needs to be scored.

    Args:
        tasks: By split.
        encoder: Name of the encoder.
        recipe: How.
    """

    def __init__(self, tasks: dict[str, Task], encoder: str, recipe: Recipe) -> None:
        self.recipe, self.task, self.tasks = recipe, tasks["train"], tasks
        torch.manual_seed(recipe.seed)
        source: Any = self.task.encoder
        self.model = Plain(source.load_model(), self.task).to(recipe.device)
        if (pooler := getattr(self.model.encoder, "pooler", None)) is not None:
            pooler.requires_grad_(False)  # not used
        self.read = Reader(self.task, encoder)
        self.texts = {split: self.read(task.corpus.samples) for split, task in tasks.items()}
        self.tokens = 0  # learned from, padding not counted

    def batches(self) -> Iterator[list[Text]]:
        """Random batches, epoch after epoch."""
        texts, rng = self.texts["train"], np.random.default_rng(self.recipe.seed)
        while True:
            order = rng.permutation(len(texts))
            for start in range(0, len(order), self.recipe.batch):
                yield [texts[i] for i in order[start : start + self.recipe.batch]]

    def scores(self, batch: list[Text]) -> torch.Tensor:
        """See `Plain.forward`; words of passages that are not there score -inf."""
        device = self.recipe.device
        ids = _padded([text.ids for text in batch], self.read.pad, device)
        mask = _padded([[1] * len(text.ids) for text in batch], 0, device)
        types = _padded([text.types for text in batch], 0, device)
        words = _padded([text.places for text in batch], -1, device)
        with self._precision():
            scores: torch.Tensor = self.model(ids, mask, types, words.clamp(min=0))
        if self.read.kind == "spanqa":
            scores = scores.masked_fill((words < 0)[..., None], -torch.inf)
        return scores

    def loss(self, batch: list[Text]) -> torch.Tensor:
        """Cross-entropy of a batch."""
        scores = self.scores(batch)
        target = _padded([text.target for text in batch], IGNORED, self.recipe.device)
        if self.read.kind == "spanqa":  # both places of each question
            return F.cross_entropy(scores, target, reduction="mean")
        if self.read.kind == "tagging":
            seen = _padded([text.places for text in batch], -1, self.recipe.device) >= 0
            target = target.masked_fill(~seen, IGNORED)
        return F.cross_entropy(scores.flatten(0, -2), target.flatten())

    def _precision(self) -> AbstractContextManager[Any]:
        if not self.recipe.bfloat16:
            return nullcontext()
        return torch.autocast(torch.device(self.recipe.device).type, dtype=torch.bfloat16)

    @torch.no_grad()
    def outputs(self, split: str, *, batch: int = 64) -> list[Any]:
        """Decisions on a split, as the task has them."""
        self.model.train(mode=False)
        texts, samples = self.texts[split], self.tasks[split].corpus.samples
        order = np.argsort([-len(text.ids) for text in texts], kind="stable")
        found: list[Any] = [()] * len(texts)
        for start in range(0, len(order), batch):
            rows = order[start : start + batch]
            scores = self.scores([texts[i] for i in rows]).cpu()
            for row, own in zip(rows, scores, strict=True):
                found[row] = self._decide(own, samples[row])
        self.model.train()
        return found

    def _decide(self, scores: torch.Tensor, sample: Sample) -> Any:
        size = len(sample.words)
        if self.read.kind == "classification":
            return (self.task.labels[int(scores.argmax())], size, size)
        if self.read.kind == "tagging":
            return repaired([self.task.labels[k] for k in scores[:size].argmax(-1).tolist()])
        first, last = scores[:size].T
        longest = int(getattr(self.task, "max_answer", 30))
        pairs = first[:, None] + last[None, :]
        legal = torch.ones_like(pairs, dtype=torch.bool).triu().tril(longest - 1)
        best = int(pairs.masked_fill(~legal, -torch.inf).argmax())
        return divmod(best, size)


def finetune(job: Finetuned) -> dict[str, Any]:
    """Train; leaves the weights that were best on dev in `job.model`.

    Returns:
        `curve` (`timesteps` are texts learned from), `train_seconds` and `evaluation_seconds`.
    """
    recipe, model = job.recipe, job.model.train()
    total = max(math.ceil(recipe.epochs * math.ceil(len(job.texts["train"]) / recipe.batch)), 1)
    learning = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=recipe.lr, weight_decay=recipe.weight_decay)
    rising = max(recipe.warmup * total, 1.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda i: min((i + 1) / rising, (total - i) / max(total - rising, 1.0))
    )
    curve: list[dict[str, float]] = []
    best, kept, scoring, seen = -1.0, model.state_dict(), 0.0, 0
    started = now(recipe.device, recipe.clock)
    for step, batch in zip(range(1, total + 1), job.batches(), strict=False):
        optimizer.zero_grad()
        job.loss(batch).backward()
        nn.utils.clip_grad_norm_(learning, 1.0)
        optimizer.step()
        schedule.step()
        seen += len(batch)
        job.tokens += sum(len(text.ids) for text in batch)
        if step * recipe.evaluations // total > (step - 1) * recipe.evaluations // total:
            before = now(recipe.device, recipe.clock)
            value = job.tasks["dev"].score(job.outputs("dev"), bootstrap=0).value
            if value > best:
                best = value
                kept = {k: v.detach().cpu().clone() for k, v in model.state_dict().items()}
            scoring += now(recipe.device, recipe.clock) - before
            seconds = now(recipe.device, recipe.clock) - started
            point = {"seconds": seconds, "train_seconds": seconds - scoring, "value": value}
            curve.append({"timesteps": seen, **point})
    spent = now(recipe.device, recipe.clock) - started - scoring
    model.load_state_dict(kept)
    return {"curve": curve, "train_seconds": spent, "evaluation_seconds": scoring}


def now(device: str, clock: str = "wall") -> float:
    """Seconds, once the device has done all it was asked to."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    return CLOCKS[clock]()
