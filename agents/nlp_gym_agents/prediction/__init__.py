"""Decisions of a trained agent on new input, as records; imports `models` and below."""
