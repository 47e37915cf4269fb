"""Readers of triples."""

from __future__ import annotations

from nlp_gym.data.readers.base import Reader

ROWS: tuple[Reader, ...] = ()
