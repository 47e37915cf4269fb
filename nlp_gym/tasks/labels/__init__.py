"""Tasks that label a text or a turn; imports, of the tasks, `core` alone."""
