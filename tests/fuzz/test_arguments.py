"""Random sets of arguments for everything that users call: a result, or an error that says why."""

from __future__ import annotations

import contextlib
import io
import time
import traceback
import warnings
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nlp_gym
import nlp_gym_agents
from fuzz.calls import SMALL, Call, all_calls
from fuzz.conftest import fuzz
from fuzz.values import NAMES, VALUES
from nlp_gym.data import load_corpus
from nlp_gym.encode import load_encoder
from nlp_gym.errors import InvalidActionError, InvalidArgumentError, NLPGymError, UnknownNameError
from nlp_gym.memory import memory_limit
from nlp_gym.tasks.core.make import make_task
from nlp_gym.tasks.core.task import Task
from nlp_gym.types import Sample

LONGEST_MESSAGE = 3200
LONGEST_S = 10.0
OURS = tuple(str(Path(package.__file__).parent) for package in (nlp_gym, nlp_gym_agents))


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Call]:
    return all_calls(tmp_path_factory.mktemp("calls"))


def drawn_arguments(data: st.DataObject, call: Call) -> dict[str, Any]:
    """Up to three arguments of a call, the last of them hostile and the others right."""
    names = data.draw(
        st.lists(st.sampled_from(sorted(call.arguments)), min_size=1, max_size=3, unique=True)
    )
    *right, hostile = names
    chosen = {
        name: data.draw(st.sampled_from(call.arguments[name]))
        for name in right
        if call.arguments[name]
    }
    value = data.draw(st.sampled_from(sorted(VALUES)), label=f"value of {hostile}")
    return {**call.fixed, **chosen, hostile: VALUES[value]()}


def outcome(call: Call, arguments: Mapping[str, Any]) -> Exception | None:
    """The error of a call that is one of those allowed; None where there is none."""
    quiet = io.StringIO()
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(quiet))
        stack.enter_context(contextlib.redirect_stderr(quiet))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        try:
            call.function(arguments)
        except (NLPGymError, gym.error.Error) as error:
            return error
        except Exception as error:
            if not _before_us(error):
                raise
    return None


def _before_us(error: BaseException) -> bool:
    """Whether Gymnasium itself refused an argument, before any code of this project ran."""
    frames = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    ours = any(name.startswith(OURS) for name in frames)
    inside = error.__cause__ is None or _before_us(error.__cause__)
    return inside and not ours and any("/gymnasium/" in name for name in frames)


@pytest.mark.slow
@fuzz(200)
@given(data=st.data())
def test_arguments_have_a_result_or_a_typed_error(
    calls: dict[str, Call], data: st.DataObject
) -> None:
    kinds = defaultdict(list)
    for name in calls:
        kinds[name.partition(" ")[0]].append(name)
    kind = data.draw(st.sampled_from(sorted(kinds)))
    call = calls[data.draw(st.sampled_from(kinds[kind]), label="call")]
    arguments = drawn_arguments(data, call)
    start = time.process_time()
    error = outcome(call, arguments)
    assert time.process_time() - start < LONGEST_S
    if isinstance(error, NLPGymError):
        assert len(str(error)) < LONGEST_MESSAGE
        assert str(error).isprintable()


def test_calls_of_the_fuzzer_are_right_by_themselves(calls: dict[str, Call]) -> None:
    for name in ("make NER-CoNLL-v0", "make_vec SpanQA-SQuAD-v0", "samples Relation-CoNLL04-v0"):
        assert outcome(calls[name], calls[name].fixed) is None, name


def _used(made: Any) -> None:
    """Let a task or an environment load its encoder, which a name waits for."""
    if isinstance(made, Task):
        _ = made.encoder
    else:
        made.reset()


def vec(**kwargs: Any) -> Any:
    return gym.make_vec("POS-v0", **{**SMALL, **kwargs})


def env(**kwargs: Any) -> Any:
    return gym.make("POS-v0", **{**SMALL, **kwargs})


@pytest.mark.parametrize("make", [env, vec, lambda **k: make_task("POS-v0", **{**SMALL, **k})])
@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("task", 3),
        ("task", np.array(["a", "b"])),
        ("task", "nlp_gym.tasks:"),
        ("task", ".x:Y"),
        ("labels", {"O", "B-PER"}),
        ("labels", ["O", "O"]),
        ("labels", np.array([["O", "X"]])),
        ("labels", iter(["O", "X"])),
        ("labels", [1, 2]),
        ("labels", ["O", ""]),
        ("labels", "NOUN"),
        ("labels", ["\ud800"]),
        ("data_scheme", np.array(["iob1", "iob2"])),
        ("data_scheme", None),
        ("data_format", ["conll"]),
        ("encoder", "x" * 5000),
        ("encoder", "a\0b"),
        ("encoder", "../" * 2000),
        ("encoder", "~nobody/x"),
        ("encoder", np.array(["hashed", "minilm"])),
        ("encoder", b"hashed"),
        ("encoder", None),
        ("encoder", dict),
        ("split", np.array(["train", "dev"])),
        ("window", 10**6),
        ("window", 10**400),
        ("max_tokens", float("nan")),
        ("encoder_kwargs", {"dim": 10**9}),
        ("encoder_kwargs", {"layers": "mean:0-99999999999"}),
        ("encoder_kwargs", [["dim", 3]]),
        ("nonsense", 1),
    ],
)
def test_arguments_are_named(make: Any, argument: str, value: object) -> None:
    if argument == "encoder_kwargs" and "layers" in value:  # type: ignore[operator]
        with pytest.raises(InvalidArgumentError, match="layers="):
            load_encoder("minilm", **value)  # type: ignore[arg-type]
        return
    with pytest.raises(NLPGymError) as caught:
        _used(make(**{argument: value}))
    message = str(caught.value)
    assert argument in message
    assert len(message) < LONGEST_MESSAGE / 4
    assert message.isprintable()


@pytest.mark.parametrize("value", ["3", 0, -5, 2.5, float("nan"), np.int64(3), True, [1], b"1"])
def test_step_limit_is_checked_before_gymnasium_asserts(value: object) -> None:
    with pytest.raises(InvalidArgumentError, match="max_episode_steps="):
        env(max_episode_steps=value)
    if not isinstance(value, np.integer):
        with pytest.raises(InvalidArgumentError, match="max_episode_steps="):
            vec(max_episode_steps=value)


def test_step_limit_is_kept() -> None:
    for limit, expected in ((1, True), (-1, False), (None, False)):
        limited = env(max_episode_steps=limit)
        limited.reset(seed=0, options={"row": 0})
        *_, truncated, _ = limited.step(0)
        assert truncated is expected


@pytest.mark.parametrize(
    "value", [3, np.array(["ansi", "html"]), ["ansi"], {"ansi"}, dict, b"ansi"]
)
def test_render_mode_that_is_no_name(value: object) -> None:
    for make in (env, vec):
        with pytest.raises(UnknownNameError, match="render_mode="):
            make(render_mode=value)


def test_render_modes_are_asked_for_as_from_a_list() -> None:
    made = env(render_mode="rgb_array_list")
    assert made.render_mode == "rgb_array_list"
    modes = made.metadata["render_modes"]
    assert ("ansi" in modes, "depth" in modes, None in modes) == (True, False, False)


@pytest.mark.parametrize(
    "seed", [-1, 1.5, float("nan"), float("inf"), "3", True, b"1", [1], np.array([1, 2]), dict]
)
def test_seeds_of_single_environments(seed: object) -> None:
    made = env()
    with pytest.raises(InvalidArgumentError, match="seed="):
        made.reset(seed=seed)
    made.reset(seed=np.int64(3))
    made.reset(seed=10**400)


@pytest.mark.parametrize(
    "seed",
    [
        -1,
        float("nan"),
        "ab",
        [1],
        [1, 2, 3],
        [1, -1],
        [1, float("nan")],
        {1, 2},
        np.zeros((2, 2)),
        dict,
    ],
)
def test_seeds_of_vector_environments(seed: object) -> None:
    made = vec(num_envs=2)
    with pytest.raises(InvalidArgumentError, match="seed"):
        made.reset(seed=seed)
    for right in (None, 3, np.int64(3), [1, None], (1, 2), np.array([1, 2]), 10**400):
        made.reset(seed=right)


@pytest.mark.parametrize(
    "options",
    [
        3,
        0,
        "row",
        [("row", 0)],
        {"row": "0"},
        {"row": -1},
        {"row": 10**30},
        {"row": None},
        {"row": [[0], [1, 2]]},
        {"row": 0.0},
        {"line": 1},
        {3: 1},
    ],
)
def test_options_of_reset(options: object) -> None:
    for made in (env(), vec(num_envs=2)):
        with pytest.raises(InvalidArgumentError, match="options"):
            made.reset(options=options)
        made.reset(options={})


@pytest.mark.parametrize(
    "action",
    [
        float("inf"),
        float("nan"),
        None,
        "1",
        b"1",
        10**400,
        -1,
        1.5,
        [0],
        {},
        dict,
        1j,
        np.array([0, 1]),
        np.zeros(0, int),
        np.array("a"),
        np.array(None),
        np.datetime64("NaT"),
    ],
)
def test_actions_of_single_environments(action: object) -> None:
    made = env()
    made.reset(seed=0)
    with pytest.raises(InvalidActionError, match="action="):
        made.step(action)
    made.step(np.array([1]))  # the episode goes on


@pytest.mark.parametrize(
    "actions",
    [
        None,
        0,
        [0],
        [0, 0, 0],
        [0.0, 1.0],
        [0, None],
        [0, -1],
        [0, 10**30],
        [[0], [0, 1]],
        "ab",
        {0, 1},
        [True, False],
        np.zeros((2, 1), int),
        np.array(["0", "1"]),
        [0, float("nan")],
        dict,
    ],
)
def test_actions_of_vector_environments(actions: object) -> None:
    made = vec(num_envs=2)
    made.reset(seed=0)
    with pytest.raises(InvalidActionError, match="action"):
        made.step(actions)
    made.step([0, 1])


@pytest.mark.parametrize("value", [0, -1, "2", 2.0, None, True, [2], np.array([2, 2]), 10**400])
def test_number_of_environments(value: object) -> None:
    with pytest.raises(InvalidArgumentError, match="num_envs="):
        vec(num_envs=value)


@pytest.mark.parametrize("obs_type", ["features", "tokens", "index"])
def test_environments_that_memory_cannot_hold_are_refused(obs_type: str) -> None:
    too_many = memory_limit() // 1500
    start = time.process_time()
    with pytest.raises(InvalidArgumentError, match=r"num_envs=.* would need .*B of memory"):
        vec(num_envs=too_many, obs_type=obs_type)
    assert time.process_time() - start < 2


def test_names_of_data_are_checked() -> None:
    for kwargs in ({"name": NAMES["5000 letters"]}, {"name": ["conll2003"]}, {"name": 3}):
        with pytest.raises(NLPGymError) as caught:
            load_corpus(**kwargs)  # type: ignore[arg-type]
        assert len(str(caught.value)) < LONGEST_MESSAGE / 2


def test_lists_stand_for_tuples_in_samples() -> None:
    samples = [Sample(["Ana", "left"], ["O", "O"]), Sample(("Li",), ("O",))]  # type: ignore[arg-type]
    task = make_task("NER-v0", data=samples, encoder="hashed", labels=["O"])
    assert task.corpus.samples[0] == Sample(("Ana", "left"), ("O", "O"))
    texts = [Sample(["a", "b"], gold=("c",)), Sample(("d",), gold=("e",))]  # type: ignore[arg-type]
    gym.make("Generation-v0", data=texts, encoder="hashed").reset(seed=0)


def test_arguments_that_hold_themselves_are_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    for argument in ("comments", "labels", "augment", "column"):
        with pytest.raises(NLPGymError, match=argument):
            env(**{argument: endless}, data=[Sample(("Ana",), ("X",))])
