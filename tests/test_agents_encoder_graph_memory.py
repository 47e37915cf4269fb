"""A learning encoder keeps what fits into memory for the way back and computes the rest again."""

from __future__ import annotations

import copy
import gc
from typing import Any

import pytest
import torch as th
from conftest import live_of
from torch.utils.checkpoint import checkpoint

from nlp_gym_agents.networks.encoder import graph_memory
from nlp_gym_agents.networks.encoder.trainable import TrainableEncoder
from nlp_gym_agents.networks.encoder.unit_texts import UnitTexts

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = th.device("cpu")


def in_pieces(task: Any, limit: int | None, **tuning: Any) -> tuple[TrainableEncoder, UnitTexts]:
    """A learning encoder that reads few sub-words at once, and keeps `limit` bytes at most."""
    live = live_of(task, **{"batch_tokens": 64, "dropout": 0.1, **tuning}).train()
    live.graph_memory.limit = limit
    return live, UnitTexts(task)


def loss_of(live: TrainableEncoder, book: UnitTexts) -> th.Tensor:
    vectors, rows = live(book, th.arange(0, book.n_units, 70))
    assert rows is not None
    return (vectors[rows] ** 2).mean()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_graph_memory_changes_no_gradient(precision: str, pos: Any) -> None:
    """Dropout and precision are the same when a piece is computed again."""
    found = []
    for limit in (10**9, 0):
        live, book = in_pieces(pos, limit, precision=precision)
        th.manual_seed(1)
        loss = loss_of(live, book)
        loss.backward()
        gradients = {n: p.grad for n, p in live.named_parameters() if p.grad is not None}
        found.append((loss.detach(), gradients, live.graph_memory.repeated))
    (loss, kept, none), (again, repeated, some) = found
    assert none == 0 < some
    assert th.equal(loss, again)
    assert kept.keys() == repeated.keys()
    assert any(bool(gradient.any()) for gradient in kept.values())
    assert all(th.equal(gradient, repeated[name]) for name, gradient in kept.items())


def test_graph_memory_keeps_no_more_than_its_limit(pos: Any) -> None:
    live, book = in_pieces(pos, 10**9)
    loss = loss_of(live, book)
    whole = live.graph_memory.held
    live.graph_memory.limit = whole // 2
    del loss
    assert live.graph_memory.held == 0  # a graph that nobody goes back through
    loss = loss_of(live, book)
    assert whole // 2 <= live.graph_memory.held < 3 * whole // 4
    assert live.graph_memory.repeated > 0
    loss.backward()
    assert live.graph_memory.held == 0  # although the loss is still there
    before = live.graph_memory.repeated
    loss_of(live, book).backward()  # the next update has all of it once more
    assert live.graph_memory.repeated == 2 * before


def test_graph_memory_counts_several_graphs_together(pos: Any) -> None:
    live, book = in_pieces(pos, 10**9)
    first = loss_of(live, book)
    one = live.graph_memory.held
    second = loss_of(live, book)
    assert live.graph_memory.held == 2 * one
    (first + second).backward()
    assert live.graph_memory.held == 0


def test_graph_memory_of_acting_is_nothing(pos: Any) -> None:
    live, book = in_pieces(pos, 0)
    with th.no_grad():
        live(book, th.arange(book.n_units))
    assert live.graph_memory.held == live.graph_memory.repeated == 0


def test_graph_memory_of_a_copy_is_its_own(pos: Any) -> None:
    live, book = in_pieces(pos, 10**9)
    loss = loss_of(live, book)
    memory = copy.deepcopy(live.graph_memory)
    assert live.graph_memory.held > memory.held == 0
    assert memory.limit == 10**9
    del loss
    gc.collect()
    assert memory.held == 0


def test_graph_memory_has_a_share_of_the_machine(monkeypatch: Any, pos: Any) -> None:
    monkeypatch.setattr(graph_memory, "memory_limit", lambda: 1000)
    assert graph_memory.graph_limit(CPU) == 250
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")  # processes of torchrun share the machine
    assert graph_memory.graph_limit(CPU) == 125
    live, book = in_pieces(pos, None)
    loss_of(live, book).backward()
    assert live.graph_memory.repeated > 0


def test_graph_memory_counts_what_is_kept_and_no_weights(pos: Any) -> None:
    def held(*, weights: bool = False, **tuning: Any) -> int:
        live, book = in_pieces(pos, 10**9, **tuning)
        if weights:
            live.graph_memory = graph_memory.GraphMemory(th.nn.Identity())
        loss = loss_of(live, book)
        found = live.graph_memory.held
        return found if loss.requires_grad else 0

    assert 0 < held(dropout=0.0) < held()  # masks are kept too
    assert 0 < held(freeze_layers=1) < held()
    assert held(weights=True) > held()


def test_graph_memory_draws_the_same_numbers_again_on_any_device(
    monkeypatch: Any, pos: Any
) -> None:
    """The random state is restored of the devices that the arguments are on."""
    given: list[tuple[Any, ...]] = []

    def noted(run: Any, *arguments: Any, **options: Any) -> Any:
        given.append(arguments)
        return checkpoint(run, *arguments, **options)

    monkeypatch.setattr(graph_memory, "checkpoint", noted)
    live, book = in_pieces(pos, 0)
    loss_of(live, book).backward()
    assert given
    assert all([one.device for one in arguments] == [CPU] for arguments in given)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_graph_memory_of_a_rollout_that_is_learned_from(checkpointing: bool, pos: Any) -> None:
    """The pass was made without dropout and is made so again, though the encoder trains by then."""
    gradients = []
    for limit in (10**9, 0):
        live = live_of(pos, batch_tokens=64, checkpointing=checkpointing)
        live.graph_memory.limit = limit
        live.keeps = lambda _: True
        book = UnitTexts(pos)
        with th.no_grad():
            live.train(mode=False)(book, th.arange(0, book.n_units, 70))
        loss_of(live.train(), book).backward()
        assert live.encoded_texts["learning"] == 0 < live.encoded_texts["acting"]
        assert bool(live.graph_memory.repeated) == (limit == 0)
        gradients.append([p.grad for p in live.parameters() if p.grad is not None])
    assert gradients[0]
    assert all(th.equal(*pair) for pair in zip(*gradients, strict=True))
