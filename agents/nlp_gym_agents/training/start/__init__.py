"""What a run has before its first decision: tasks, model, warm start, its share of the work."""
