"""The decoder that writes texts, as a features extractor; imports `networks.features`."""
