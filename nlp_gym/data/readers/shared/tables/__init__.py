"""Delimited tables: their rows and cells, and tools of the readers of tables."""
