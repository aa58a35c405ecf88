"""Beginning with another model's weights, also where the new one gains a condition."""

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from console import UserError
from inference.weights import describe_model, load_model, save_model, save_tensors
from lightning_modules.start import SEED, Start, check_resumed, open_before
from models.transformer import Transformer, TransformerConfig
from models.transformer.grow import grow
from tests.inference.conftest import scatter

CONFIG = TransformerConfig(
    width=16, layers=1, heads=2, feed_forward=16, latent_channels=4, grid=(2, 2, 2), text_widths=(6,)
)
FACTS = {"tae": "t", "text": {"fingerprint": "x"}, "path": "straight"}
GAINED = dataclasses.replace(CONFIG, extra_channels=5)


def begin_with(start: Start | str, model: Transformer, facts: dict) -> None:
    open_before(start, model.config, facts).give(model)


def saved(tmp_path, config: TransformerConfig = CONFIG, **facts: Any) -> str:
    save_model(tmp_path / "model", scatter(Transformer(config), 0), {**FACTS, **facts})
    return str(tmp_path / "model")


def test_all_weights_are_taken_and_new_channels_stay_without_effect(tmp_path):
    folder, model = saved(tmp_path), Transformer(GAINED)
    begin_with(folder, model, FACTS)
    old = load_model(folder).model.state_dict()
    found = model.state_dict()
    assert {key for key in found if key not in old} == {"extra.linear.weight"}
    assert all(torch.equal(found[key], value) for key, value in old.items())
    assert not found["extra.linear.weight"].any()


def test_from_a_model_with_the_channels_they_are_taken_too(tmp_path):
    model = Transformer(GAINED)
    begin_with(saved(tmp_path, GAINED), model, FACTS)
    assert model.state_dict()["extra.linear.weight"].any()


def test_a_folder_whose_tensors_are_not_of_its_config_is_refused_before_one_is_taken(tmp_path):
    tensors, description = Transformer(CONFIG).state_dict(), describe_model(Transformer(CONFIG), FACTS)
    tensors["text.encoders.0.0.bias"] = torch.zeros(3)
    save_tensors(tmp_path / "model", tensors, description)
    with pytest.raises(UserError, match=r"'text.encoders.0.0.bias' is 3, the config needs 16"):
        open_before(str(tmp_path / "model"), CONFIG, FACTS)


def test_a_model_with_channels_does_not_begin_one_without(tmp_path):
    with pytest.raises(UserError, match="extra_channels 5 there, 0 here"):
        begin_with(saved(tmp_path, GAINED), Transformer(CONFIG), FACTS)


@pytest.mark.parametrize("change", [{"layers": 2}, {"width": 32}, {"qk_norm": True}], ids=str)
def test_another_shape_is_refused_with_both(tmp_path, change):
    ((key, value),) = change.items()
    with pytest.raises(UserError, match=re.escape(f"{key} {getattr(CONFIG, key)} there, {value} here")):
        begin_with(saved(tmp_path), Transformer(dataclasses.replace(CONFIG, **change)), FACTS)


@pytest.mark.parametrize("key", ["tae", "text"])
def test_other_latents_or_texts_are_refused_with_both(tmp_path, key):
    with pytest.raises(UserError, match="of new"):
        begin_with(saved(tmp_path), Transformer(CONFIG), {**FACTS, key: "new"})


@pytest.mark.parametrize(
    ("grid", "scale"), [((2, 4, 4), (1, 2, 2)), ((4, 2, 3), (1, 1, 1)), ((3, 6, 8), (1, 3, 3))]
)
def test_position_tables_grow_as_the_command_grows_them_and_all_else_is_taken(tmp_path, grid, scale):
    folder, model = saved(tmp_path), Transformer(dataclasses.replace(CONFIG, grid=grid))
    begin_with(Start(model=folder, scale=scale), model, FACTS)
    expected = grow(
        load_model(folder, expect=Transformer).model, grid, scale, torch.Generator().manual_seed(SEED)
    )
    for key, value in expected.state_dict().items():
        assert torch.equal(model.state_dict()[key], value)
    assert all(weight.requires_grad for weight in model.parameters())


def test_tables_can_grow_and_channels_be_gained_at_once(tmp_path):
    model = Transformer(dataclasses.replace(GAINED, grid=(2, 4, 4)))
    begin_with(Start(model=saved(tmp_path), scale=(1, 2, 2)), model, FACTS)
    assert not model.state_dict()["extra.linear.weight"].any()


@pytest.mark.parametrize(
    ("grid", "scale"), [((2, 2, 1), (1, 1, 1)), ((2, 4, 4), (1, 3, 3)), ((2, 2, 2), (1, 2, 1))]
)
def test_tables_that_do_not_fit_are_refused_with_both(tmp_path, grid, scale):
    here = re.escape(
        f"position tables [2, 2, 2] of '{tmp_path / 'model'}' do not grow into transformer.grid {list(grid)}"
    )
    with pytest.raises(UserError, match=here):
        begin_with(
            Start(model=saved(tmp_path), scale=scale),
            Transformer(dataclasses.replace(CONFIG, grid=grid)),
            FACTS,
        )


def test_another_tae_is_taken_where_it_is_meant_and_another_text_encoder_never(tmp_path):
    start, model = Start(model=saved(tmp_path), new_tae=True), Transformer(CONFIG)
    begin_with(start, model, {**FACTS, "tae": "new"})
    assert torch.equal(
        model.state_dict()["position.row"], load_model(start.model).model.state_dict()["position.row"]
    )
    with pytest.raises(UserError, match="text encoder x, the latents here are of new"):
        begin_with(start, Transformer(CONFIG), {**FACTS, "tae": "new", "text": "new"})


@pytest.mark.parametrize(("old", "new"), [("straight", "cosine"), ("cosine", "straight")])
def test_another_path_is_refused_with_both(tmp_path, old, new):
    folder = saved(tmp_path, path=old)
    begin_with(folder, Transformer(CONFIG), {**FACTS, "path": old})
    with pytest.raises(
        UserError, match=rf"trained on the {old} path, model\.path here is {new}: .* to {old}"
    ):
        begin_with(folder, Transformer(CONFIG), {**FACTS, "path": new})


def test_a_model_that_says_nothing_of_its_path_had_the_straight_one(tmp_path):
    before = {key: value for key, value in FACTS.items() if key != "path"}
    save_model(tmp_path / "model", scatter(Transformer(CONFIG), 0), before)
    begin_with(str(tmp_path / "model"), Transformer(CONFIG), FACTS)
    with pytest.raises(UserError, match="trained on the straight path"):
        begin_with(str(tmp_path / "model"), Transformer(CONFIG), {**FACTS, "path": "cosine"})


def worded(*prefix: str, buckets: Sequence[str] = ("32x32x1", "32x32x16")) -> dict:
    """Facts of latents whose captions stand behind `prefix`."""
    return {**FACTS, "text": {"fingerprint": "x", "prefix": list(prefix)}, "buckets": list(buckets)}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (["fps"], [], "behind fps, those of the latents here are behind nothing.*--prefix fps,"),
        (["fps", "camera"], ["fps"], "behind fps camera, those of the latents here are behind fps"),
    ],
)
def test_clips_without_a_prefix_that_those_of_then_had_are_refused_with_both(tmp_path, old, new, said):
    with pytest.raises(UserError, match=said):
        begin_with(saved(tmp_path, **worded(*old)), Transformer(CONFIG), worded(*new))


@pytest.mark.parametrize(
    ("before", "here"),
    [
        (worded("fps"), worded("fps")),
        (worded(), worded("fps", "camera")),  # a stage may teach one
        (worded("fps", buckets=["32x32x1"]), worded()),  # images never had it
        (worded("fps"), worded(buckets=["64x64x1"])),  # nor have these
        ({**worded("fps", buckets=[]), "frames": 1}, worded()),
    ],
)
def test_a_prefix_may_be_gained_and_images_have_none(tmp_path, before, here):
    model = Transformer(CONFIG)
    begin_with(saved(tmp_path, **before), model, here)
    assert model.state_dict()["output.linear.weight"].any()


def test_an_older_model_of_clips_is_known_by_its_frames(tmp_path):
    before = {**worded("fps", buckets=[]), "frames": 16}
    with pytest.raises(UserError, match="behind fps, those"):
        begin_with(saved(tmp_path, **before), Transformer(CONFIG), worded())


@pytest.mark.parametrize("scale", [(1, 1), (0, 1, 1)])
def test_a_scale_is_three_numbers(scale):
    with pytest.raises(ValueError, match="three numbers"):
        Start(model="somewhere", scale=scale)


RESUMED = {
    "path": "straight", "tae": "t" * 40, "text": {"fingerprint": "x"}, "buckets": ["32x32x1", "64x64x16"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tae": "u" * 40}, "the TAE tttttttttttttttt; the latents here have uuuuuuuuuuuuuuuu"),
        ({"text": {"fingerprint": "y"}}, "the text encoder x; the latents here have y"),
        ({"path": "cosine"}, "trained on the straight path; model.path is cosine"),
        ({"buckets": ["64x64x16"]}, "the buckets 32x32x1, 64x64x16; the latents here have 64x64x16"),
    ],
)
def test_a_checkpoint_of_other_latents_or_path_is_refused_with_both(change, message):
    check_resumed(RESUMED, RESUMED, fit=True)
    check_resumed({}, RESUMED, fit=True)  # older checkpoints say nothing
    with pytest.raises(UserError, match=message):
        check_resumed(RESUMED, {**RESUMED, **change}, fit=True)
    if "buckets" in change:
        check_resumed(RESUMED, {**RESUMED, **change}, fit=False)  # measuring on other sizes is a user's right
