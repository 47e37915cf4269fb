"""Heads on the features: dueling and pointer policies; imports `networks.features`."""
