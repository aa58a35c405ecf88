"""A budget of tokens gives each bucket as many clips as fit it, and says which bucket does not."""

import pytest

from console import UserError
from datamodules.budget import TokenCount
from datamodules.latents import LatentData
from tests.datamodules.shard_sets import write_latents

BUCKETS = ("32x32x16", "64x32x16", "32x32x1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_latents(tmp_path_factory.mktemp("latents"), train=40, val=9, buckets=BUCKETS)


@pytest.mark.parametrize("patch", [1, 2])
def test_a_clip_has_as_many_tokens_as_its_latent_has_patches(folder, patch):
    data = LatentData(str(folder), batch_size=1, memory=True)
    data.setup("fit")
    count = TokenCount(patch)
    for batch in data.train_dataloader():
        _, t, _, h, w = batch["latent"].shape
        assert count(batch["bucket"]) == t * h * w / patch**2


@pytest.mark.parametrize("budget", [16, 37, 100])
def test_no_batch_exceeds_the_budget_and_one_clip_more_would(folder, budget):
    data = LatentData(str(folder), tokens=budget, memory=True)
    data.setup("fit")
    count, largest = TokenCount(2), {}
    for batch in [*data.train_dataloader(), *data.val_dataloader()]:
        size = len(batch["clip_id"])
        assert size * count(batch["bucket"]) <= budget
        largest[batch["bucket"]] = max(size, largest.get(batch["bucket"], 0))
    for bucket, size in largest.items():
        assert min(40, size + 1) * count(bucket) > budget or size == 40
    assert data.batch_sizes() == {bucket: budget // count(bucket) for bucket in BUCKETS}


def test_another_compression_has_other_tokens(folder):
    assert TokenCount.of_index(2, {"compression": [1, 8, 8]})("32x32x16") == 16 * 4
    assert TokenCount.of_index(2, {})("32x32x16") == 2 * 4  # latents of older indices are 8x8x8


def test_a_budget_below_a_clip_names_both(folder):
    data = LatentData(str(folder), tokens=10, memory=True)
    data.setup("fit")
    with pytest.raises(UserError, match=r"data\.tokens is 10 tokens, but a clip of 64x32x16 has 16.*to 16"):
        data.train_dataloader()


def test_a_size_that_is_no_multiple_of_patches_is_said():
    with pytest.raises(UserError, match="does not divide into patches of 16 x 16"):
        TokenCount(2)("40x32x16")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tokens": 64, "batch_size": 2}, r"batch_size is 2 and data\.tokens 64.*Give one"),
        ({"tokens": 0}, "tokens must be at least 1"),
        ({"patch": 0}, "patch must be at least 1"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        LatentData("nowhere", **settings)


def test_a_bucket_without_a_size_is_named_with_those_that_have_one(folder):
    data = LatentData(str(folder), batch_size={"32x32x16": 2}, memory=True)
    data.setup("fit")
    with pytest.raises(ValueError, match="no entry for bucket '32x32x1' of the shards; it has: 32x32x16"):
        data.train_dataloader()
