"""Mixtures of other tasks; imports `tasks.core`, and families only through the registration."""
