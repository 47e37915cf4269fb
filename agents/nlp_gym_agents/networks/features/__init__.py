"""From an observation to features; imports `networks.encoder`."""
