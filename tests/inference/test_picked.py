"""One set of clips as images, at a lower resolution, or a picked few of it; camera motions that are sure."""

import dataclasses
import io
import json

import numpy as np
import pytest
import torch

from console import UserError
from inference.clips import cover
from inference.encode import EncodeOptions, encode
from inference.encoders import open_encoders
from inference.picked import Picked, read_ids
from inference.shards import INDEX, read_samples
from inference.t2v import to_values
from inference.video import read_video

OPTIONS = EncodeOptions(batch=2)


def encoded(shards, tae, out, **picked):
    encode(shards, tae, out, dataclasses.replace(OPTIONS, picked=Picked(**picked)))
    index = {split: json.loads((out / split / INDEX).read_text()) for split in ("train", "val")}
    return index, {
        split: [s for row in index[split]["shards"] for s in read_samples(out / split / row["file"])]
        for split in index
    }


def test_an_image_is_the_middle_frame_encoded_alone(shards, model_folders, tae, tmp_path):
    index, samples = encoded(shards, model_folders[0], tmp_path / "out", images=True)
    assert index["train"]["buckets"] == {"32x32x1": 6}
    clips = {s.key: s.files["mp4"] for s in read_samples(shards / "val" / "shard-000000.tar")}
    for sample in samples["val"]:
        middle = read_video(io.BytesIO(clips[sample.key]))[3:4]
        with torch.no_grad():
            expected = tae.encode(to_values(middle[None])).mean[0]
        found = np.load(io.BytesIO(sample.files["latent.npy"]))
        np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)
        assert json.loads(sample.files["json"])["bucket"] == "32x32x1"


def test_a_lower_resolution_is_that_of_the_scaled_frames(shards, model_folders, tae, tmp_path):
    index, samples = encoded(shards, model_folders[0], tmp_path / "out", shrink=2)
    assert index["val"]["buckets"] == {"16x16x8": 2}
    assert index["val"]["compression"] == [8, 8, 8]
    clips = {s.key: s.files["mp4"] for s in read_samples(shards / "val" / "shard-000000.tar")}
    for sample in samples["val"]:
        frames = np.stack([cover(frame, 16, 16) for frame in read_video(io.BytesIO(clips[sample.key]))])
        with torch.no_grad():
            expected = tae.encode(to_values(frames[None])).mean[0]
        found = np.load(io.BytesIO(sample.files["latent.npy"]))
        np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)


def test_a_picked_few_are_the_training_clips_and_all_held_out_ones_stay(
    shards, model_folders, tmp_path, capsys
):
    keys = [s.key for s in read_samples(shards / "train" / "shard-000001.tar")][:2]
    (tmp_path / "ids.txt").write_text(f"# liked\n{keys[0]}  the best\n\n{keys[1]}\nabsent\n")
    ids = read_ids(tmp_path / "ids.txt")
    assert ids == {*keys, "absent"}
    _, samples = encoded(shards, model_folders[0], tmp_path / "out", only=ids)
    assert {sample.key for sample in samples["train"]} == set(keys)
    assert len(samples["val"]) == 2
    assert "names 3 clips; 2 are in train" in capsys.readouterr().err


def test_other_picks_are_not_mixed_into_one_folder(shards, model_folders, tmp_path):
    encode(shards, model_folders[0], tmp_path / "out", OPTIONS)
    for picked in (Picked(images=True), Picked(shrink=2), Picked(only=frozenset("a"))):
        with pytest.raises(UserError, match="--replace"):
            encode(shards, model_folders[0], tmp_path / "out", dataclasses.replace(OPTIONS, picked=picked))


def test_picks_that_cannot_be_are_refused(shards, model_folders, tmp_path):
    with pytest.raises(UserError, match="--shrink must be at least 1"):
        Picked(shrink=0)
    with pytest.raises(UserError, match=r"no multiples of 8.*another --shrink"):
        encoded(shards, model_folders[0], tmp_path / "out", shrink=3)
    with pytest.raises(UserError, match="cannot be read"):
        read_ids(tmp_path / "none.txt")
    (tmp_path / "empty.txt").write_text("# nobody\n")
    with pytest.raises(UserError, match="names no clip"):
        read_ids(tmp_path / "empty.txt")


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        ({"camera_motion": "pan right", "camera_confidence": 0.9}, "pan right, a ball"),
        ({"camera_motion": "pan right", "camera_confidence": 0.7}, "a ball"),
        ({"camera_motion": "close-up", "camera_confidence": None}, "close-up, a ball"),  # people said so
        ({"camera_motion": None, "camera_confidence": None}, "a ball"),
    ],
)
def test_a_camera_motion_stands_before_the_caption_where_it_is_sure(model_folders, about, expected):
    encoders = open_encoders(model_folders[0], dataclasses.replace(OPTIONS, prefix=("camera",)))
    assert encoders.worded({"caption": "a ball", "fps": 8.0, **about}, 8) == expected
    curated = {"caption": expected, "fps": 8.0, **about}  # curation was first
    assert encoders.worded(curated, 8) == expected
    assert encoders.worded({"caption": "a ball", "fps": 8.0, **about}, 1) == "a ball"
    assert encoders.worded(curated, 1) == "a ball"


def test_a_prefix_that_images_cannot_have_is_refused():
    with pytest.raises(UserError, match="--images have no --prefix fps"):
        EncodeOptions(prefix=("fps",), picked=Picked(images=True))
