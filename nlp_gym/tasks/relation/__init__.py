"""Relations between entities, pair by pair; imports, of the tasks, `core` alone."""
