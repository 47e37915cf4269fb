"""Tasks that pick among candidates: choices, replies, sentences; imports `tasks.core`."""
