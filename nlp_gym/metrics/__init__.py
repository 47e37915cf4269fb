"""Rewards and official scores from the same additive counts; imports `nlp_gym.data.text` alone."""
