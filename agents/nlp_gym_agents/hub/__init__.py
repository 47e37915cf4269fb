"""Runs on the Hugging Face Hub: what is uploaded, its model card, and a run loaded from there."""
