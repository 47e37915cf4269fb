"""Readers of tagged words: CoNLL, CoNLL-U, JSON Lines, tables; imports `readers.shared`."""
