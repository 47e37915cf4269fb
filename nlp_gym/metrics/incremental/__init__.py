"""The metrics of texts after every token of them; imports `metrics.text`."""
