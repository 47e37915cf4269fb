"""What a run takes over from the run that it continues, and what keeps it from forgetting."""
