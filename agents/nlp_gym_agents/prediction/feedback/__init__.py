"""Learning from use: what people say of predictions, where it is kept, what is learned of it."""
