"""Dependency parsing by transitions; imports, of the tasks, `core` alone."""
