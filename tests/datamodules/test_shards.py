"""A set of shards that is not as its index says is refused with its path and what makes it."""

import json

import pytest

from console import UserError
from datamodules.shards import Bucket, open_shards, read_samples
from storage import write_json
from tests.datamodules.shard_sets import write_index, write_latents, write_shard

MADE_BY = "python -m curation.run"


@pytest.fixture
def folder(tmp_path):
    return write_latents(tmp_path / "set") / "train"


def change_index(folder, **changes):
    index = json.loads((folder / "index.json").read_text())
    write_json(folder / "index.json", {**index, **changes})


def test_a_set_lists_its_shards_and_numbers_its_samples(folder):
    shards = open_shards(folder, MADE_BY)
    assert shards.samples == 10
    assert shards.buckets == ("32x32x16",)
    assert [numbers.tolist() for numbers in shards.numbers()] == [list(range(10))]
    keys = [sample["__key__"] for sample in read_samples(shards.shards[0])]
    assert keys == [f"train{number:03d}" for number in range(10)]


def test_a_missing_folder_names_the_command_that_makes_it(tmp_path):
    with pytest.raises(UserError, match=r"no shard folder.*nowhere.*python -m curation\.run"):
        open_shards(tmp_path / "nowhere", MADE_BY)


def test_the_folder_above_the_splits_is_recognised(folder):
    with pytest.raises(UserError, match="train and val inside"):
        open_shards(folder.parent, MADE_BY)


def test_a_missing_shard_is_named(folder):
    (folder / "shard-000000.tar").unlink()
    with pytest.raises(UserError, match=r"shard-000000\.tar.*missing"):
        open_shards(folder, MADE_BY)


def test_a_cut_shard_is_named_with_both_sizes(folder):
    shard = folder / "shard-000000.tar"
    size = shard.stat().st_size
    shard.write_bytes(shard.read_bytes()[:2000])
    with pytest.raises(UserError, match=rf"2000 bytes; its index says {size}"):
        open_shards(folder, MADE_BY)


def test_a_shard_that_is_damaged_at_its_full_size_is_found_when_read(folder):
    shard = folder / "shard-000000.tar"
    data = bytearray(shard.read_bytes())
    data[len(data) // 2 :] = b"\xff" * (len(data) - len(data) // 2)
    shard.write_bytes(bytes(data))
    with pytest.raises(UserError, match=r"shard-000000\.tar"):
        list(read_samples(open_shards(folder, MADE_BY).shards[0]))


def test_a_shard_with_fewer_samples_than_its_index_says_is_found_when_read(tmp_path):
    write_shard(tmp_path / "a.tar", [("one", {"json": b"{}"})])
    write_index(tmp_path, {"a.tar": "8x8x1"})
    index = json.loads((tmp_path / "index.json").read_text())
    index["shards"][0]["samples"] = 2
    write_json(tmp_path / "index.json", index)
    with pytest.raises(UserError, match="holds 1 samples; its index says 2"):
        list(read_samples(open_shards(tmp_path, MADE_BY).shards[0]))


def test_an_empty_set_is_refused_unless_it_may_be_empty(folder):
    change_index(folder, shards=[], samples=0)
    with pytest.raises(UserError, match="holds no sample"):
        open_shards(folder, MADE_BY)
    assert open_shards(folder, MADE_BY, may_be_empty=True).samples == 0


@pytest.mark.parametrize("text", ["not json", "[]", '{"shards": []}'])
def test_an_index_that_is_none_is_refused(folder, text):
    (folder / "index.json").write_text(text)
    with pytest.raises(UserError, match="no index of shards"):
        open_shards(folder, MADE_BY)


def test_an_index_of_another_format_is_refused(folder):
    change_index(folder, format=2)
    with pytest.raises(UserError, match="format 2"):
        open_shards(folder, MADE_BY)


def test_a_bucket_is_width_height_frames():
    assert Bucket.parse("96x64x16") == Bucket(width=96, height=64, frames=16)
    with pytest.raises(UserError, match="'64x64' is no bucket"):
        Bucket.parse("64x64")
