"""Base classes of all tasks, their tables and observations; imports no task."""
