"""Figures of scores: learning curves, benchmarks, forgetting."""
