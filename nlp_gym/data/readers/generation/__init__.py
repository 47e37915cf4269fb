"""Readers of sources with references; imports `readers.shared`."""
