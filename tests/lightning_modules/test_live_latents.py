"""Latents on the fly are the cached ones: the same batches in the same order, whatever is asked of them."""

import dataclasses
import itertools
import json

import pytest
import torch

from console import UserError
from datamodules.latent_images import LatentImages
from datamodules.latents import LatentData
from inference.encode import encode
from inference.encoders import EncodeOptions
from inference.picked import Picked
from inference.shards import INDEX
from lightning_modules.live_latents import LiveLatentData
from tests.inference.conftest import model_folders, shards, tae  # noqa: F401, fixtures

OPTIONS = EncodeOptions(batch=4, prefix=("fps",), first_frame=True)
SETTINGS = [
    {"batch_size": 2, "memory": True},
    {"tokens": 8, "max_tokens": 7},
    {"batch_size": 3, "images": LatentImages(share=0.5)},
]


@pytest.fixture
def both(shards, model_folders, tmp_path):  # noqa: F811
    """Cached latents and what makes live ones of the same clips."""
    encode(shards, model_folders[0], tmp_path / "latents", OPTIONS)
    return tmp_path / "latents", {"shards": str(shards), "tae": str(model_folders[0]), "encode": OPTIONS}


def live(folders, **settings) -> LiveLatentData:
    data = LiveLatentData(**{**folders, **settings})
    data.setup("fit")
    return data


def assert_same(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    for key in ("clip_id", "caption", "bucket"):
        assert one[key] == other[key]
    for key in ("latent", "fps", *["first"] * ("first" in one)):
        torch.testing.assert_close(one[key], other[key], atol=1e-5, rtol=1e-5)
    assert torch.equal(one["text"]["mask"], other["text"]["mask"])
    torch.testing.assert_close(one["text"]["embedding"], other["text"]["embedding"], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_every_batch_is_the_cached_one(both, settings):
    cached = LatentData(str(both[0]), **settings)
    cached.setup("fit")
    made = live(both[1], **settings)
    for name in ("train_dataloader", "val_dataloader"):
        theirs, mine = getattr(cached, name)(), getattr(made, name)()
        assert len(mine) == len(theirs)
        for one, other in itertools.zip_longest(mine, theirs):
            assert_same(made.on_after_batch_transfer(one, 0), other)


def test_what_a_stage_reads_of_the_latents_is_the_same(both):
    index, made = json.loads((both[0] / "train" / INDEX).read_text()), live(both[1])
    found = made.open("train").index
    for key in ("tae", "tae_path", "text", "text_encoder", "latent_mean", "latent_std", "compression", "fps"):
        assert found[key] == index[key]
    assert made.buckets == index["buckets"]
    (theirs,), (mine,) = LatentData(str(both[0])).null_tokens(""), made.null_tokens("")
    torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-5)


def test_another_tae_text_or_prefix_is_other_data_to_a_resumed_run(both):
    state = live(both[1], batch_size=2).train_dataloader().state_dict()
    changed = dataclasses.replace(OPTIONS, prefix=())
    with pytest.raises(UserError, match="fingerprint"):
        live({**both[1], "encode": changed}, batch_size=2).train_dataloader().load_state_dict(state)


def test_images_of_a_folder_of_their_own_pass(both, shards, model_folders, tmp_path):  # noqa: F811
    picked = dataclasses.replace(OPTIONS, picked=Picked(images=True))
    encode(shards, model_folders[0], tmp_path / "images", picked)
    made = live(both[1], batch_size=2, images=LatentImages(share=0.5, latents=str(tmp_path / "images")))
    batches = [made.on_after_batch_transfer(batch, 0) for batch in made.train_dataloader()]
    assert {batch["latent"].shape[1] for batch in batches} == {1}
    assert {batch["bucket"] for batch in batches} == {"32x32x8", "32x32x1"}


def test_picks_are_refused_rather_than_ignored(both):
    with pytest.raises(ValueError, match="encode --shrink"):
        LiveLatentData("a", "b", dataclasses.replace(OPTIONS, picked=Picked(shrink=2)))
