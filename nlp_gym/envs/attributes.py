"""`call`, `get_attr` and `set_attr` of Gymnasium's vector environments, on environments in one."""

from __future__ import annotations

from typing import Any

from nlp_gym.envs.rows import RowSampler
from nlp_gym.errors import InvalidArgumentError, shown
from nlp_gym.render import check_render_mode
from nlp_gym.tasks.core.task import Task

_EACH = {"action_masks": "action_masks", "oracle_action": "oracle_actions", "outputs": "outputs"}
"""Methods of a single environment, and those that give the result of all."""
_SINGLE = {
    "observation_space": "single_observation_space",
    "action_space": "single_action_space",
}
_WHOLE = ("reset", "step")
_FIXED = (
    *_SINGLE,
    *_SINGLE.values(),
    "autoreset_mode",
    "layout",
    "metadata",
    "num_envs",
    "obs_type",
    "spec",
    "unwrapped",
)
"""What cannot be set: arrays and spaces were made for it."""


class EachAttribute:
    """Mix-in of the vector environment: attributes as each environment would have them.

    The environments share one task and everything else that this object holds, so those attributes
    are the same for all of them. Generators, and attributes that `set_attr` adds, are each
    environment's own.
    """

    num_envs: int
    render_mode: str | None
    _sampler: RowSampler

    def __init__(self) -> None:
        self._own: dict[str, tuple[Any, ...]] = {}

    def use(self, task: Task) -> None:
        """Play `task` from the next `reset` on."""
        raise NotImplementedError

    def render(self) -> tuple[Any, ...] | None:
        """One drawing per environment."""
        raise NotImplementedError

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """What the method (or attribute) `name` of each environment gives, B of them.

        ``action_masks``, ``oracle_action``, ``outputs`` and ``render`` are the environments' own.
        What else this object has is called once, and its result is everyone's.

        Raises:
            AttributeError: There is none of that name.
            InvalidArgumentError: It is ``"reset"`` or ``"step"``, which belong to all.
        """
        if name in _WHOLE:
            raise InvalidArgumentError(
                f"name={shown(name)}: environments in one object are reset and stepped together; "
                "call reset(options={'reset_mask': ...}) for some of them, or step(actions)."
            )
        if name in _EACH:
            values = getattr(self, _EACH[name])(*args, **kwargs)
            return tuple(values.tolist() if name == "oracle_action" else values)
        if name == "render":
            drawings = self.render()
            return (None,) * self.num_envs if drawings is None else drawings
        if name == "np_random":
            return self._sampler.generators()
        if name in self._own:
            return tuple(v(*args, **kwargs) if callable(v) else v for v in self._own[name])
        value = getattr(self, _SINGLE.get(name, name))
        return (value(*args, **kwargs) if callable(value) else value,) * self.num_envs

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """The attribute `name` of each environment, B of them; see `call`.

        Raises:
            AttributeError: There is none of that name.
        """
        return self.call(name)

    def set_attr(self, name: str, values: Any) -> None:
        """Set the attribute `name` of each environment.

        ``task`` and ``render_mode`` are shared: they can only be set to one value, which all get
        (a task as by `use`, from the next `reset` on). ``np_random`` sets the generators of the
        samples to come, and a name that does not exist yet is added, each with its own value.

        Args:
            name: Name of the attribute.
            values: A list or tuple of B values, or one for all environments.

        Raises:
            InvalidArgumentError: There are not B values, those of a shared attribute differ, or
                it cannot be set at all.
        """
        each = tuple(values) if isinstance(values, list | tuple) else (values,) * self.num_envs
        if len(each) != self.num_envs:
            raise InvalidArgumentError(
                f"values={shown(values)} has {len(each)} entries for num_envs={self.num_envs}: "
                "give one value, or one for each environment."
            )
        if name == "np_random":
            for i, generator in enumerate(each):
                self._sampler.seed(i, generator)
        elif name in self._own or not hasattr(self, name):
            self._own[name] = each
        elif name in _FIXED or callable(getattr(self, name)) or name.startswith("_"):
            raise InvalidArgumentError(
                f"name={shown(name)} cannot be set: it is decided where the environment is made."
            )
        elif any(value is not each[0] for value in each):
            raise InvalidArgumentError(
                f"values={shown(values)} differ, and the environments share their {shown(name)}: "
                "give one value for all of them."
            )
        elif name == "task":
            self.use(each[0])
        else:
            if name == "render_mode":
                check_render_mode(each[0])
            setattr(self, name, each[0])
