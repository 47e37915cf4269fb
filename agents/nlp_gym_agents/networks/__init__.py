"""The torch modules of policies; imports `nlp_gym` alone."""
