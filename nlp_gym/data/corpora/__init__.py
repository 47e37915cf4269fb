"""Finds, reads and splits corpora, named ones and users' files; imports `catalog`, `readers`."""
