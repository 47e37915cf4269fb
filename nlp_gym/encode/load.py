"""`load_encoder`: from a name or path to an encoder."""

from __future__ import annotations

from typing import Any
from weakref import WeakValueDictionary

from nlp_gym.encode.base import Encoder
from nlp_gym.encode.compact import compacted
from nlp_gym.encode.hashed import HashedEncoder
from nlp_gym.encode.options import EncoderOptions
from nlp_gym.encode.transformer.encoder import TransformerEncoder
from nlp_gym.encode.weights.sources import find_source
from nlp_gym.errors import InvalidArgumentError, shown

ENCODERS = ("minilm", "hashed")
"""Built-in names; a folder's path or a Hugging Face Hub name works too."""

# Environments and splits with the same encoder share one copy of its weights and projection.
_in_use: WeakValueDictionary[tuple[object, ...], Encoder] = WeakValueDictionary()


def load_encoder(name: str | Encoder = "minilm", **options: Any) -> Encoder:
    """Return an encoder; neither torch nor the weights are loaded before it encodes.

    Args:
        name: ``"minilm"`` (all-MiniLM-L6-v2, from the package of the extra ``minilm``),
            ``"hashed"`` (numpy, for tests), a folder, the name of a model in the local Hugging Face
            cache, or an `Encoder`, which is returned as it is.
        **options: Fields of `EncoderOptions`: `dim` for ``"hashed"``, otherwise `layers`,
            `pooling`, `dtype`, `device`, `max_length` and `batch_tokens`; for both `project` and
            `storage`.

    Raises:
        UnknownNameError: The name or an option is not known.
        InvalidArgumentError: An option's value does not fit.
        MissingDependencyError: ``"minilm"`` without its package.
        EncoderError: A folder or Hub name has no usable model.
    """
    return make_encoder(name, EncoderOptions.of(options, encoder=name))


def make_encoder(name: str | Encoder, encoder_kwargs: EncoderOptions) -> Encoder:
    """Return an encoder as `load_encoder` does, from options that have been checked."""
    if not isinstance(name, str):
        if not isinstance(name, Encoder):
            raise InvalidArgumentError(
                f"encoder={shown(name)} must be a name ({', '.join(ENCODERS)}, a folder, a Hub "
                "name) or an object with name, dim, fingerprint, bound, encode and tokenize."
            )
        return name
    smaller: dict[str, Any] = {
        "project": encoder_kwargs.project,
        "storage": encoder_kwargs.storage,
    }
    if name == "hashed":
        return compacted(HashedEncoder(encoder_kwargs), **smaller)
    encoder = _shared(TransformerEncoder(find_source(name, ENCODERS), encoder_kwargs))
    return _shared(compacted(encoder, **smaller))


def _shared(encoder: Encoder) -> Encoder:
    """The encoder that is in use already, if there is one like it."""
    options = encoder.options  # type: ignore[attr-defined]
    key = (encoder.fingerprint, options.device, options.batch_tokens)
    return _in_use.setdefault(key, encoder)
