"""Learning from the oracle: cloning, and imitation on states that the learner came to."""
