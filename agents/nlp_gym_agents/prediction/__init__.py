"""New input to records; imports `models` and below."""
