"""Readers of triples and of the labels of entities; imports `readers.shared`."""
