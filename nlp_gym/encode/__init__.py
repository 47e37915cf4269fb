"""Encoders of words to vectors, and a cache on disk; only `text_file` imports `nlp_gym.data`.

Torch and transformers are imported when a transformer first encodes, not before.
"""

from nlp_gym.encode.base import BOUND, Encoder
from nlp_gym.encode.cache import encode_corpus, encode_texts
from nlp_gym.encode.load import ENCODERS, load_encoder, make_encoder
from nlp_gym.encode.neighbours import Neighbours
from nlp_gym.encode.options import EncoderOptions
from nlp_gym.encode.units import encode_units

__all__ = [
    "BOUND",
    "ENCODERS",
    "Encoder",
    "EncoderOptions",
    "Neighbours",
    "encode_corpus",
    "encode_texts",
    "encode_units",
    "load_encoder",
    "make_encoder",
]
