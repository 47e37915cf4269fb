"""Finds, reads and splits corpora, named and own ones; imports `catalog`, `readers` and `tags`."""
