"""Finds and loads the files of a pretrained model; imports no other package of `nlp_gym`."""
