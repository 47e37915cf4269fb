"""Stable-Baselines3 agents for the environments of `nlp_gym`.

Nothing is imported here: the modules are independent, and most of them need torch.
"""
