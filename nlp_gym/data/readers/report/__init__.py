"""What `check` reports of a file: problems, counts and its first samples."""
