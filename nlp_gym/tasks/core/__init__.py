"""Base classes of all tasks: rewards, tables, observations, the play loop; imports no task."""
