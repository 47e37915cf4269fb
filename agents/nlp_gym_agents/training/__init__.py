"""One run, from settings to the best checkpoint; imports `models` and below."""
