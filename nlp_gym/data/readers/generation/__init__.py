"""Readers of source texts with references; imports `readers.shared`."""
