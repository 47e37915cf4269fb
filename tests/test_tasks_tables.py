"""Index tables from states to units."""

from __future__ import annotations

import numpy as np
import pytest

from nlp_gym.errors import InvalidArgumentError
from nlp_gym.tasks.core.tables import Tables, ragged


def test_tables_fill_up_with_the_zero_unit():
    tables = Tables.build(
        7,
        offsets=[0, 2],
        context=[[0], [1], [-1]],
        row_units=[[5, -1], [6, 2]],
        candidates=[[[3], [-1]], [[4], [5]]],
    )
    row, slot = np.array([1, 0]), np.array([2, 0])
    assert tables.n_context == 3
    assert tables.context_of(row, slot).tolist() == [[6, 2, 7], [5, 7, 0]]
    assert tables.candidates_of(row, slot).tolist() == [[[4], [5]], [[3], [7]]]


def test_tables_take_candidates_by_slot():
    tables = Tables.build(
        9, offsets=[0, 0], context=[[0], [1]], candidates=[[[1]], [[2]]], by="slot"
    )
    assert tables.candidates_of(np.array([0, 0]), np.array([1, 0])).tolist() == [[[2]], [[1]]]
    assert tables.context_of(np.array([0]), np.array([1])).tolist() == [[1]]


def test_ragged_pads_and_cuts():
    assert ragged([[1, 2, 3], [], [4]], 2).tolist() == [[1, 2], [-1, -1], [4, -1]]


def test_tables_refuse_units_that_they_cannot_number():
    assert Tables.build(2**31 - 1, offsets=[0], context=[[-1]]).context.tolist() == [[2**31 - 1]]
    with pytest.raises(InvalidArgumentError, match="2,147,483,648 units"):
        Tables.build(2**31, offsets=[0], context=[[-1]])
