"""A dialogue policy against an agenda-based user simulator, over a real table of entities."""
