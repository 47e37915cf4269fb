"""Readers of labelled texts, one label or a set; imports `readers.shared`."""
