"""Rewards and official scores from the same additive counts; imports `data.text` at most."""
