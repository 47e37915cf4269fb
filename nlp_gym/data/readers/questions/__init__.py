"""Readers of questions, with spans or choices as answers; imports `readers.shared`."""
