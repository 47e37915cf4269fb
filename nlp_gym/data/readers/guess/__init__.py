"""Which family a file belongs to, by its ending and content; imports the readers."""
