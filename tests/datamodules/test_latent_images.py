"""Images and videos of cached latents in turn; images are of a folder of their own or are first frames."""

import json
import shutil

import pytest
import torch

from console import UserError
from datamodules.joint import JointLoader
from datamodules.latent_images import LatentImages
from datamodules.latents import LatentData
from datamodules.loader import StreamConfig
from storage import write_json
from tests.datamodules.shard_sets import write_latents
from tests.datamodules.test_loader import take

MODES = ["memory", "stream"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("sets")
    videos = write_latents(root / "videos", train=6, val=2, first=True, buckets=("32x32x16", "64x32x16"))
    images = write_latents(root / "images", train=20, val=3, buckets=("32x32x1", "32x64x1"))
    return videos, images


def data(folders, own=True, mode="memory", **options):
    options = {"batch_size": 2, **options}
    images = {"share": 0.25, **options.pop("images", {})}
    if own:
        images["latents"] = str(folders[1])
    made = LatentData(
        str(folders[0]), memory=mode == "memory", stream=StreamConfig(lanes=2), images=LatentImages(**images),
        **options,
    )  # fmt: skip
    made.setup("fit")
    return made


def is_image(batch):
    return batch["latent"].shape[1] == 1


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("own", [True, False])
def test_one_batch_in_four_is_of_images_and_costs_no_more_than_a_video_batch(folders, own, mode):
    batches = take(data(folders, own, mode).train_dataloader(), 40)
    assert [is_image(batch) for batch in batches] == [False, False, False, True] * 10
    largest = max(batch["latent"].numel() for batch in batches if not is_image(batch))
    sizes = {batch["latent"].numel() for batch in batches if is_image(batch)}
    assert max(sizes) == largest
    for batch in batches:
        width, height, frames = map(int, batch["bucket"].split("x"))
        assert batch["latent"].shape[1:] == (-(-frames // 8), 3, height // 8, width // 8)
        assert len(batch["latent"]) == len(batch["clip_id"]) == len(batch["text"]["mask"])


def test_first_frames_are_those_of_their_clips_with_their_captions(folders):
    for batch in take(data(folders, own=False).train_dataloader(), 40):
        if is_image(batch):
            assert "first" not in batch
            numbers = [int(clip.removeprefix("train")) for clip in batch["clip_id"]]
            assert batch["latent"][:, 0, 0, 0, 0].tolist() == pytest.approx([1 + n for n in numbers])
            assert batch["caption"] == [f"train {number}" for number in numbers]


def test_images_of_their_own_come_once_an_epoch_normalised_as_the_videos(folders):
    batches = take(data(folders, images={"share": 0.5}).train_dataloader(), 28)
    images = [batch for batch in batches if is_image(batch)]
    seen = [clip for batch in images for clip in batch["clip_id"]][:40]
    assert len(set(seen)) == 40
    values = torch.cat([batch["latent"].flatten() for batch in images])
    assert abs(values.mean()) < 0.1  # the shards hold N(2, 3)
    assert abs(values.std() - 1) < 0.1


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("stop", [3, 4, 9])
def test_a_stopped_run_goes_on_with_the_batches_of_one_that_was_not(folders, own, mode, stop):
    whole = take(data(folders, own, mode).train_dataloader(), 20)
    first, second = (data(folders, own, mode).train_dataloader() for _ in range(2))
    take(first, stop)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    for batch, other in zip(take(second, 20 - stop), whole[stop:], strict=True):
        assert batch["clip_id"] == other["clip_id"]
        assert torch.equal(batch["latent"], other["latent"])


def test_without_a_share_the_batches_are_those_of_videos_alone(folders):
    plain = LatentData(str(folders[0]), batch_size=2, memory=True)
    plain.setup("fit")
    assert not isinstance(plain.train_dataloader(), JointLoader)
    joint = [b for b in take(data(folders).train_dataloader(), 16) if not is_image(b)]
    for batch, other in zip(joint, take(plain.train_dataloader(), len(joint)), strict=True):
        assert torch.equal(batch["latent"], other["latent"])


def test_held_out_images_are_validated_behind_the_videos(folders):
    loader = data(folders).val_dataloader()
    for _ in range(2):  # the same every time
        batches = list(loader)
        assert len(batches) == len(loader) == 4
        assert [is_image(batch) for batch in batches] == [False, False, True, True]
    assert [is_image(batch) for batch in data(folders, own=False).val_dataloader()] == [False, False]


def test_sizes_of_images_are_those_asked_for(folders):
    sizes = {"32x32x1": 3, "32x64x1": 1}
    made = data(folders, images={"batch_size": sizes})
    images = [batch for batch in take(made.train_dataloader(), 60) if is_image(batch)]
    assert {(batch["bucket"], len(batch["clip_id"])) for batch in images} >= set(sizes.items())
    assert made.batch_sizes() == {**sizes, "32x32x16": 2, "64x32x16": 2}
    assert made.buckets == {"32x32x16": 6, "64x32x16": 6, "32x32x1": 20, "32x64x1": 20}
    with pytest.raises(ValueError, match=r"data\.images\.batch_size has no entry for bucket '32x64x1'"):
        data(folders, images={"batch_size": {"32x32x1": 3}}).train_dataloader()


def test_the_fingerprint_knows_images_of_their_own(folders, tmp_path):
    other = write_latents(tmp_path, train=5, val=3, buckets=("32x32x1",))
    prints = {data(folders).fingerprint(), data((folders[0], other)).fingerprint()}
    assert len(prints | {LatentData(str(folders[0])).fingerprint()}) == 3


def test_images_of_other_models_videos_and_missing_ones_are_refused(folders, tmp_path):
    for key in ("tae", "text"):
        other = tmp_path / key
        shutil.copytree(folders[1], other)
        index = json.loads((other / "train/index.json").read_text())
        write_json(other / "train/index.json", {**index, key: "another"})
        with pytest.raises(UserError, match=r"is of the .* another, .*Encode both"):
            data((folders[0], other))
    with pytest.raises(UserError, match=r"holds videos \(32x32x16, 64x32x16\).*--images"):
        data((folders[0], folders[0]))
    bare = write_latents(tmp_path / "bare")
    with pytest.raises(UserError, match=r"has no first frame.*--first-frame"):
        take(data((bare, None), own=False).train_dataloader(), 4)


@pytest.mark.parametrize("settings", [{"share": 1.0}, {"share": -0.1}, {"latents": "somewhere"}])
def test_settings_that_mean_nothing_are_refused(settings):
    with pytest.raises(ValueError, match=r"data\.images"):
        LatentImages(**settings)


@pytest.mark.parametrize("own", [True, False])
def test_a_set_of_one_sample_is_dealt_again_and_again(tmp_path, own):
    one = write_latents(tmp_path / "one", train=1, val=0, first=True)
    image = write_latents(tmp_path / "image", train=1, val=0, buckets=("32x32x1",))
    made = data((one, image), own, images={"share": 0.5})
    assert [batch["clip_id"] for batch in take(made.train_dataloader(), 6)] == [["train000"]] * 6
    assert made.val_dataloader() == []
