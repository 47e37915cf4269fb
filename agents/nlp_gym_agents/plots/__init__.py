"""Figures of runs and benchmarks, and the report of a benchmark; imports `evaluation`."""
