"""Finds and loads a pretrained model's files: from a package, a folder or the Hub's cache."""
