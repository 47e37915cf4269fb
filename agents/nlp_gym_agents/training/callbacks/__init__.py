"""Callbacks of a training run: evaluation, checkpoints, penalties; imports `config` and below."""
