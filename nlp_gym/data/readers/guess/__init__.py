"""Guesses the task family of a file from its ending and content; imports all readers."""
