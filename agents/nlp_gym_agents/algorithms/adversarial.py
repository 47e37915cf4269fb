"""Adversarial training of an encoder: a second loss, on embeddings moved where the loss rises.

For each text the embeddings of its sub-words are moved together, by a share of their length (the
Frobenius norm of the text's embeddings), so that the size means the same for every encoder. The
texts, labels and actions are those of the update; nothing is drawn at random, so that a resumed run
equals an unbroken one.

Sources: the fast gradient method for texts, Miyato et al. (2017); projected gradient descent, Madry
et al. (2018), with the gradients of all its steps used as in FreeLB, Zhu et al. (2020); the mixture
of the loss as it is and the adversarial one, Goodfellow et al. (2015).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

import torch as th
from torch import nn

from nlp_gym.checks import check_int, check_name, check_number
from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym.types import Int64Array
from nlp_gym_agents.networks.encoder.trainable import trainable_encoders
from nlp_gym_agents.networks.encoder.unit_texts import UnitTexts

METHODS = ("fgm", "pgd")
"""One step along the gradient, or several small ones inside the same ball."""
_REACH = 1.5
"""Steps of `pgd` together are as long as this many radii, so that they can reach the border."""


@dataclass(frozen=True)
class AdversarialOptions:
    """How texts are moved.

    Attributes:
        method: A name of `METHODS`.
        size: Length of the move, as a share of the norm of a text's embeddings.
        steps: Steps of ``"pgd"``.
        weight: Share of the adversarial loss in the whole.
    """

    method: str
    size: float = 0.1
    steps: int = 3
    weight: float = 0.5

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            UnknownNameError: There is no such method.
            InvalidArgumentError: A number outside what is allowed.
        """
        check_name("adversarial", self.method, METHODS)
        check_number("adversarial_size", self.size, 1e-6, 10.0)
        check_int("adversarial_steps", self.steps, 1, 100)
        check_number("adversarial_weight", self.weight, 0.0, 1.0)


def check_learning_encoder(policy: nn.Module, method: str) -> None:
    """Raise `InvalidArgumentError` unless gradients of a policy reach embeddings."""
    if not trainable_encoders(policy):
        raise InvalidArgumentError(
            f"adversarial={shown(method)} moves the embeddings of an encoder that learns, and the "
            "encoder of this policy is frozen: give --encoder-mode finetune (or lora, adapter), or "
            "train on attacked copies with --adversarial attack:RUN."
        )


def adversarial_backward(
    policy: nn.Module, loss: Callable[[], th.Tensor], options: AdversarialOptions
) -> th.Tensor:
    """Add the gradients of a loss and of its adversarial version to the weights.

    While the encoder stands still (`tuning.hold`) the loss is taken as it is.

    Args:
        policy: Its encoders learn, and it is in training mode.
        loss: Computes the loss of the update; it is called once for every move, and once more.
        options: How to move.

    Returns:
        The loss as it is, without its graph.
    """
    moves = [_Moves() for encoder in trainable_encoders(policy) if not encoder.on_hold()]
    if not moves:
        plain = loss()
        plain.backward()
        return plain.detach()
    encoders = [encoder for encoder in trainable_encoders(policy) if not encoder.on_hold()]

    def backward(share: float) -> th.Tensor:
        with ExitStack() as stack:
            for encoder, own in zip(encoders, moves, strict=True):
                stack.enter_context(encoder.changed_embeddings(own.begin()))
            found = loss()
            if share:
                (share * found).backward()
            else:  # which way is up is asked for, and nothing is learned
                for own in moves:
                    own.differentiate(found)
        return found.detach()

    plain = backward(1.0 - options.weight)
    steps = options.steps if options.method == "pgd" else 1
    length = options.size * (_REACH / steps if steps > 1 else 1.0)
    for _ in range(steps):
        for own in moves:
            own.step(length, options.size)
        backward(options.weight / steps)
    return plain


class _Moves:
    """How far the embeddings of each batch of windows are moved from where they are.

    A loss that is computed again encodes the same batches in the same order.
    """

    def __init__(self) -> None:
        self._moves: list[th.Tensor] = []
        self._embedded: list[th.Tensor] = []
        self._at = 0

    def begin(self) -> Callable[[UnitTexts, Int64Array, th.Tensor, th.Tensor], th.Tensor]:
        """For a pass: gives what the transformer reads in place of the embeddings."""
        self._at = 0
        return self._change

    def _change(
        self, texts: UnitTexts, windows: Int64Array, ids: th.Tensor, embedded: th.Tensor
    ) -> th.Tensor:
        if self._at == len(self._moves):
            self._moves.append(th.zeros_like(embedded).requires_grad_())
            self._embedded.append(embedded.detach())
        move = self._moves[self._at]
        self._at += 1
        return embedded + move

    def differentiate(self, loss: th.Tensor) -> None:
        """Find the gradients of the moves alone."""
        found = th.autograd.grad(loss, self._moves, retain_graph=True, allow_unused=True)
        for move, slope in zip(self._moves, found, strict=True):
            move.grad = slope

    def step(self, length: float, radius: float) -> None:
        """Move on along the gradients, and back into the ball; both in shares of the norm."""
        for k, (move, embedded) in enumerate(zip(self._moves, self._embedded, strict=True)):
            if move.grad is None:  # nothing of the loss depends on it
                continue
            size = embedded.norm(dim=(1, 2), keepdim=True)  # (B, 1, 1)
            slope = move.grad
            unit = slope / slope.norm(dim=(1, 2), keepdim=True).clamp_min(1e-12)
            moved = move.detach() + length * size * unit
            far = moved.norm(dim=(1, 2), keepdim=True) / (radius * size).clamp_min(1e-12)
            self._moves[k] = (moved / far.clamp_min(1.0)).requires_grad_()
