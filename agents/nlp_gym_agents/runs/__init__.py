"""The folder of a run: snapshots, checkpoints, the log of metrics; imports `algorithms`."""
