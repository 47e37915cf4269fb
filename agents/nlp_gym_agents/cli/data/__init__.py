"""Commands about data: corpora and files, encodings, datasets for offline learning."""
