"""The two generic shells over any task: a single environment and a native batch of them."""
