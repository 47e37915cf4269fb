"""What learns in an encoder: all of it, low-rank updates or adapters; the rest is frozen."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import torch as th
from torch import nn

from nlp_gym.encode.transformer.pooling import layer_stack
from nlp_gym.errors import InvalidArgumentError, MissingDependencyError, shown
from nlp_gym_agents.networks.encoder.options import Tuning

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_ATTENTION = ("query", "value", "q_lin", "v_lin", "q_proj", "v_proj")
"""Names of the linear layers of queries and values in the usual families."""


_INNER = re.compile(r"(attention\.self|attention|attn|self_attn)\.(attn_)?dropout$")
"""Names of the modules that drop weights of attention, in the usual families."""


_RATES = ("attention_dropout", "dropout_prob")
"""Attributes in which attention keeps its rate as a number, where it has no module for dropout."""


def prepare(model: PreTrainedModel, tuning: Tuning) -> None:
    """Prepare a fresh pretrained model for learning, in place.

    What does not learn is turned from parameters into buffers that are not saved: optimizers,
    target networks and checkpoints then see nothing but what learns.

    Args:
        model: A transformer.
        tuning: How it learns.

    Raises:
        InvalidArgumentError: Its family has no list of layers, and the mode needs one.
        MissingDependencyError: peft is not installed, and the mode is ``"lora"``.
    """
    given = tuning.attention_dropout
    inner = tuning.dropout if given is None else given
    for name, module in model.named_modules():
        if isinstance(module, nn.Dropout):
            module.p = inner if _INNER.search(name) else tuning.dropout
        for rate in set(_RATES) & set(vars(module)):
            if isinstance(vars(module)[rate], float):
                setattr(module, rate, inner)
    if tuning.mode == "lora":
        _add_lora(model, tuning)
    elif tuning.mode == "adapter":
        _add_adapters(model, tuning)
    elif tuning.freeze_layers is not None:
        _freeze(model, tuning)
    pooler = getattr(model, "pooler", None)
    if pooler is not None:
        pooler.requires_grad_(False)  # word vectors do not pass through it
    if tuning.checkpointing:
        # The latter is the name before transformers 5.
        enable = getattr(model, "activation_checkpointing_enable", None)
        (enable or model.gradient_checkpointing_enable)({"use_reentrant": False})
    _freeze_into_buffers(model)


def share_frozen(source: nn.Module, target: nn.Module) -> None:
    """Let `target`, built alike, use the memory of `source` for what does not learn."""
    for own, other in zip(target.modules(), source.modules(), strict=True):
        for name in own._non_persistent_buffers_set:
            own._buffers[name] = other._buffers[name]


class Adapter(nn.Module):
    """A bottleneck with a residual connection, which begins as the identity.

    Args:
        width: Of the hidden states.
        bottleneck: Of the adapter.
    """

    def __init__(self, width: int, bottleneck: int) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(width, bottleneck), nn.Linear(bottleneck, width)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, hidden: th.Tensor) -> th.Tensor:
        """Changed hidden states (B, L, width)."""
        changed: th.Tensor = hidden + self.up(nn.functional.gelu(self.down(hidden)))
        return changed


def _unfrozen_layers(model: PreTrainedModel, tuning: Tuning) -> nn.ModuleList:
    """The layers above those that `freeze_layers` names."""
    stack: Any = layer_stack(model)
    if stack is None:
        raise InvalidArgumentError(
            f"encoder_mode={shown(tuning.mode)} (freeze_layers={tuning.freeze_layers}): the layers "
            f"of a {type(model).__name__} are not known. Use a model of BERT's family, "
            "encoder_mode='finetune' without freeze_layers, or 'lora'."
        )
    layers: nn.ModuleList = stack.layer
    upto = tuning.freeze_layers or 0
    if upto >= len(layers):
        raise InvalidArgumentError(
            f"freeze_layers={upto} leaves nothing to learn: the encoder reads hidden states 0 to "
            f"{len(layers)}."
        )
    return layers[upto:]


def _freeze(model: PreTrainedModel, tuning: Tuning) -> None:
    layers = _unfrozen_layers(model, tuning)
    model.requires_grad_(False)
    layers.requires_grad_(True)


def _add_adapters(model: PreTrainedModel, tuning: Tuning) -> None:
    layers = _unfrozen_layers(model, tuning)
    model.requires_grad_(False)
    for layer in layers:
        layer.add_module("adapter", Adapter(model.config.hidden_size, tuning.bottleneck))
        layer.register_forward_hook(_adapt)


def _adapt(layer: Any, _: object, output: Any) -> Any:
    """A layer's output through its own adapter; some families give a tuple."""
    if isinstance(output, tuple):
        return (layer.adapter(output[0]), *output[1:])
    return layer.adapter(output)


def _add_lora(model: PreTrainedModel, tuning: Tuning) -> None:
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise MissingDependencyError("peft", "lora", "encoder_mode='lora'") from error

    inside = set(model.modules())
    if tuning.freeze_layers is not None:
        inside = set(_unfrozen_layers(model, tuning).modules())
    names = [
        name
        for name, module in model.named_modules()
        if module in inside
        and _is_linear(name, module)
        and (tuning.targets == "all" or name.rpartition(".")[2] in _ATTENTION)
    ]
    if not names:
        raise InvalidArgumentError(
            f"tuning: targets='attention' finds no queries and values in a {type(model).__name__}; "
            "use targets='all'."
        )
    config = LoraConfig(
        r=tuning.rank, lora_alpha=tuning.alpha, lora_dropout=tuning.dropout, target_modules=names
    )
    inject_adapter_in_model(config, model)  # it also fixes everything else


def _is_linear(name: str, module: nn.Module) -> bool:
    """Whether a module can get low-rank updates."""
    return isinstance(module, nn.Linear) and "pooler" not in name


def _freeze_into_buffers(model: nn.Module) -> None:
    """Turn parameters that do not learn into buffers that are not saved."""
    for module in model.modules():
        for name, parameter in list(module._parameters.items()):
            if parameter is not None and not parameter.requires_grad:
                del module._parameters[name]
                module.register_buffer(name, parameter.data, persistent=False)
