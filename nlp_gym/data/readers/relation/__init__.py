"""Readers of relations between marked entities; imports `readers.shared`."""
