"""Clips become batches of the shape and range that models take, cropped alike in every run."""

import json

import numpy as np
import pytest
import torch

from console import UserError
from datamodules.clips import ClipData, to_model_range
from datamodules.decode import decode_clip, middle
from datamodules.loader import StreamConfig
from datamodules.shards import Bucket
from tests.datamodules.shard_sets import clip_files, moving_square, write_clips


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_clips(tmp_path_factory.mktemp("clips"), train=7, val=3)


@pytest.fixture
def mp4(tmp_path):
    return clip_files(tmp_path, 3, "16x16x4")[1]["mp4"]


def ready(batch, data):
    return data.on_after_batch_transfer(batch, 0)


@pytest.mark.parametrize("memory", [True, False])
def test_a_batch_is_what_models_take(folder, memory):
    data = ClipData(str(folder), batch_size=3, memory=memory)
    data.setup("fit")
    batch = ready(next(iter(data.train_dataloader())), data)
    assert batch["video"].shape == (3, 4, 3, 16, 16)
    assert batch["video"].dtype == torch.float32
    assert -1 <= batch["video"].min() < -0.5 < 0.3 < batch["video"].max() <= 1
    assert len(set(batch["clip_id"])) == 3
    assert all(caption.startswith("clip ") for caption in batch["caption"])
    assert batch["fps"].tolist() == [8.0] * 3


def test_memory_and_stream_give_the_same_pixels_for_a_clip(folder):
    clips = []
    for memory in (True, False):
        data = ClipData(str(folder), batch_size=2, memory=memory)
        data.setup("fit")
        batches = list(data.train_dataloader())
        clips.append({i: v for b in batches for i, v in zip(b["clip_id"], b["video"], strict=True)})
    assert clips[0].keys() == clips[1].keys()
    assert all(torch.equal(clips[0][clip], clips[1][clip]) for clip in clips[0])


def test_validation_and_test_see_each_held_out_clip_once_and_whole(folder):
    data = ClipData(str(folder), batch_size=2, crop=8, memory=True)
    data.setup("validate")
    for loader in (data.val_dataloader(), data.test_dataloader()):
        batches = list(loader)
        assert [len(batch["clip_id"]) for batch in batches] == [2, 1]
        assert batches[0]["video"].shape == (2, 4, 16, 16, 3)


def test_crops_depend_on_seed_epoch_and_clip_alone(folder):
    def epochs(seed):
        data = ClipData(str(folder), batch_size=2, crop=8, memory=True, seed=seed)
        data.setup("fit")
        loader = data.train_dataloader()
        return [
            {i: v for b in loader for i, v in zip(b["clip_id"], b["video"], strict=True)} for _ in range(2)
        ]

    first, again, other = epochs(0), epochs(0), epochs(1)
    assert all(video.shape == (4, 8, 8, 3) for video in first[0].values())
    assert all(torch.equal(first[e][clip], again[e][clip]) for e in (0, 1) for clip in first[e])
    assert any(not torch.equal(first[0][clip], first[1][clip]) for clip in first[0])
    assert any(not torch.equal(first[0][clip], other[0][clip]) for clip in first[0])


def test_a_crop_larger_than_the_clips_is_refused(folder):
    with pytest.raises(UserError, match=r"data\.crop is 32 px"):
        ClipData(str(folder), crop=32, memory=True).setup("fit")


def test_the_fingerprint_is_that_of_both_splits(folder, tmp_path):
    other = write_clips(tmp_path, train=7, val=2)
    assert ClipData(str(folder)).fingerprint() == ClipData(str(folder), batch_size=2).fingerprint()
    assert ClipData(str(folder)).fingerprint() != ClipData(str(other)).fingerprint()


def test_a_set_without_held_out_clips_trains_without_validation(tmp_path):
    folder = write_clips(tmp_path, train=3, val=0)
    data = ClipData(str(folder), batch_size=2, stream=StreamConfig(lanes=2))
    data.setup("fit")
    assert len(list(data.train_dataloader())) == 2
    assert data.val_dataloader() == []


def test_a_sample_without_its_mp4_is_named():
    raw = {"__key__": "abc", "json": json.dumps({"bucket": "16x16x4"}).encode()}
    with pytest.raises(UserError, match="'abc' needs an mp4"):
        ClipData("nowhere").format("train").decode(raw)


def test_pixels_map_to_minus_one_and_one():
    video = torch.tensor([0, 255], dtype=torch.uint8).reshape(1, 2, 1, 1, 1).expand(1, 2, 2, 2, 3)
    out = to_model_range(video)
    assert out.shape == (1, 2, 3, 2, 2)
    assert out.is_contiguous()
    assert out[0, :, 0, 0, 0].tolist() == [-1.0, 1.0]


def test_decoding_gives_back_the_frames(mp4):
    frames = decode_clip(mp4, Bucket(16, 16, 4), "clip")
    assert frames.dtype == np.uint8
    assert np.abs(frames.astype(int) - moving_square(3, 16, 4)).mean() < 12  # 4:2:0 chroma at 16 px


def test_pyav_reads_what_decord_cannot_and_gives_the_same(mp4, monkeypatch):
    import decord

    expected = decode_clip(mp4, Bucket(16, 16, 4), "clip")

    def refuse(*args, **kwargs):
        raise decord.DECORDError("cannot")

    monkeypatch.setattr(decord, "VideoReader", refuse)
    frames = decode_clip(mp4, Bucket(16, 16, 4), "clip")
    assert np.abs(frames.astype(int) - expected.astype(int)).max() <= 3


def test_a_longer_clip_gives_its_middle(tmp_path):
    clip_id, files = clip_files(tmp_path, 5, "16x16x4", extra_frames=4)
    middle_frames = decode_clip(files["mp4"], Bucket(16, 16, 4), clip_id)
    whole = decode_clip(files["mp4"], Bucket(16, 16, 8), clip_id)
    assert np.array_equal(middle_frames, whole[2:6])
    assert list(middle(7, 4)) == [1, 2, 3, 4]


@pytest.mark.parametrize("bucket", [Bucket(16, 16, 5), Bucket(32, 16, 4)])
def test_a_clip_that_is_not_of_its_bucket_is_refused(mp4, bucket):
    with pytest.raises(UserError, match=r"Clip 'x' has 16x16 pixels and 4 frames"):
        decode_clip(mp4, bucket, "x")


@pytest.mark.parametrize("data", [b"", b"no video at all" * 50])
def test_bytes_that_are_no_video_are_refused(data):
    with pytest.raises(UserError, match="'x' cannot be decoded"):
        decode_clip(data, Bucket(16, 16, 4), "x")
