"""Changes of texts that keep their meaning and their gold; imports `nlp_gym.data.text` alone."""

from nlp_gym.data.text.changes.apply import apply_edits, text_of
from nlp_gym.data.text.changes.drawn import drawn_copies
from nlp_gym.data.text.changes.edits import CHANGES, NEIGHBOURS, USUAL, Edit
from nlp_gym.data.text.changes.find import Finder, checked_kinds, known_words, names_by_type

__all__ = [
    "CHANGES",
    "NEIGHBOURS",
    "USUAL",
    "Edit",
    "Finder",
    "apply_edits",
    "checked_kinds",
    "drawn_copies",
    "known_words",
    "names_by_type",
    "text_of",
]
