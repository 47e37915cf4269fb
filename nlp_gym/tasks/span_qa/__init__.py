"""Questions answered by a span of a passage; imports `tasks.core`."""
