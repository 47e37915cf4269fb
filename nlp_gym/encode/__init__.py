"""Encoders turn words into vectors, and the cache keeps what they computed.

torch and transformers are imported when a transformer first encodes, not before.
"""

from nlp_gym.encode.base import BOUND, Encoder
from nlp_gym.encode.cache import encode_corpus, encode_texts
from nlp_gym.encode.load import ENCODERS, load_encoder

__all__ = ["BOUND", "ENCODERS", "Encoder", "encode_corpus", "encode_texts", "load_encoder"]
