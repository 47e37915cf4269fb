"""Encoders that learn inside the policy."""
