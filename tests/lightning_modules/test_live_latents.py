"""Latents on the fly are the cached ones: the same batches in the same order, whatever is asked of them."""

import dataclasses
import itertools
import json

import numpy as np
import pytest
import torch

from console import UserError
from datamodules.latent_images import LatentImages
from datamodules.latents import LatentData
from datamodules.shards import read_samples
from inference.encode import encode
from inference.encoders import EncodeOptions
from inference.picked import Picked
from inference.shards import INDEX
from lightning_modules.live_latents import FramesFormat, ImagesFormat, LiveLatentData
from tests.datamodules import videos
from tests.datamodules.shard_sets import write_index, write_shard
from tests.inference.conftest import model_folders, shards, tae  # noqa: F401, fixtures

OPTIONS = EncodeOptions(batch=4, prefix=("fps",), first_frame=True)
SETTINGS = [
    {"batch_size": 2, "memory": True},
    {"tokens": 8, "max_tokens": 7},
    {"batch_size": 3, "images": LatentImages(share=0.5)},
]


@pytest.fixture
def both(shards, model_folders, tmp_path):  # noqa: F811, the imported fixture
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
    for key in (
        "tae",
        "tae_path",
        "text",
        "text_encoder",
        "latent_mean",
        "latent_std",
        "compression",
        "fps",
        "rates",
    ):
        assert found[key] == index[key]
    assert made.buckets == index["buckets"]
    (theirs,), (mine,) = LatentData(str(both[0])).null_tokens(""), made.null_tokens("")
    torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-5)


def test_another_tae_text_or_prefix_is_other_data_to_a_resumed_run(both):
    state = live(both[1], batch_size=2).train_dataloader().state_dict()
    changed = dataclasses.replace(OPTIONS, prefix=())
    with pytest.raises(UserError, match="fingerprint"):
        live({**both[1], "encode": changed}, batch_size=2).train_dataloader().load_state_dict(state)


def test_images_of_a_folder_of_their_own_pass(both, shards, model_folders, tmp_path):  # noqa: F811, the imported fixture
    picked = dataclasses.replace(OPTIONS, prefix=(), picked=Picked(images=True))
    encode(shards, model_folders[0], tmp_path / "images", picked)
    made = live(both[1], batch_size=2, images=LatentImages(share=0.5, latents=str(tmp_path / "images")))
    batches = [made.on_after_batch_transfer(batch, 0) for batch in made.train_dataloader()]
    assert {batch["latent"].shape[1] for batch in batches} == {1}
    assert {batch["bucket"] for batch in batches} == {"32x32x8", "32x32x1"}


def test_picks_are_refused_rather_than_ignored(both):
    with pytest.raises(ValueError, match="encode --shrink"):
        LiveLatentData("a", "b", dataclasses.replace(OPTIONS, picked=Picked(shrink=2)))


@pytest.fixture
def uneven(tmp_path):
    """Long clips in a bucket of 8 frames, two of them cut: one has enough frames left."""
    facts = json.dumps({"bucket": "32x32x8", "fps": 8.0, "caption": "noise"}).encode()
    for split, shares in (("train", (1.0, 1.0, 0.3, 1.0, 0.7, 1.0)), ("val", (1.0,))):
        samples = []
        for number, share in enumerate(shares):
            data = videos.cut(videos.noise(tmp_path / "clip.mp4", 24), share)
            samples.append((f"{split}{number}", {"mp4": data, "json": facts}))
        write_shard(tmp_path / "set" / split / "shard-0.tar", samples)
        write_index(tmp_path / "set" / split, {"shard-0.tar": "32x32x8"})
    return tmp_path / "set"


def seen(loader) -> dict:
    return {
        key: video for batch in loader for key, video in zip(batch["clip_id"], batch["video"], strict=True)
    }


@pytest.mark.parametrize("memory", [True, False])
def test_a_cut_file_is_left_out_unless_its_frames_suffice_as_encode_does(
    uneven, model_folders, memory, tmp_path, capfd  # noqa: F811, the imported fixture
):  # fmt: skip
    data = live({"shards": str(uneven), "tae": str(model_folders[0])}, batch_size=2, memory=memory)
    mine = {
        key: latent
        for batch in (data.on_after_batch_transfer(batch, 0) for batch in data.train_dataloader())
        for key, latent in zip(batch["clip_id"], batch["latent"], strict=True)
    }
    assert sorted(mine) == ["train0", "train1", "train3", "train4", "train5"]
    assert "Clip 'train2' cannot be read: it has" in capfd.readouterr().err
    encode(uneven, model_folders[0], tmp_path / "latents", EncodeOptions())
    cached = LatentData(str(tmp_path / "latents"), batch_size=2, memory=True)
    cached.setup("fit")
    theirs = {item.clip_id: item.latent for item in cached._sources["train"][1]._items}
    assert theirs.keys() == mine.keys()
    for key, latent in theirs.items():
        torch.testing.assert_close(mine[key], torch.from_numpy(latent), atol=1e-5, rtol=1e-5)


def test_a_random_span_is_one_of_the_clips_own_another_in_each_epoch(uneven, model_folders):  # noqa: F811, the imported fixture
    folders = {"shards": str(uneven), "tae": str(model_folders[0])}
    whole = FramesFormat("random", 0)
    loader = live(folders, batch_size=2, span="random").train_dataloader()
    first, second = seen(loader), seen(loader)
    clip = whole.decode(next(read_samples(live(folders).open("train").shards[0])))
    places = [
        next(n for n in range(17) if np.array_equal(clip.frames[n : n + 8], epoch["train0"].numpy()))
        for epoch in (first, second)
    ]
    assert any(not torch.equal(first[key], second[key]) for key in first)
    assert all(0 <= place <= 16 for place in places)
    stopped = live(folders, batch_size=2, span="random", memory=True).train_dataloader()
    before = [next(iterator) for iterator in [iter(stopped)] for _ in range(2)]
    resumed = live(folders, batch_size=2, span="random").train_dataloader()
    resumed.load_state_dict(stopped.state_dict())
    again = {**seen(before), **seen(resumed)}
    assert all(torch.equal(again[key], first[key]) for key in first)


def test_images_are_the_first_frames_of_the_spans(uneven, model_folders):  # noqa: F811, the imported fixture
    folders = {"shards": str(uneven), "tae": str(model_folders[0])}
    clip = FramesFormat("random", 0).decode(next(read_samples(live(folders).open("train").shards[0])))
    for epoch in range(3):
        video = FramesFormat("random", 0).seen(clip, 7, epoch)
        image = ImagesFormat("random", 0).seen(clip, 7, epoch)
        assert np.array_equal(image.frames, video.frames[:1])
        assert image.facts["bucket"] == "32x32x1"
