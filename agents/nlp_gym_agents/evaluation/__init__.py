"""A number for an agent: scores, baselines, robustness, exports; imports `training` and below."""
