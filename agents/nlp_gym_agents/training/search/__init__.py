"""The search of hyperparameters: spaces, one trial, the study, parallel trials."""
