"""Replay of decisions that are kept as states of a task: priorities, n steps, demonstrations."""
