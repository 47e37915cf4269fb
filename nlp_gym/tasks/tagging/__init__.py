"""Sequence tagging, word by word; imports, of the tasks, `core` alone."""
