"""How an encoder learns: the mode and its options, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from nlp_gym.checks import check_name, check_options
from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym_agents.networks.encoder.schedule import EncoderRate

MODES = ("frozen", "finetune", "lora", "adapter")
PRECISIONS = ("auto", "float32", "bfloat16")
_LARGEST = 65_536
TARGETS = ("attention", "all")


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """Options of a learning encoder (`--encoder-mode` and `--hyperparams tuning.KEY:VALUE`).

    Attributes:
        mode: ``"finetune"`` (its own weights), ``"lora"`` (low-rank updates of its linear layers,
            Hu et al. 2022, through peft) or ``"adapter"`` (a bottleneck after each layer, Houlsby
            et al. 2019).
        lr: Learning rate of the encoder at its highest, or a schedule as in the hyperparameter
            files (``"lin_5e-5"``).
        warm_lr: Of the encoder at its highest in a warm start, where it may learn faster than from
            rewards; None: as `lr`.
        warmup: Share of the run over which it rises from 0, after `hold`.
        hold: Share of the run at the beginning in which the encoder stands still, so that the head
            learns on its features first.
        weight_decay: Of the encoder's weight matrices.
        freeze_layers: Hidden states 0 (the embeddings) to this one stand still. None: all learn.
        dropout: In the encoder, while training. Policy gradients compare probabilities before and
            after an update, and dropout makes them differ for nothing: 0 for those.
        attention_dropout: Of the weights of attention, while training; None: `dropout`. With 0,
            attention is computed in one fused kernel.
        pairs: Tell the two parts of a text apart (question and passage, question and choice), as
            BERT was pretrained to: with a separator after the first and the segment of the second.
            A frozen encoder reads them as one text.
        rank: Of the updates (``"lora"``).
        alpha: The updates are scaled by alpha / rank (``"lora"``).
        targets: Layers that get one (``"lora"``): ``"attention"`` (query and value) or ``"all"``.
        bottleneck: Width of an adapter.
        checkpointing: Compute hidden states again when going backwards, rather than keep them.
        precision: Number format of the encoder's products: ``"float32"``, ``"bfloat16"`` (autocast)
            or ``"auto"``: bfloat16 where the device is fast in it.
        batch_tokens: Sub-words encoded in one piece; None: what suits the device.
    """

    mode: str = "finetune"
    lr: float | str = 5e-5
    warm_lr: float | None = None
    warmup: float = 0.1
    hold: float = 0.0
    weight_decay: float = 0.01
    freeze_layers: int | None = None
    dropout: float = 0.0
    attention_dropout: float | None = None
    pairs: bool = False
    rank: int = 8
    alpha: int = 16
    targets: str = "attention"
    bottleneck: int = 48
    checkpointing: bool = False
    precision: str = "float32"
    batch_tokens: int | None = None

    def __post_init__(self) -> None:
        """Check all values.

        Raises:
            InvalidArgumentError: A value outside what is allowed.
            UnknownNameError: A mode, precision or target that does not exist.
        """
        for name, known in (("mode", MODES[1:]), ("precision", PRECISIONS), ("targets", TARGETS)):
            check_name(f"tuning: {name}", getattr(self, name), tuple(known))
        for name in ("warmup", "hold", "dropout"):
            self._check(name, (int, float), 0, 1)
        if self.attention_dropout is not None:
            self._check("attention_dropout", (int, float), 0, 1)
        self._check("weight_decay", (int, float), 0, _LARGEST)
        if not isinstance(self.lr, str):
            self._check("lr", (int, float), 0, _LARGEST)
        EncoderRate.of(self.lr, warmup=self.warmup, hold=self.hold)
        if self.warm_lr is not None:
            self._check("warm_lr", (int, float), 0, _LARGEST)
        for name in ("rank", "alpha", "bottleneck"):
            self._check(name, (int,), 1, _LARGEST)
        if self.freeze_layers is not None:
            self._check("freeze_layers", (int,), 0, _LARGEST)
        if self.batch_tokens is not None:
            self._check("batch_tokens", (int,), 1, 2**31)
        for name in ("checkpointing", "pairs"):
            if not isinstance(getattr(self, name), bool):
                given = shown(getattr(self, name))
                raise InvalidArgumentError(f"tuning: {name}={given} must be true or false.")

    def _check(self, name: str, types: tuple[Any, ...], low: float, below: float) -> None:
        value: Any = getattr(self, name)
        fits = not isinstance(value, bool) and isinstance(value, types) and bool(value >= low)
        if not fits or value >= below:
            kind = "a whole number" if types == (int,) else "a number"
            raise InvalidArgumentError(
                f"tuning: {name}={shown(value)} must be {kind} from {low} to below {below}."
            )

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Tuning:
        """From the mapping in a file or on the command line.

        Raises:
            UnknownNameError: An option that does not exist.
            InvalidArgumentError: A value outside what is allowed.
        """
        check_options("tuning", values, [item.name for item in fields(cls)])
        return cls(**values)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for YAML and JSON."""
        return asdict(self)
