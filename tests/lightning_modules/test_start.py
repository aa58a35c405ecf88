"""Beginning with another model's weights, also where the new one gains a condition."""

import dataclasses
import re

import pytest
import torch

from console import UserError
from inference.weights import load_model, save_model
from lightning_modules.start import begin_with
from models.transformer import Transformer, TransformerConfig
from tests.inference.conftest import scatter

CONFIG = TransformerConfig(
    width=16, layers=1, heads=2, feed_forward=16, latent_channels=4, grid=(2, 2, 2), text_widths=(6,)
)
FACTS = {"tae": "t", "text": {"fingerprint": "x"}}
GAINED = dataclasses.replace(CONFIG, extra_channels=5)


def saved(tmp_path, config: TransformerConfig = CONFIG) -> str:
    save_model(tmp_path / "model", scatter(Transformer(config), 0), FACTS)
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


def test_a_model_with_channels_does_not_begin_one_without(tmp_path):
    with pytest.raises(UserError, match="extra_channels 5 there, 0 here"):
        begin_with(saved(tmp_path, GAINED), Transformer(CONFIG), FACTS)


@pytest.mark.parametrize("change", [{"layers": 2}, {"width": 32}, {"grid": (2, 2, 4)}], ids=str)
def test_another_shape_is_refused_with_both(tmp_path, change):
    ((key, value),) = change.items()
    with pytest.raises(UserError, match=re.escape(f"{key} {getattr(CONFIG, key)} there, {value} here")):
        begin_with(saved(tmp_path), Transformer(dataclasses.replace(CONFIG, **change)), FACTS)


@pytest.mark.parametrize("key", ["tae", "text"])
def test_other_latents_or_texts_are_refused_with_both(tmp_path, key):
    with pytest.raises(UserError, match="of new"):
        begin_with(saved(tmp_path), Transformer(CONFIG), {**FACTS, key: "new"})
