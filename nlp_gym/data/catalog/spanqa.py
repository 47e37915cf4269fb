"""Span question answering."""

from __future__ import annotations

from nlp_gym.data.catalog.rows import Dataset

ROWS: tuple[Dataset, ...] = ()
