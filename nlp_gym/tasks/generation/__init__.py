"""Texts written token by token; imports, of the tasks, `core` alone."""
