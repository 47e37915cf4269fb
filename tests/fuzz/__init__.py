"""Fuzzers: random input, of which every outcome is a result or a typed error."""
