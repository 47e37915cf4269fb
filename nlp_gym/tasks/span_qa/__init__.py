"""Questions answered by a span of a passage; imports, of the tasks, `core` alone."""
