"""Many algorithms on many ids, resumable, as a table; imports `evaluation`."""
