"""Learning rules, buffers and the `VecEnv`, and the table of algorithms; imports `networks`."""
