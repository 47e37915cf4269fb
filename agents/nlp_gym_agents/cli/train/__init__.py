"""``nlp-gym train``, its searches, and the flags of RL Zoo."""
