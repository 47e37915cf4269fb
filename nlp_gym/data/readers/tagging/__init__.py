"""Readers of tagged words: CoNLL, CoNLL-U, JSON lines, tables; imports `readers.shared`."""
