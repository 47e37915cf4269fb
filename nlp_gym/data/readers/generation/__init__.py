"""Readers of sources with reference texts; imports `readers.shared` and `data.text`."""
