"""A sample that cannot be read costs a run that sample alone: it is left out, told of, and set aside."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from console import UserError
from datamodules.clips import ClipData, ImageBatches
from datamodules.loader import StreamConfig
from datamodules.quarantine import Quarantine
from tests.datamodules import videos
from tests.datamodules.shard_sets import write_index, write_shard

MODES = {"memory": {"memory": True}, "stream": {}, "workers": {"stream": StreamConfig(num_workers=2)}}
BUCKET = "32x32x24"


def write_set(folder, train, val=(1.0, 1.0)):
    """Shards of clips of 24 frames, of each of whose files a share is left."""
    for split, shares in (("train", train), ("val", val)):
        samples = []
        for number, share in enumerate(shares):
            data = videos.cut(videos.noise(folder / "clip.mp4", 24), share)
            facts = {"bucket": BUCKET, "fps": 8.0, "caption": f"clip {number}"}
            samples.append((f"{split}{number:02d}", {"mp4": data, "json": json.dumps(facts).encode()}))
        write_shard(folder / split / "shard-0.tar", samples)
        write_index(folder / split, {"shard-0.tar": BUCKET})
    return folder


class Trainer:
    """What a datamodule asks a trainer for: where the run lies."""

    strategy = None

    def __init__(self, folder):
        self.default_root_dir = folder


def opened(folder, run, mode="stream", **options):
    data = ClipData(str(folder), **{"batch_size": 2, **MODES[mode], **options})
    data.trainer = Trainer(run)  # pyright: ignore[reportAttributeAccessIssue]
    data.setup("fit")
    return data


def epoch(data):
    loader = data.train_dataloader()
    return [(batch, loader.last[1]) for batch in loader]


@pytest.mark.parametrize("mode", MODES)
def test_a_run_goes_on_without_the_cut_file_and_the_next_start_does_not_read_it(
    tmp_path, mode, capfd, monkeypatch
):
    folder = write_set(tmp_path, [1.0, 1.0, 0.5, 1.0, 1.0, 1.0])
    batches = epoch(data := opened(folder, tmp_path / "run", mode))
    assert sorted(i for batch, _ in batches for i in batch["clip_id"]) == [
        f"train{n:02d}" for n in (0, 1, 3, 4, 5)
    ]
    for batch, numbers in batches:
        assert [f"train{number:02d}" for number in numbers] == batch["clip_id"]
        assert batch["video"].shape[:2] == (len(numbers), 24)
    epoch(data)
    assert capfd.readouterr().err.count("left out a sample of train: Clip 'train02' cannot be read") == 1
    quarantine = Quarantine(tmp_path / "run")
    (samples,) = json.loads(quarantine.path.read_text()).values()
    assert samples["2"]["clip_id"] == "train02"
    assert "its bucket needs 24 at 8 a second (the file is cut there)" in samples["2"]["reason"]

    if mode == "stream":
        monkeypatch.setattr("datamodules.clips.decode_clip", refuse_cut(monkeypatch))
        assert [batch["clip_id"] for batch, _ in epoch(opened(folder, tmp_path / "run", mode))] == [
            batch["clip_id"] for batch, _ in batches
        ]


def refuse_cut(monkeypatch):
    from datamodules.clips import decode_clip

    def decode(data, bucket, window, clip_id, **options):
        assert clip_id != "train02"
        return decode_clip(data, bucket, window, clip_id, **options)

    return decode


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("bad", [(0,), (5,), (0, 1), (2, 3), (0, 1, 4, 5)])
def test_where_nothing_of_a_batch_can_be_read_a_neighbour_comes_again(tmp_path, bad, workers):
    """Each rank makes as many steps as were planned: it may not leave the others waiting."""
    folder = write_set(tmp_path, [0.5 if number in bad else 1.0 for number in range(6)])
    for size in (1, 2):
        stream = StreamConfig(num_workers=workers, lanes=1)
        data = opened(folder, tmp_path / f"run{size}", batch_size=size, stream=stream)
        batches = epoch(data)
        assert len(batches) == 6 // size
        shown = {i for batch, _ in batches for i in batch["clip_id"]}
        good = {f"train{number:02d}" for number in range(6) if number not in bad}
        assert shown == good
        counted = [i for batch, _ in batches if not batch["repeated"] for i in batch["clip_id"]]
        assert sorted(counted) == sorted(good)
        assert Quarantine(tmp_path / f"run{size}").numbers(data._sources["train"][0].fingerprint) == {*bad}


def test_a_set_of_which_nothing_can_be_read_ends_the_run(tmp_path):
    folder = write_set(tmp_path, [0.5, 0.5, 0.5])
    with pytest.raises(UserError, match=r"Not one of the 3 samples .*can be read"):
        epoch(opened(folder, tmp_path / "run"))
    with pytest.raises(UserError, match=r"All 3 samples .*quarantine\.json"):
        epoch(opened(folder, tmp_path / "run", "memory"))


@pytest.mark.parametrize("mode", ["memory", "stream"])
def test_validation_leaves_it_out_and_no_quarantine_is_made_of_it(tmp_path, mode, capfd):
    folder = write_set(tmp_path, [1.0, 1.0], val=[1.0, 0.5, 1.0])
    data = opened(folder, tmp_path / "run", mode)
    for _ in range(2):
        assert [i for batch in data.val_dataloader() for i in batch["clip_id"]] == ["val00", "val02"]
    assert capfd.readouterr().err.count("left out a sample of val: Clip 'val01'") == 1
    assert not Quarantine(tmp_path / "run").path.exists()


@pytest.mark.parametrize("mode", ["memory", "stream"])
def test_a_resumed_run_sees_what_one_that_never_stopped_sees(tmp_path, mode):
    folder = write_set(tmp_path, [1.0, 0.5, 1.0, 1.0, 1.0, 0.5, 1.0, 1.0])
    whole = epoch(opened(folder, tmp_path / "whole", mode))
    for stop in (1, 2, 3):
        first = opened(folder, tmp_path / f"run{stop}", mode).train_dataloader()
        before = [next(iterator) for iterator in [iter(first)] for _ in range(stop)]
        second = opened(folder, tmp_path / f"run{stop}", mode).train_dataloader()
        second.load_state_dict(first.state_dict())
        for batch, (expected, _) in zip([*before, *second], whole, strict=True):
            assert batch["clip_id"] == expected["clip_id"]
            assert torch.equal(batch["video"], expected["video"])


def test_images_of_clips_leave_it_out_too(tmp_path):
    folder = write_set(tmp_path, [1.0, 0.5, 1.0, 1.0])
    loader = opened(folder, tmp_path / "run", images=ImageBatches(share=0.5)).train_dataloader()
    batches = [batch for _ in range(3) for batch in loader]
    assert {batch["video"].shape[1] for batch in batches} == {1, 24}
    assert {i for batch in batches for i in batch["clip_id"]} == {"train00", "train02", "train03"}


def test_processes_that_set_samples_aside_at_once_lose_none(tmp_path):
    def add(number):
        Quarantine(tmp_path / "run").add("data", {number: {"clip_id": str(number)}})

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(add, range(64)))
    assert Quarantine(tmp_path / "run").numbers("data") == {*range(64)}


def test_a_cut_file_that_still_fills_its_bucket_trains(tmp_path):
    folder = write_set(tmp_path, [0.8, 1.0])
    batches = epoch(opened(folder, tmp_path / "run", frames=8))
    assert sorted(i for batch, _ in batches for i in batch["clip_id"]) == ["train00", "train01"]
    assert all(np.ptp(batch["video"].numpy()) > 100 for batch, _ in batches)
    assert not Quarantine(tmp_path / "run").path.exists()
