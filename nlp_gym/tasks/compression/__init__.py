"""Sentence compression: keep or drop each word, with a reward that needs no references."""
