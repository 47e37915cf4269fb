"""Texts written token by token; imports `tasks.core`."""
