"""Files of a run, read as data that a stranger may have written: formats, types, and trust."""
