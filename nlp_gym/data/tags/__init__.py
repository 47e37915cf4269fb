"""Tag schemes and their conversion to IOB2; imports nothing else of `data`."""
