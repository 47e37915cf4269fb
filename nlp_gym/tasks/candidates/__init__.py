"""Tasks that pick choices, replies or sentences; imports, of the tasks, `core` alone."""
