"""Fresh and saved models, and how they act and search; imports `config` and below."""
