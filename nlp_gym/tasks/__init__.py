"""The decision processes, one package a family; imports `data`, `metrics`, `encode`."""
