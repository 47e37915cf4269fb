"""Text itself: words, vocabularies, perturbations; imports nothing of `data`."""
