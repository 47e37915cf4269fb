"""Tasks: the rules of each decision process, one family a file, written once over a batch."""
