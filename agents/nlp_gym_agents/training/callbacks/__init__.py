"""Callbacks of a training run: evaluation, checkpoints, penalties; imports `models` and below."""
