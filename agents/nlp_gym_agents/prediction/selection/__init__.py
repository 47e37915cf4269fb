"""Active learning: which texts an agent is least sure of, and proposes to label next."""
