"""Walks from an entity to the answer of a query; imports `tasks.core`."""
