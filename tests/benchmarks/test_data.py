"""Both sides of the comparison of loaders read the same samples into the same batches."""

import gc

import numpy as np
import pytest
import torch

from benchmarks import data
from datamodules.clips import ClipData
from datamodules.latents import LatentData
from tests.datamodules.shard_sets import write_clips, write_latents

pytestmark = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")


@pytest.fixture(autouse=True)
def collected():
    """webdataset leaves the closing of its files to the collector: it comes while they are not warned of."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("sets")
    clips = write_clips(
        root / "clips", train=9, val=2, bucket="32x32x4"
    )  # decord cannot read rows of 16 pixels
    return clips, write_latents(root / "latents", train=9, val=2)


def by_clip(batches, name):
    return {clip: row for batch in batches() for clip, row in zip(batch["clip_id"], batch[name], strict=True)}


def test_clips_are_the_same_frames(folders):
    ours = data.ours(ClipData(str(folders[0]), batch_size=4))
    plain = data.plain(folders[0], 4, data.with_decord)
    mine, theirs = by_clip(ours, "video"), by_clip(plain, "data")
    assert len(mine) == 9
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[clip], theirs[clip]) for clip in mine)


def test_latents_are_the_same_numbers(folders):
    ours = data.ours(LatentData(str(folders[1]), batch_size=4))
    plain = data.plain(folders[1], 4, data.WithNumpy(data._index(folders[1])))
    mine, theirs = by_clip(ours, "latent"), by_clip(plain, "data")
    assert mine.keys() == theirs.keys()
    for clip in mine:
        np.testing.assert_allclose(mine[clip], theirs[clip], atol=1e-6)


def test_each_pass_counts_all_samples_and_the_first_is_left_out(folders):
    ways = {
        "ours": data.ours(ClipData(str(folders[0]), batch_size=4)),
        "plain": data.plain(folders[0], 4, data.with_decord),
    }
    found = data.in_turn(ways, rounds=2)
    assert {name: [one.samples for one in costs] for name, costs in found.items()} == {
        "ours": [9, 9],
        "plain": [9, 9],
    }
