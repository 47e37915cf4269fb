"""Scores of agents and baselines, robustness, exports of episodes; imports `training` and below."""
