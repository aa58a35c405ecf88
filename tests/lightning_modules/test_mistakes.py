"""A key that nothing takes is named with its file, its place and what was probably meant."""

from dataclasses import dataclass

import pytest
import yaml

from console import UserError
from lightning_modules.mistakes import explain, merged_config, unknown_keys


@dataclass(frozen=True, kw_only=True)
class Inner:
    width: int = 1
    layers: int = 2


class Stage:
    def __init__(self, inner: Inner | None = None, lr: float = 1.0, part: "Stage | None" = None) -> None: ...


class Anything:
    def __init__(self, **kwargs) -> None: ...


DESTS = (
    "config",
    "run_dir",
    "model",
    "data",
    "trainer",
    "trainer.max_steps",
    "trainer.callbacks",
    "checkpoint.every",
)
STAGE = f"{__name__}.Stage"


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or _this_module())


def _this_module():
    import types

    module = types.ModuleType(__name__)
    module.__dict__.update(Stage=Stage, Anything=Anything, Inner=Inner)
    return module


@pytest.fixture
def told(tmp_path):
    """What is said about a config (and options) that the parser refused with `message`."""

    def tell(config, *options, message="refused"):
        file = tmp_path / "stage.yaml"
        file.write_text(yaml.safe_dump(config))
        return explain(message, ["-c", str(file), *options], DESTS)

    return tell


@pytest.mark.parametrize(
    ("config", "key", "meant"),
    [
        ({"trainr": {"max_steps": 1}}, "trainr", "trainer"),
        ({"max_steps": 1}, "max_steps", "trainer.max_steps"),
        ({"trainer": {"max_step": 1}}, "trainer.max_step", "max_steps"),
        ({"checkpoint": {"evry": 1}}, "checkpoint.evry", "every"),
        ({"model": {"class_path": STAGE, "init_args": {"lrr": 1}}}, "model.init_args.lrr", "lr"),
        ({"model": {"class_path": STAGE, "init_arg": {}}}, "model.init_arg", "init_args"),
        (
            {"model": {"class_path": STAGE, "init_args": {"inner": {"widht": 1}}}},
            "model.init_args.inner.widht",
            "width",
        ),
        (
            {
                "model": {
                    "class_path": STAGE,
                    "init_args": {"part": {"class_path": STAGE, "init_args": {"l": 1}}},
                }
            },
            "model.init_args.part.init_args.l",
            "lr",
        ),
        (
            {"trainer": {"callbacks": [{"class_path": STAGE, "init_args": {"iner": 1}}]}},
            "trainer.callbacks.init_args.iner",
            "inner",
        ),
    ],
)
def test_a_misspelt_key_is_named_with_its_place_and_the_nearest(told, config, key, meant):
    message = told(config)
    assert f"stage.yaml: '{key}' does not exist" in message
    assert f"Did you mean '{meant}'?" in message


def test_a_key_that_resembles_none_is_answered_with_all_that_there_are(told):
    assert "It takes: inner, lr, part." in told({"model": {"class_path": STAGE, "init_args": {"zzz": 1}}})


def test_a_misspelt_option_is_named_as_it_was_typed(told):
    message = told({"model": {"class_path": STAGE}}, "--model.init_args.lrr", "3")
    assert message.startswith("--model.init_args.lrr: 'model.init_args.lrr' does not exist")
    assert "Did you mean '--model" not in message
    assert "Did you mean 'lr'?" in message
    assert "Did you mean 'max_steps'?" in told({}, "--trainer.max_stepz=3")


def test_keys_that_exist_raise_nothing():
    tree = {
        "run_dir": "a",
        "trainer": {"max_steps": 1},
        "model": {"class_path": STAGE, "lr": 1, "init_args": {"inner": {"width": 1}}},
        "data": {"class_path": f"{__name__}.Anything", "init_args": {"whatever": 1}},
    }
    assert list(unknown_keys(tree, DESTS)) == []


def test_configs_merge_key_by_key_and_each_key_knows_its_source(tmp_path):
    (tmp_path / "data.yaml").write_text("class_path: x\n")
    (tmp_path / "a.yaml").write_text("trainer: {max_steps: 1, callbacks: 2}\ndata: data.yaml\n")
    (tmp_path / "b.yaml").write_text("trainer: {max_steps: 3}\n")
    tree, sources = merged_config(
        ["-c", str(tmp_path / "a.yaml"), f"--config={tmp_path / 'b.yaml'}", "--run_dir", "r"]
    )
    assert tree == {"trainer": {"max_steps": 3, "callbacks": 2}, "data": {"class_path": "x"}, "run_dir": "r"}
    assert sources["trainer", "max_steps"].endswith("b.yaml")
    assert sources["trainer", "callbacks"].endswith("a.yaml")


def test_a_class_that_does_not_exist_is_answered_with_its_neighbour(told):
    message = told(
        {}, message=f"Problem with given class_path '{__name__}.Stag':\n  module has no attribute 'Stag'"
    )
    assert f"class_path '{__name__}.Stag': module has no attribute 'Stag'. Did you mean '{STAGE}'?" == message


def test_a_value_of_the_wrong_type_is_named_shortly(told):
    message = "Parser key \"trainer.max_steps\":\n  Expected a <class 'int'>. Got value: many"
    assert told({}, message=message) == "'trainer.max_steps' must be int; 'many' came."


def test_a_needed_value_is_asked_for(told):
    message = "Parser key \"run_dir\":\n  Expected a <class 'str'>. Got value: None"
    assert told({}, message=message) == "'run_dir' is needed: give it in a config or as --run_dir."
    assert "'model' is needed" in told({}, message="the following arguments are required: fit.model")


def test_a_missing_config_is_answered_with_those_beside_it(tmp_path):
    (tmp_path / "tae.yaml").write_text("a: 1\n")
    with pytest.raises(UserError, match=r"no file '.*/tea\.yaml'\. Did you mean '.*/tae\.yaml'\?"):
        merged_config(["-c", str(tmp_path / "tea.yaml")])


@pytest.mark.parametrize("text", ["a: [1\nb: }", "- 1\n- 2\n", "just words"])
def test_a_file_that_is_no_config_is_refused(tmp_path, text):
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(UserError, match=r"bad\.yaml"):
        merged_config(["-c", str(tmp_path / "bad.yaml")])
