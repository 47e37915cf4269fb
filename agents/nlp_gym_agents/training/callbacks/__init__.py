"""What happens in a training run between updates; imports `models` and below."""
