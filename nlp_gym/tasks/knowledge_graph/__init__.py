"""Walks from an entity to the answer of a query; imports, of the tasks, `core` alone."""
