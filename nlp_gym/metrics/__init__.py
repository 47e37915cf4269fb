"""Rewards and official scores from the same counts; imports, of the packages, `data.text` alone."""
