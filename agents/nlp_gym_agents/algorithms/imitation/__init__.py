"""Learning from the oracle: cloning, warm starts, and imitation on states of its own."""
