"""Clips become batches of the shape and range that models take, cropped alike in every run."""

import json

import numpy as np
import pytest
import torch

from console import UserError
from datamodules.clips import ClipData, to_model_range
from datamodules.decode import Window, decode_clip
from datamodules.loader import Share, StreamConfig
from datamodules.shards import Bucket
from tests.datamodules.shard_sets import clip_files, moving_square, write_clips, write_index, write_shard
from tests.datamodules.videos import numbered, numbers


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_clips(tmp_path_factory.mktemp("clips"), train=7, val=3)


@pytest.fixture
def mp4(tmp_path):
    return clip_files(tmp_path, 3, "16x16x4")[1]["mp4"]


def at_8(frames):
    return Window(frames=frames, fps=8.0)


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
    frames = decode_clip(mp4, Bucket(16, 16, 4), at_8(4), "clip").frames
    assert frames.dtype == np.uint8
    assert np.abs(frames.astype(int) - moving_square(3, 16, 4)).mean() < 12  # 4:2:0 chroma at 16 px


def test_pyav_reads_what_decord_cannot_and_gives_the_same(mp4, monkeypatch):
    import decord

    expected = decode_clip(mp4, Bucket(16, 16, 4), at_8(4), "clip").frames

    def refuse(*args, **kwargs):
        raise decord.DECORDError("cannot")

    monkeypatch.setattr(decord, "VideoReader", refuse)
    frames = decode_clip(mp4, Bucket(16, 16, 4), at_8(4), "clip").frames
    assert np.abs(frames.astype(int) - expected.astype(int)).max() <= 3


def test_a_longer_clip_gives_its_middle(tmp_path):
    clip_id, files = clip_files(tmp_path, 5, "16x16x4", extra_frames=4)
    middle_frames = decode_clip(files["mp4"], Bucket(16, 16, 4), at_8(4), clip_id).frames
    whole = decode_clip(files["mp4"], Bucket(16, 16, 8), at_8(8), clip_id).frames
    assert np.array_equal(middle_frames, whole[2:6])


@pytest.mark.parametrize(
    ("bucket", "says"),
    [
        (Bucket(16, 16, 5), r"Clip 'x' cannot be read: it has 4 frames in 0\.5 s; its bucket needs 5 at 8"),
        (Bucket(32, 16, 4), r"Clip 'x' has 16x16 pixels; its bucket needs 32x16\. Make the shards anew"),
    ],
)
def test_a_clip_that_is_not_of_its_bucket_is_refused(mp4, bucket, says):
    with pytest.raises(UserError, match=says):
        decode_clip(mp4, bucket, at_8(bucket.frames), "x")


@pytest.mark.parametrize("data", [b"", b"no video at all" * 50])
def test_bytes_that_are_no_video_are_refused(data):
    with pytest.raises(UserError, match="'x' cannot be read: it cannot be decoded"):
        decode_clip(data, Bucket(16, 16, 4), at_8(4), "x")


@pytest.fixture(scope="module")
def long_clips(tmp_path_factory):
    """Five clips of 24 frames, each of which tells its number, in a bucket of 8."""
    folder = tmp_path_factory.mktemp("long")
    facts = json.dumps({"bucket": "16x16x8", "fps": 8.0, "caption": "grey"}).encode()
    data = numbered(folder / "a.mp4", 24).read_bytes()
    for split, count in (("train", 5), ("val", 2)):
        samples = [(f"{split}{number}", {"mp4": data, "json": facts}) for number in range(count)]
        write_shard(folder / split / "shard-0.tar", samples)
        write_index(folder / split, {"shard-0.tar": "16x16x8"})
    return folder


def spans(batches):
    return {
        key: numbers(video.numpy())
        for batch in batches
        for key, video in zip(batch["clip_id"], batch["video"], strict=True)
    }


def of_long(folder, **options):
    data = ClipData(str(folder), batch_size=2, **options)
    data.setup("fit")
    return data


@pytest.mark.parametrize("memory", [True, False])
def test_a_span_is_the_centre_or_drawn_anew_for_each_clip_and_epoch(long_clips, memory):
    centre = of_long(long_clips, memory=memory)
    assert set(map(tuple, spans(centre.train_dataloader()).values())) == {tuple(range(8, 16))}
    data = of_long(long_clips, memory=memory, span="random")
    loader = data.train_dataloader()
    epochs = [spans(loader) for _ in range(6)]
    firsts = {found[0] for epoch in epochs for found in epoch.values()}
    assert all(np.diff(found).tolist() == [1] * 7 for epoch in epochs for found in epoch.values())
    assert len(firsts) > 6
    assert firsts <= {*range(17)}
    assert any(epochs[0][key] != epochs[1][key] for key in epochs[0])
    assert spans(data.val_dataloader()) == {f"val{number}": [*range(8, 16)] for number in range(2)}


def test_spans_are_the_same_streamed_at_another_world_size_and_after_a_resume(long_clips):
    def loader(share=None, **options):
        data = of_long(long_clips, span="random", **options)
        data._share = lambda: share or Share()
        return data.train_dataloader()

    expected = spans(loader(memory=True))
    assert spans(loader()) == expected
    two = [spans(loader(Share(rank, 2))) for rank in range(2)]
    assert {**two[0], **two[1]} == expected
    first = loader()
    before = [next(iterator) for iterator in [iter(first)] for _ in range(2)]
    second = loader()
    second.load_state_dict(first.state_dict())
    assert {**spans(before), **spans(second)} == expected


def test_fewer_frames_than_the_bucket_has_are_read_where_they_are_asked_for(long_clips):
    assert spans(of_long(long_clips, frames=2).train_dataloader())["train0"] == [11, 12]
    drawn = spans(of_long(long_clips, frames=2, span="random").train_dataloader())
    assert all(found[1] - found[0] == 1 for found in drawn.values())
    assert len({found[0] for found in drawn.values()}) > 1
    with pytest.raises(UserError, match=r"data\.frames is 9; clips of the bucket '16x16x8' have fewer"):
        of_long(long_clips, frames=9, memory=True)


@pytest.mark.parametrize("options", [{"span": "left"}, {"frames": 0}])
def test_spans_that_mean_nothing_are_refused(options):
    with pytest.raises(ValueError, match=r"data\.(span|frames) must be"):
        ClipData("nowhere", **options)
