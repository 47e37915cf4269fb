"""The command `nlp-gym`, one command per file; imports everything else when a command runs."""
