"""Relations between entities, pair by pair; imports `tasks.core`."""
