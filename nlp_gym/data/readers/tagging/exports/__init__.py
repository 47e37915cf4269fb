"""Readers of what annotation tools and data set libraries export: one module per tool."""
