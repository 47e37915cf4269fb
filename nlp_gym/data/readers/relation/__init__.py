"""Readers of relations between entities; imports `readers.shared` and `data.text`."""
