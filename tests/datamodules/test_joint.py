"""Images and videos in turn: as many of each as asked, alike at every rank, on after a stop as before."""

import numpy as np
import pytest
import torch

from console import UserError
from datamodules.clips import ClipData, ImageBatches
from datamodules.joint import JointLoader
from datamodules.loader import StreamConfig
from tests.datamodules.shard_sets import clip_files, write_clips, write_index, write_shard
from tests.datamodules.test_loader import loader, shards, take  # noqa: F401, a fixture

MODES = ["memory", "stream"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_clips(tmp_path_factory.mktemp("clips"), train=14, val=3, bucket="16x16x16")


def data(folder, mode="memory", share=0.25, **options):
    made = ClipData(
        str(folder), batch_size=2, memory=mode == "memory", stream=StreamConfig(lanes=2),
        images=ImageBatches(share=share), **options,
    )  # fmt: skip
    made.setup("fit")
    return made


def is_image(batch):
    return batch["video"].shape[1] == 1


@pytest.mark.parametrize("mode", MODES)
def test_one_batch_in_four_is_of_images_and_weighs_as_much(folder, mode):
    batches = take(data(folder, mode).train_dataloader(), 40)
    assert [is_image(batch) for batch in batches] == [False, False, False, True] * 10
    for batch in batches:
        assert batch["video"].shape[1:] == (1 if is_image(batch) else 16, 16, 16, 3)
        assert batch["video"].shape[0] == len(batch["clip_id"]) == len(batch["fps"])
    whole = [len(batch["clip_id"]) for batch in batches if is_image(batch)]
    assert max(whole) == 2 * 16 // 8  # the latent positions of two clips of two latent frames


@pytest.mark.parametrize(("share", "expected"), [(0.1, 20), (0.25, 50), (0.5, 100), (0.75, 150)])
def test_the_share_of_images_is_the_one_asked_for(folder, share, expected):
    batches = take(data(folder, share=share).train_dataloader(), 200)
    assert sum(map(is_image, batches)) == expected


def test_no_share_is_the_loader_without_images(folder):
    plain, none = data(folder, share=0.0).train_dataloader(), data(folder).train_dataloader()
    assert not isinstance(plain, JointLoader)
    videos = [batch for batch in take(none, 12) if not is_image(batch)]
    for batch, other in zip(videos, take(plain, len(videos)), strict=True):
        assert torch.equal(batch["video"], other["video"])


def test_every_clip_comes_once_an_epoch_in_either_kind(folder):
    batches = take(data(folder).train_dataloader(), 28)  # 21 of videos, 7 an epoch; 7 of images, 4 an epoch
    videos = [batch["clip_id"] for batch in batches if not is_image(batch)]
    images = [batch["clip_id"] for batch in batches if is_image(batch)]
    for epoch in (videos[:7], videos[7:14], videos[14:], images[:4]):
        assert len({clip for ids in epoch for clip in ids}) == sum(map(len, epoch)) == 14
    assert [clip for ids in videos[:7] for clip in ids] != [clip for ids in images[:4] for clip in ids]


def test_an_image_is_a_frame_of_its_clip_and_another_one_in_another_epoch(folder):
    made = data(folder)
    clips = {clip.clip_id: clip.frames for clip in made._sources["train"][1]._items}
    seen = {}
    for batch in take(made.train_dataloader(), 160):
        if is_image(batch):
            for clip_id, frame in zip(batch["clip_id"], batch["video"].numpy(), strict=True):
                which = [i for i, other in enumerate(clips[clip_id]) if np.array_equal(other, frame[0])]
                assert which
                seen.setdefault(clip_id, set()).add(which[0])
    assert all(len(frames) > 3 for frames in seen.values())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("stop", [1, 3, 4, 10, 27])
def test_a_stopped_run_goes_on_with_the_batches_of_one_that_was_not(folder, mode, stop):
    whole = take(data(folder, mode, crop=8).train_dataloader(), 32)
    first = data(folder, mode, crop=8).train_dataloader()
    take(first, stop)
    second = data(folder, mode, crop=8).train_dataloader()
    second.load_state_dict(first.state_dict())
    for batch, other in zip(take(second, 32 - stop), whole[stop:], strict=True):
        assert batch["clip_id"] == other["clip_id"]
        assert torch.equal(batch["video"], other["video"])


@pytest.mark.parametrize("stop", [3, 4, 5])  # a batch of videos, one of images, the next epoch's
def test_a_batch_that_was_put_back_comes_again(folder, stop):
    joint = data(folder).train_dataloader()
    last = take(joint, stop)[-1]
    joint.put_back()
    resumed = data(folder).train_dataloader()
    resumed.load_state_dict(joint.state_dict())
    again = take(resumed, 1)[0]
    assert again["clip_id"] == last["clip_id"]
    assert torch.equal(again["video"], last["video"])


def test_an_epoch_is_as_long_after_a_resume_and_its_rest_is_what_was_left(folder):
    joint = data(folder).train_dataloader()
    assert len(joint) == 9  # 7 batches of videos, and 2 of images between them
    rows = iter(joint)
    for _ in range(5):
        next(rows)
    resumed = data(folder).train_dataloader()
    resumed.load_state_dict(joint.state_dict())
    assert len(resumed) == 9
    assert len(list(resumed)) == 4
    assert len(list(resumed)) == 9


def test_other_data_is_refused_on_a_resume(folder, tmp_path):
    state = data(folder).train_dataloader().state_dict()
    other = write_clips(tmp_path, train=6, val=2, bucket="16x16x16")
    with pytest.raises(UserError, match="fingerprint"):
        data(other).train_dataloader().load_state_dict(state)


def test_ranks_see_images_at_the_same_steps_and_share_them(shards):  # noqa: F811, the imported fixture
    from datamodules.loader import Share
    from datamodules.plan import Order

    order = Order(batch_size=2, seed=5)
    ranks = [
        JointLoader(
            loader(shards, "memory", share=Share(rank, 2)),
            loader(shards, "memory", order=order, share=Share(rank, 2)),
            0.25,
        )
        for rank in (0, 1)
    ]
    first, second = (take(joint, 16) for joint in ranks)
    seen = [{key for batch in part[3::4][:2] for key in batch["clip_id"]} for part in (first, second)]
    assert not seen[0] & seen[1]
    assert [joint.is_image(i) for joint in ranks for i in range(4)] == [False, False, False, True] * 2


def test_clips_of_mixed_lengths_make_batches_and_images_of_their_own(tmp_path):
    """Lengths in frames that the TAE's factor of 8 divides, and one that it does not."""
    names = {}
    for frames in (8, 13, 16):
        bucket = f"16x16x{frames}"
        names[f"{bucket}.tar"] = bucket
        write_shard(tmp_path / "train" / f"{bucket}.tar", [clip_files(tmp_path, n, bucket) for n in range(5)])
    write_index(tmp_path / "train", names)
    write_index(tmp_path / "val", {})
    batches = take(data(tmp_path).train_dataloader(), 48)
    lengths = {batch["video"].shape[1] for batch in batches if not is_image(batch)}
    assert lengths == {8, 13, 16}
    assert {len(batch["clip_id"]) for batch in batches if is_image(batch)} <= {1, 2, 3, 4}
    assert max(len(batch["clip_id"]) for batch in batches if is_image(batch)) == 4


@pytest.mark.parametrize("settings", [{"share": 1.0}, {"share": -0.1}, {"frames": 0}])
def test_settings_that_mean_nothing_are_refused(settings):
    with pytest.raises(ValueError, match=r"share .* must be in \[0, 1\)"):
        ImageBatches(**settings)
