"""Metrics: additive counts while an episode runs, official corpus scores with a signature."""
