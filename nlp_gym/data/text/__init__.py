"""Texts as such: words, vocabularies, perturbations; imports `data.tags` and modules."""
