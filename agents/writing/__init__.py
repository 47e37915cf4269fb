"""Agents that write texts token by token: a transformer decoder as features extractor."""
