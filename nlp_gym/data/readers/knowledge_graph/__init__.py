"""Readers of triples and of the names in them; imports `readers.shared`."""
