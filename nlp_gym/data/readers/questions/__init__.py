"""Readers of questions: answer spans, and choices; imports `readers.shared`."""
