"""Sequence tagging, word by word; imports `tasks.core`."""
