"""Hyperparameter files, overrides from the command line, and what they are checked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
import torch as th
import yaml
from stable_baselines3.common.utils import LinearSchedule

from nlp_gym import make_task
from nlp_gym.encode import EncoderOptions, load_encoder
from nlp_gym.errors import InvalidArgumentError, UnknownNameError
from nlp_gym.tasks.core.make import task_class, task_ids
from nlp_gym.types import Sample
from nlp_gym_agents.algorithms.registry import ALGORITHMS
from nlp_gym_agents.config.hyperparams import (
    FOLDER,
    build_arguments,
    load_hyperparams,
    parse_overrides,
    parse_value,
)
from nlp_gym_agents.config.learning import KLOptions, LearningOptions, StartOptions
from nlp_gym_agents.config.signatures import arguments, hint_of
from nlp_gym_agents.config.train_config import TrainConfig, merge
from nlp_gym_agents.models.build import build_model
from nlp_gym_agents.networks.encoder.options import Tuning

HIDDEN = "policy_kwargs.features_extractor_kwargs.hidden"


@pytest.mark.parametrize("algo", sorted(ALGORITHMS))
@pytest.mark.parametrize("env_id", task_ids())
def test_config_files_fit_their_algorithms(algo: str, env_id: str) -> None:
    params = load_hyperparams(algo, env_id)
    assert {"n_envs", "n_timesteps", "policy", "learning_rate"} <= set(params)
    assert yaml.safe_load(yaml.safe_dump(params)) == params
    arguments = build_arguments(params)
    assert not {"n_envs", "n_timesteps", "env_kwargs"} & set(arguments)
    assert arguments["policy_kwargs"]["net_arch"] == []


@pytest.mark.parametrize("algo", ["maskable_ppo", "ppo"])
@pytest.mark.parametrize("mode", ["frozen", "finetune"])
@pytest.mark.parametrize("env_id", task_ids())
def test_config_sections_of_warm_starts_fit_their_algorithms(
    algo: str, mode: str, env_id: str
) -> None:
    cold = load_hyperparams(algo, env_id, encoder_mode=mode)
    warm = load_hyperparams(algo, env_id, encoder_mode=mode, warm=True)
    # What starts from clones explores no more, and takes no larger steps.
    assert warm["ent_coef"] <= cold["ent_coef"]
    assert _rate(warm) <= _rate(cold)
    options = LearningOptions.of(warm)
    assert (options.tuning is None) == (mode == "frozen")
    build_arguments(warm)


def _rate(params: dict[str, Any]) -> float:
    return float(str(params["learning_rate"]).removeprefix("lin_"))


@pytest.mark.parametrize("algo", sorted(ALGORITHMS))
def test_config_every_algorithm_has_a_file(algo: str) -> None:
    assert "default" in yaml.safe_load((FOLDER / f"{algo}.yml").read_text(encoding="utf-8"))


def test_config_entry_of_an_id_replaces_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nlp_gym_agents.config.hyperparams.FOLDER", tmp_path)
    (tmp_path / "ppo.yml").write_text(
        "default: &d\n  gamma: 0.5\n  n_envs: 4\n"
        "A-v0:\n  <<: *d\n  n_envs: 8\n"
        "B-v0:\n  n_envs: 9\n",
        encoding="utf-8",
    )
    assert load_hyperparams("ppo", "A-v0") == {"gamma": 0.5, "n_envs": 8}
    assert load_hyperparams("ppo", "B-v0") == {"n_envs": 9}
    assert load_hyperparams("ppo", "C-v0") == {"gamma": 0.5, "n_envs": 4}


def test_config_entry_of_a_warm_start_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nlp_gym_agents.config.hyperparams.FOLDER", tmp_path)
    text = "default:\n  gamma: 0.5\n  n_timesteps: 9\nNER-CoNLL-v0@bc:\n  n_timesteps: 7\n"
    (tmp_path / "ppo.yml").write_text(text, encoding="utf-8")
    warm = {"algo": "ppo", "env": "NER-CoNLL-v0", "warm_start": "bc"}
    assert merge(TrainConfig(**warm)).n_timesteps == 7
    assert merge(TrainConfig(**{**warm, "warm_start": None})).n_timesteps == 9
    assert merge(TrainConfig(**{**warm, "env": "NER-WNUT-v0"})).n_timesteps == 9
    assert load_hyperparams("ppo", "NER-CoNLL-v0", warm=True) == {"n_timesteps": 7}


def test_config_files_are_never_evaluated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nlp_gym_agents.config.hyperparams.FOLDER", tmp_path)
    (tmp_path / "ppo.yml").write_text("default:\n  gamma: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(yaml.YAMLError):
        load_hyperparams("ppo", "A-v0")
    (tmp_path / "ppo.yml").write_text('default:\n  policy_kwargs: "dict(net_arch=[64])"\n')
    with pytest.raises(InvalidArgumentError, match="policy_kwargs"):
        load_hyperparams("ppo", "A-v0")


def test_config_overrides_are_merged() -> None:
    base = load_hyperparams("ppo", "NER-CoNLL-v0")
    got = load_hyperparams(
        "ppo",
        "NER-CoNLL-v0",
        ["learning_rate:3e-4", f"{HIDDEN}:[512, 64]", "policy_kwargs:{ortho_init: false}"],
    )
    assert got["learning_rate"] == 3e-4
    assert got["policy_kwargs"]["features_extractor_kwargs"]["hidden"] == [512, 64]
    assert got["policy_kwargs"]["ortho_init"] is False
    assert {k: v for k, v in got.items() if k not in ("learning_rate", "policy_kwargs")} == {
        k: v for k, v in base.items() if k not in ("learning_rate", "policy_kwargs")
    }
    nested = {"policy_kwargs": {"features_extractor_kwargs": {"hidden": [512, 64]}}}
    assert load_hyperparams("ppo", "NER-CoNLL-v0", nested)["policy_kwargs"] != base["policy_kwargs"]
    assert load_hyperparams("ppo", "NER-CoNLL-v0") == base


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("1E6", 1e6),
        ("-2.5e-1", -0.25),
        ("7", 7),
        ("lin_1e-3", "lin_1e-3"),
        ("None", None),
        ("null", None),
        ("true", True),
        ("[1, 2e2]", [1, 200.0]),
        ("{a: {b: 1e-2}}", {"a": {"b": 0.01}}),
        ("a:b", "a:b"),
        ("", None),
    ],
)
def test_config_values(text: str, value: Any) -> None:
    got = parse_value(text)
    assert got == value
    assert type(got) is type(value)


def test_config_overrides_parse() -> None:
    items = ["a.b:1", "a.c:x:y", "a.b:2", "d : [1]"]
    assert parse_overrides(items) == {"a": {"b": 2, "c": "x:y"}, "d": [1]}


@pytest.mark.parametrize("item", ["gamma", ":3", "a..b:1", ""])
def test_config_overrides_need_a_key_and_a_colon(item: str) -> None:
    with pytest.raises(InvalidArgumentError, match="key:value"):
        parse_overrides([item])


def test_config_overrides_must_be_yaml() -> None:
    with pytest.raises(InvalidArgumentError, match=r"hyperparams='hidden:\[1'.*YAML"):
        parse_overrides(["hidden:[1"])


@pytest.mark.parametrize(
    ("algo", "item", "near"),
    [
        ("ppo", "learning_rat:1", "'learning_rate'"),
        ("masked_dqn", "bufer_size:10", "'buffer_size'"),
        ("masked_dqn", "doubl:true", "'double'"),
        ("ppo", "policy_kwargs.optimizer_clas:Adam", "'optimizer_class'"),
        ("ppo", "policy_kwargs.optimizer_class:AdamWW", "'AdamW'"),
        ("ppo", "policy_kwargs.optimizer_kwargs.weight_decy:1", "'weight_decay'"),
        ("ppo", "policy_kwargs.features_extractor_kwargs.hiden:[1]", "'hidden'"),
        ("masked_dqn", "policy_kwargs.duelling:false", "'dueling'"),
        ("ppo", "policy:MultiInputPolcy", "'MultiInputPolicy'"),
        ("pppo", "gamma:1", "'ppo'"),
    ],
)
def test_config_unknown_names(algo: str, item: str, near: str) -> None:
    with pytest.raises(UnknownNameError, match=f"Did you mean {near}"):
        load_hyperparams(algo, "NER-CoNLL-v0", [item])


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ("batch_size:many", "batch_size='many' is str"),
        ("batch_size:1.5", "batch_size=1.5 is float"),
        ("batch_size:true", "batch_size=True is bool"),
        ("batch_size:0", "from 1"),
        ("gamma:1.5", "from 0 to 1"),
        ("gamma:.nan", "from 0 to 1"),
        ("learning_rate:0", "above 0"),
        ("learning_rate:fast", "lin_NUMBER"),
        ("learning_rate:lin_fast", "lin_NUMBER"),
        ("learning_rate:lin_-1e-3", "above 0"),
        ("clip_range:[1]", "lin_NUMBER"),
        ("n_envs:0", "from 1"),
        ("n_timesteps:soon", "n_timesteps='soon' is str"),
        ("normalize_advantage:3", "normalize_advantage=3 is int, but bool"),
        ("policy_kwargs:3", "policy_kwargs=3"),
        ("policy_kwargs.ortho_init:maybe", "ortho_init='maybe'"),
        ("seed:3", "--seed"),
        ("device:cpu", "--device"),
    ],
)
def test_config_wrong_values(item: str, words: str) -> None:
    with pytest.raises(InvalidArgumentError, match=words):
        load_hyperparams("ppo", "NER-CoNLL-v0", [item])


def test_config_whole_floats_become_integers() -> None:
    got = load_hyperparams("ppo", "NER-CoNLL-v0", ["n_timesteps:2e6", "n_steps:8.0"])
    assert (got["n_timesteps"], got["n_steps"]) == (2_000_000, 8)
    assert type(got["n_timesteps"]) is int


@pytest.mark.parametrize("algo", ["bc", "ppo", "maskable_ppo", "dqn", "masked_dqn", "a2c"])
@pytest.mark.parametrize("mode", ["finetune", "lora", "adapter"])
@pytest.mark.parametrize("env", ["SpanQA-SQuAD-v0", "Sentiment-SST2-v0", "KnowledgeGraph-v0"])
def test_config_of_learning_encoders_is_added_to_the_familys(
    algo: str, mode: str, env: str
) -> None:
    frozen = load_hyperparams(algo, env)
    learning = load_hyperparams(algo, env, encoder_mode=mode)
    assert learning["tuning"]
    for name in ("gamma", "mask_loss", "policy_kwargs"):
        assert learning.get(name) == frozen.get(name), name
    kept = {"encoder_kwargs": {"layers": "last"}, **frozen.get("env_kwargs", {})}
    assert learning["env_kwargs"] == kept


def test_config_null_is_allowed_where_the_class_allows_it() -> None:
    got = load_hyperparams("ppo", "NER-CoNLL-v0", ["target_kl:None", "clip_range_vf:null"])
    assert build_arguments(got)["clip_range_vf"] is None
    with pytest.raises(InvalidArgumentError, match="n_steps=None"):
        load_hyperparams("ppo", "NER-CoNLL-v0", ["n_steps:None"])


def test_config_schedules_and_classes_are_built() -> None:
    params = load_hyperparams(
        "ppo",
        "NER-CoNLL-v0",
        [
            "learning_rate:lin_1e-3",
            "clip_range:lin_0.2",
            "policy_kwargs.optimizer_class:AdamW",
            "policy_kwargs.activation_fn:gelu",
        ],
    )
    arguments = build_arguments(params)
    rate = arguments["learning_rate"]
    assert isinstance(rate, LinearSchedule)
    assert [rate(p) for p in (1.0, 0.5, 0.0)] == pytest.approx([1e-3, 5e-4, 0.0])
    assert arguments["clip_range"](0.25) == pytest.approx(0.05)
    assert arguments["policy_kwargs"]["optimizer_class"] is th.optim.AdamW
    assert arguments["policy_kwargs"]["activation_fn"] is th.nn.GELU
    assert params["policy_kwargs"]["optimizer_class"] == "AdamW"
    assert build_arguments({"learning_rate": 1e-3})["learning_rate"] == 1e-3


def test_config_train_freq_may_be_a_pair() -> None:
    params = load_hyperparams("dqn", "NER-CoNLL-v0", ["train_freq:[2, step]"])
    assert build_arguments(params)["train_freq"] == (2, "step")


def test_config_third_party_class_starts_from_the_default_file() -> None:
    params = load_hyperparams("stable_baselines3:A2C", "NER-CoNLL-v0", ["n_steps:3"])
    assert params["n_steps"] == 3
    with pytest.raises(UnknownNameError, match="'n_steps'"):
        load_hyperparams("stable_baselines3:A2C", "NER-CoNLL-v0", ["n_stepss:3"])


@pytest.mark.parametrize("algo", sorted(ALGORITHMS))
def test_config_type_hints_of_every_algorithm_are_read(algo: str) -> None:
    hints = arguments(ALGORITHMS[algo].cls)
    family = ALGORITHMS[algo].policy_kind
    main = {"gamma": float, "policy_kwargs": dict[str, Any] | None}
    if family == "q":
        main |= {"buffer_size": int, "batch_size": int, "train_freq": int | tuple[int, str]}
        main |= {"replay_buffer_kwargs": dict[str, Any] | None, "tau": float}
    elif algo == "rloo":
        main |= {"texts": int, "samples": int, "batch_size": int | None}
    elif family == "actor_critic":
        main |= {"n_steps": int, "ent_coef": float, "vf_coef": float}
    else:
        main |= {"batch_size": int}
    assert {name: hints[name] for name in main} == main


def test_config_hints_skip_only_names_that_are_not_there() -> None:
    def typed(one: Any, two: Any, three: Any) -> None:
        pass

    typed.__annotations__ = {"one": "int", "two": "Absent | str", "three": "list[Absent]"}
    assert hint_of(typed, "one") is int
    assert Any in get_args(hint_of(typed, "two"))
    assert hint_of(typed, "three") == list[Any]
    assert hint_of(typed, "four") is Any


@pytest.mark.parametrize("algo", ["dqn", "masked_dqn", "qrdqn"])
@pytest.mark.parametrize(
    ("item", "words"),
    [
        ("batch_size:1.5", "batch_size=1.5 is float"),
        ("buffer_size:null", "buffer_size=None"),
        ("train_freq:[1, foo]", r"train_freq=.*\[4, step\]"),
        ("train_freq:[0, step]", "train_freq="),
        ("train_freq:[1]", "train_freq="),
        ("replay_buffer_kwargs:3", "replay_buffer_kwargs=3 is int"),
        ("policy_kwargs:3", "policy_kwargs=3 is int"),
        ("policy_kwargs.features_extractor_kwargs:3", "features_extractor_kwargs=3"),
        ("policy_kwargs.optimizer_kwargs:[1]", "optimizer_kwargs="),
    ],
)
def test_config_wrong_values_of_replaying_algorithms(algo: str, item: str, words: str) -> None:
    with pytest.raises(InvalidArgumentError, match=words):
        load_hyperparams(algo, "NER-CoNLL-v0", [item])


@pytest.mark.filterwarnings("ignore:You have specified a mini-batch size")
@pytest.mark.parametrize("algo", sorted(ALGORITHMS))
@pytest.mark.parametrize(
    "item",
    [
        "policy_kwargs:null",
        "policy_kwargs.optimizer_kwargs:null",
        "policy_kwargs.features_extractor_kwargs:null",
    ],
)
def test_config_null_mappings_build_a_model(algo: str, item: str) -> None:
    small = ["buffer_size:64"] if ALGORITHMS[algo].policy_kind == "q" else []
    params = load_hyperparams(algo, "NER-CoNLL-v0", [item, *small])
    task = make_task("NER-CoNLL-v0", corpus="sample", encoder="hashed", window=0)
    model = build_model(ALGORITHMS[algo], task, params, n_envs=2, device="cpu")
    assert model.policy is not None


# -- options as objects ------------------------------------------------------------------------


def test_config_options_are_objects() -> None:
    config = merge(
        TrainConfig(
            "Question-TREC-v0",
            "maskable_ppo",
            warm_start="bc",
            env_kwargs={"encoder_kwargs": {"pooling": "first"}},
            hyperparams={
                "kl": {"target": 0.1},
                "start": {"temperature": 0.5, "fit_values": False},
            },
        )
    )
    assert config.env_kwargs["encoder_kwargs"] == {"pooling": "first"}  # as it was written
    task_layers = task_class("Question-TREC-v0").default_layers
    assert config.encoder_kwargs == EncoderOptions(pooling="first", layers=task_layers)
    assert config.encoder_kwargs is config.encoder_kwargs
    assert config.learning == LearningOptions(
        kl=KLOptions(target=0.1), start=StartOptions(temperature=0.5)
    )
    learns = merge(TrainConfig("NER-CoNLL-v0", "ppo", encoder_mode="lora", encoder_lr=1e-4))
    assert learns.learning.tuning == Tuning.of(learns.hyperparams["tuning"])
    assert learns.encoder_kwargs == EncoderOptions(layers="last")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"encoder_kwargs": {"layer": 1}}, "encoder_kwargs option='layer'.*'layers'"),
        ({"encoder": "hashed", "encoder_kwargs": {"layers": 1}}, "encoder_kwargs option='layers'"),
        ({"encoder_kwargs": {"pooling": "max"}}, "encoder_kwargs: pooling='max'"),
        ({"encoder_kwargs": [1]}, r"encoder_kwargs=\[1\] must be"),
    ],
)
def test_config_messages_name_encoder_kwargs(given: dict[str, Any], message: str) -> None:
    config = merge(TrainConfig(env_kwargs=given))
    with pytest.raises(InvalidArgumentError, match=message):
        _ = config.encoder_kwargs
    with pytest.raises(InvalidArgumentError, match=message):
        make_task("NER-CoNLL-v0", corpus="sample", **given)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"kl": {"coeff": 1}}, "kl option='coeff'.*'coef'"),
        ({"kl": 3}, "kl=3 is int"),
        ({"start": {"temprature": 1}}, "start option='temprature'.*'temperature'"),
    ],
)
def test_config_messages_name_the_section(section: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        merge(TrainConfig(algo="ppo", warm_start="bc", hyperparams=section))


@pytest.mark.parametrize("name", ["layout", "autoreset_mode", "render_mode", "num_envs"])
def test_config_says_where_arguments_of_environments_belong(name: str) -> None:
    with pytest.raises(InvalidArgumentError, match=f"env_kwargs: {name}='flat' cannot be given"):
        merge(TrainConfig(algo="ppo", env="POS-v0", env_kwargs={name: "flat"}))


@pytest.mark.parametrize(
    ("key", "value", "fix"),
    [
        ("data", [Sample(("a",), ("O",))], "write the samples to a file"),
        ("knowledge", Path("facts.tsv"), "paths too"),
        ("encoder", load_encoder("hashed"), "give numbers"),
    ],
)
def test_config_refuses_what_a_run_folder_cannot_hold(key: str, value: object, fix: str) -> None:
    config = TrainConfig(env="NER-v0", algo="ppo", env_kwargs={key: value})
    with pytest.raises(InvalidArgumentError, match=f"env_kwargs: {key}=.*config.yml.*{fix}"):
        merge(config)
