"""The command `nlp-gym`, one command a file; imports everything else when a command runs."""
