"""The page of `nlp-gym demo`: texts to decide on, and episodes played by hand."""
