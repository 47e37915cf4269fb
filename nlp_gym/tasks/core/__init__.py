"""What every task stands on: interface, corpus, tables, observations; imports no task."""
