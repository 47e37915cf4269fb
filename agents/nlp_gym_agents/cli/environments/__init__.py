"""Commands about environments: which there are, whether one keeps the rules, a new task."""
