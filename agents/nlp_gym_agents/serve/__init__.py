"""Trained runs over HTTP, as JSON and as a page; imports `prediction`, `explain` and below."""
