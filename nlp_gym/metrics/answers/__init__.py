"""SQuAD's exact match and F1 of answers; imports `metrics.base`."""
