"""Figures of decisions: a split is played with a trained run, and every decision kept."""
