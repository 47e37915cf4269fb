"""Encoders that learn with the policy: what learns, which texts, which rate; imports `nlp_gym`."""
