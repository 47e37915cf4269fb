"""Metrics of labels: accuracy, F1 of sets, entities, relations, acts; imports `metrics.base`."""
