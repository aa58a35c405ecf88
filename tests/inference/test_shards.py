"""Shards: samples go in, the same samples come out, and damage is named."""

import gc
import json
import tarfile

import numpy as np
import pytest
import webdataset

from console import UserError
from inference.shards import INDEX, Sample, npy, npz, read_index, read_samples, write_samples

SAMPLES = [Sample(f"clip{index}", {"json": b"{}", "mp4": bytes([index]) * 3000}) for index in range(5)]


def test_samples_come_back_as_they_were_written(tmp_path):
    assert write_samples(tmp_path / "a.tar", iter(SAMPLES)) == 5
    assert list(read_samples(tmp_path / "a.tar")) == SAMPLES


def test_the_same_samples_give_the_same_bytes(tmp_path):
    for name in ("a.tar", "b.tar"):
        write_samples(tmp_path / name, SAMPLES)
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # webdataset leaves the file open
def test_webdataset_reads_them_too(tmp_path):
    latent = np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2)
    text = np.ones((4, 5), np.float32)
    write_samples(
        tmp_path / "a.tar", [Sample("c", {"latent.npy": npy(latent), "text.npz": npz(embedding=text)})]
    )
    (row,) = webdataset.WebDataset(str(tmp_path / "a.tar"), shardshuffle=False).decode()
    assert row["__key__"] == "c"
    assert np.array_equal(row["latent.npy"], latent)
    assert np.array_equal(row["text.npz"]["embedding"], text)
    gc.collect()


def test_a_failure_on_the_way_leaves_no_shard(tmp_path):
    def failing():
        yield SAMPLES[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_samples(tmp_path / "a.tar", failing())
    assert list(tmp_path.iterdir()) == []


def test_a_truncated_shard_is_named(tmp_path):
    write_samples(tmp_path / "a.tar", SAMPLES)
    data = (tmp_path / "a.tar").read_bytes()
    (tmp_path / "a.tar").write_bytes(data[:6000])
    with pytest.raises(UserError, match=r"a\.tar"):
        list(read_samples(tmp_path / "a.tar"))


def write_index(folder, size: int) -> None:
    row = {"file": "a.tar", "samples": 5, "bytes": size, "sha256": "", "bucket": "64x64x16"}
    (folder / INDEX).write_text(json.dumps({"format": 1, "shards": [row], "samples": 5}))


def test_an_index_is_checked_against_its_shards(tmp_path):
    write_samples(tmp_path / "a.tar", SAMPLES)
    size = (tmp_path / "a.tar").stat().st_size
    write_index(tmp_path, size)
    assert read_index(tmp_path)["samples"] == 5
    write_index(tmp_path, size + 1)
    with pytest.raises(UserError, match=r"a\.tar is .* bytes long"):
        read_index(tmp_path)
    (tmp_path / "a.tar").unlink()
    with pytest.raises(UserError, match=r"a\.tar is missing"):
        read_index(tmp_path)


def test_a_folder_without_shards_says_how_to_make_them(tmp_path):
    with pytest.raises(UserError, match=r"python -m curation\.run"):
        read_index(tmp_path / "nothing")


def test_members_are_plain_files_without_owner_or_time(tmp_path):
    write_samples(tmp_path / "a.tar", SAMPLES[:1])
    with tarfile.open(tmp_path / "a.tar") as tar:
        assert {(member.mtime, member.uid, member.uname) for member in tar} == {(0, 0, "")}
