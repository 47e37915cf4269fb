"""Policy gradients of this package, and their rollouts."""
