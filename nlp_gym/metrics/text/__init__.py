"""Metrics of written texts: BLEU, GLEU, chrF, ROUGE; imports `metrics.base` and `data.text`."""
