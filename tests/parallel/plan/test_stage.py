"""A config as the planner reads it, and what it says where a config cannot be planned."""

from pathlib import Path
from typing import Any

import pytest

from console import UserError
from parallel.plan.stage import layout_of, read_stage, read_yaml

ROOT = Path(__file__).parents[3]


def config(**changes: Any) -> dict[str, Any]:
    """A small text-to-video stage as YAML gives it."""
    tree: dict[str, Any] = {
        "model": {
            "class_path": "lightning_modules.t2v.T2VModule",
            "init_args": {
                "transformer": {"width": 128, "layers": 2, "heads": 2, "feed_forward": 256,
                                "text_widths": [384]},
                "optimizer": {},
            },
        },
        "data": {"init_args": {"batch_size": {"64x64x16": 8, "64x64x1": 32}, "max_tokens": 24}},
        "trainer": {"max_steps": 100},
    }  # fmt: skip
    return {**tree, **changes}


def test_a_stage_is_its_transformer_and_what_a_batch_holds() -> None:
    stage = read_stage(config())
    assert (stage.model.shape.width, stage.model.shape.layers, stage.model.shape.gated) == (128, 2, True)
    assert [(batch.name, batch.samples, batch.tokens) for batch in stage.batches] == [
        ("64x64x16", 8, 2 * 16), ("64x64x1", 32, 16),
    ]  # fmt: skip
    assert stage.batches[0].text == (24,)
    assert stage.steps == 100
    assert not stage.model.average


def test_each_text_encoder_may_have_a_length_of_its_own() -> None:
    tree = config()
    tree["model"]["init_args"]["transformer"]["text_widths"] = [16, 8]
    tree["data"]["init_args"]["max_tokens"] = [300, 100]
    assert read_stage(tree).batches[0].text == (300, 100)
    assert read_stage(tree, text=[7, 8]).batches[0].text == (7, 8)
    tree["data"]["init_args"]["max_tokens"] = 24
    assert read_stage(tree).batches[0].text == (24, 24)
    tree["data"]["init_args"]["max_tokens"] = [300]
    with pytest.raises(UserError, match=r"2 text encoders; data\.max_tokens gives 1 lengths"):
        read_stage(tree)


def test_a_moving_average_and_the_mesh_are_seen() -> None:
    tree = config()
    tree["model"]["init_args"]["ema"] = 0.99
    mesh = {"mesh": {"cp": 2, "tp": 2, "dp_shard": None}, "sharding": {"compute": "bfloat16"}}
    tree["trainer"] = {"strategy": {"class_path": "any", "init_args": mesh}, "accumulate_grad_batches": 3}
    stage = read_stage(tree)
    assert stage.model.average
    assert (stage.layout.cp, stage.layout.tp, stage.layout.bytes_compute, stage.layout.accumulate) == (
        2,
        2,
        2,
        3,
    )
    assert stage.steps is None
    assert layout_of({"precision": "bf16-mixed"}).bytes_compute == 2
    assert layout_of({}).bytes_compute == 4


def test_a_budget_of_tokens_says_how_many_clips_are_in_a_batch() -> None:
    stage = read_stage(config(data={"init_args": {"tokens": 100}}), buckets=["64x64x16", "64x64x1"])
    assert {batch.name: batch.samples for batch in stage.batches} == {"64x64x16": 3, "64x64x1": 6}


def test_the_30b_is_counted_whole() -> None:
    stage = read_stage(read_yaml(ROOT / "configs/paper/t2v_768px.yaml"))
    assert stage.model.count / 1e9 == pytest.approx(29.4, abs=0.1)
    tokens = {batch.name: batch.tokens for batch in stage.batches}
    assert {tokens[name] for name in ("768x768x256", "1024x576x256", "576x1024x256")} == {73_728}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"class_path": "lightning_modules.t2v.Nobody"}}, "lightning_modules.t2v.Nobody"),
        ({"model": {"class_path": "lightning_modules.t2v.T2VModule", "init_args": {"wdth": 1}}}, "wdth"),
        ({"data": {"init_args": {"batch_size": 4}}}, "--bucket"),
        ({"data": {"init_args": {"batch_size": {"64x60x16": 4}}}}, "does not divide"),
        (
            {
                "model": {
                    "class_path": "lightning_modules.tae.TAEModule",
                    "init_args": {"tae": {}, "optimizer": {}},
                }
            },
            "transformer",
        ),
    ],
)
def test_what_cannot_be_planned_is_said(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_stage(config(**changes))


def test_buckets_and_texts_that_do_not_fit_the_config_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="128x128x16"):
        read_stage(config(), buckets=["128x128x16"])
    with pytest.raises(UserError, match="1 text encoders"):
        read_stage(config(), text=[1, 2])
    (tmp_path / "bad.yaml").write_text("[")
    with pytest.raises(UserError, match="not YAML"):
        read_yaml(tmp_path / "bad.yaml")
    with pytest.raises(UserError, match="no file"):
        read_yaml(tmp_path / "none.yaml")
