"""Metrics of texts after each token that is written; imports `metrics.text`."""
