"""What commands share: options, completion, output, and how they fail."""
