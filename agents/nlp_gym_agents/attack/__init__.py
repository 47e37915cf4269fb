"""Attacks on trained agents; imports `models`, `explain` and what is below."""
