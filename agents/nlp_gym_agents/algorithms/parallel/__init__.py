"""Training in several processes that average their gradients."""
