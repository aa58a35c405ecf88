"""Shards: what goes in, where it goes, what it says, and whether it is still what it was."""

import io
import json
import tarfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from console import UserError
from curation import pipeline
from curation.clip import Clip
from curation.footage import frames_of, stamp
from curation.shardset import read_index, verify
from curation.sound import read_sound
from curation.stages.ingest import Ingest
from curation.stages.shards import Length, Shards, plan, val_sources
from curation.stages.split import Split
from curation.transcode import transcode
from tests.curation.conftest import moving, write_video
from tests.curation.sounds import RATE, tone, write_film


def row_of(folder: Path, name: str, **settings) -> dict:
    """The clip of a file with one clip."""
    facts = Ingest().open(folder)({"source": name})
    options = {"rule": "tile", "min_seconds": 1.0, "max_seconds": 2.0, "drop_first_seconds": 0.0, **settings}
    (clip, *_) = Split(**options).open(folder)({**facts})
    return {**facts, "aspect": facts["width"] / facts["height"], **clip}


def target(row: dict, width=64, height=64, frames=16, rate=8.0) -> dict:
    return {**row, "target": {"width": width, "height": height, "frames": frames, "rate": rate}}


def pixels(path: Path) -> np.ndarray:
    return np.stack([frame.to_ndarray(format="rgb24") for frame in frames_of(path, -(10**9), 10**12)]).astype(
        float
    )


def test_a_clip_inside_a_file_is_cut_at_its_frames(tmp_path):
    source = write_video(tmp_path / "a.mp4", moving(2, 40, speed=3), crf=4)
    row = row_of(tmp_path, "a.mp4", drop_first_seconds=1.125)
    assert row["start"] == pytest.approx(1.125)
    out = tmp_path / "clip.mp4"
    transcode(source, target(row), out, Shards(crf=4))
    expected = pixels(source)[9:25]
    near = np.abs(pixels(out) - expected).mean(axis=(1, 2, 3))
    one_off = np.abs(pixels(out) - np.roll(expected, 1, axis=0)).mean(axis=(1, 2, 3))
    assert len(near) == 16
    assert (near < one_off / 2).all()


def test_any_shape_and_rate_becomes_the_bucket(tmp_path):
    source = write_video(tmp_path / "a.mp4", moving(1, 75, 90, 160), fps=30)
    row = target(row_of(tmp_path, "a.mp4"), 96, 64, 16, 8.0)
    transcode(source, row, tmp_path / "clip.mp4", Shards())
    with av.open(str(tmp_path / "clip.mp4")) as file:
        stream = file.streams.video[0]
        assert (stream.width, stream.height, stream.codec_context.pix_fmt) == (96, 64, "yuv420p")
        times = [float(stamp(frame) * stream.time_base) for frame in file.decode(stream)]
    assert np.diff(times) == pytest.approx(np.full(15, 0.125), abs=1e-4)


def test_a_variable_rate_becomes_even_and_keeps_its_pace(tmp_path):
    stamps = [0, 60, 500, 560, 1000, 1060, 1500, 1560, 1990]
    source = write_video(tmp_path / "a.mp4", moving(1, 9), stamps=stamps)
    row = target(row_of(tmp_path, "a.mp4"))
    assert transcode(source, row, tmp_path / "clip.mp4", Shards(copy=True)) == 16
    with av.open(str(tmp_path / "clip.mp4")) as file:
        rate = file.streams.video[0].average_rate
    assert rate == Fraction(8)


@pytest.mark.parametrize("copy", [True, False])
def test_the_same_clip_gives_the_same_bytes(tmp_path, copy):
    source = write_video(tmp_path / "a.mp4", moving(1))
    for name in ("one.mp4", "two.mp4"):
        transcode(source, target(row_of(tmp_path, "a.mp4")), tmp_path / name, Shards(copy=copy, audio=False))
    assert (tmp_path / "one.mp4").read_bytes() == (tmp_path / "two.mp4").read_bytes()
    if copy:
        assert (pixels(tmp_path / "one.mp4") == pixels(source)).all()


def test_a_source_that_is_gone_is_an_error_of_the_row(tmp_path):
    source = write_video(tmp_path / "a.mp4", moving(1, 24))
    row = target(row_of(tmp_path, "a.mp4"))
    source.unlink()
    with pytest.raises(ValueError, match="FFmpeg failed"):
        transcode(source, row, tmp_path / "clip.mp4", Shards())


def kept(count: int, **more) -> list[dict]:
    base = {"seconds": 5.0, "fps": 24.0, "aspect": 1.0, **more}
    return [{**base, "clip_id": f"{k:04x}", "sha256": f"{k // 2:064x}"} for k in range(count)]


def test_clips_of_one_source_stay_on_one_side():
    tars = plan(kept(200), Shards(val_fraction=0.2, per_shard=16), {})
    sides = {
        split: {row["sha256"] for tar in tars if tar.split == split for row in tar.rows}
        for split in ("train", "val")
    }
    assert not sides["train"] & sides["val"]
    assert 0.1 < len(sides["val"]) / 100 < 0.3
    assert sum(len(tar.rows) for tar in tars) == 200
    assert max(len(tar.rows) for tar in tars) == 16


def test_more_sources_move_none_to_the_other_side():
    some = {f"{k}" for k in range(100)}
    more = some | {f"{k}" for k in range(100, 300)}
    assert val_sources(some, 0.1) == val_sources(more, 0.1) & some
    assert len(val_sources({"a", "b"}, 1e-9)) == 1


def test_a_tar_has_one_bucket_and_the_nearest_aspect():
    stage = Shards()
    rows = [*kept(3, aspect=16 / 9), *kept(3, aspect=9 / 16, seconds=13.0), *kept(2, seconds=3.0)]
    for k, row in enumerate(rows):
        row["clip_id"] = f"{k:04x}"
    tars = plan(rows, stage, {})
    assert {tar.bucket for tar in tars} == {"1024x576x128", "576x1024x256"}
    assert sum(len(tar.rows) for tar in tars) == 6  # 3 s is shorter than every bucket


def test_equal_clips_name_equal_tars_in_any_order():
    rows = kept(20)
    assert [tar.name for tar in plan(rows, Shards(), {})] == [
        tar.name for tar in plan(rows[::-1], Shards(), {})
    ]
    changed = [{**rows[0], "caption": "other"}, *rows[1:]]
    assert plan(changed, Shards(), {}) != plan(rows, Shards(), {})


def test_shards_that_cannot_be_are_refused():
    with pytest.raises(UserError, match="even sides"):
        Shards(sizes=((63, 64),))
    with pytest.raises(UserError, match="shortest first"):
        Shards(lengths=(Length(min_seconds=8.0, frames=8), Length(min_seconds=4.0, frames=8)))


@pytest.fixture(scope="module")
def published(raw, tmp_path_factory) -> Path:
    """The shards of a whole run in this process."""
    from curation.config import load
    from curation.engine.serial import Serial

    out = tmp_path_factory.mktemp("published")
    light = [
        "visual.text_frames=1",
        "embed.size=32",
        "unit=4",
        "shards.per_shard=4",
        "shards.val_fraction=0.3",
    ]
    outcome = pipeline.run_all(
        load("configs/curation/demo.yaml", {"input": str(raw), "out": str(out)}, light), Serial()
    )
    assert not outcome.encode_errors
    return out / "shards"


def members(folder: Path) -> dict[str, bytes]:
    found = {}
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as tar:
            found |= {name: tar.extractfile(name).read() for name in tar.getnames()}
    return found


def test_a_shard_says_what_its_clips_are(published):
    every = members(published / "train") | members(published / "val")
    clips = [Clip.from_json(text) for name, text in every.items() if name.endswith(".json")]
    assert {clip.source for clip in clips} >= {"sub/två.mp4", "clip 0.mp4", "clip 5.mp4"}
    assert "still.mp4" not in {clip.source for clip in clips}
    assert len({clip.clip_id for clip in clips}) == len(clips)  # the copy is left out
    by_source = {clip.source: clip for clip in clips}
    assert by_source["clip 0.mp4"].caption == "a square moves right"
    assert by_source["clip 0.mp4"].scores["frozen"] == 0.0
    assert any(clip.camera_motion for clip in clips)
    for clip in clips:
        assert (clip.camera_motion is None) == (clip.camera_confidence is None)
        assert clip.camera_motion == clip.scores["camera_motion"]
        assert (clip.bucket, clip.frames, clip.fps, clip.duration) == ("64x64x16", 16, 8.0, 2.0)
        with av.open(io.BytesIO(every[f"{clip.clip_id}.mp4"])) as file:
            assert sum(1 for _ in file.decode(video=0)) == 16


def test_the_index_counts_what_is_there(published):
    for split in ("train", "val"):
        index, there = read_index(published / split), members(published / split)
        assert index["samples"] == len(there) / 2 == sum(index["buckets"].values())
        assert index["format"] == 1
        assert verify(published / split) == []


def test_tars_have_no_owner_and_no_time(published):
    with tarfile.open(published / "train" / "shard-000000.tar") as tar:
        assert {(member.mtime, member.uid, member.gid, member.uname) for member in tar} == {(0, 0, 0, "")}


def test_verify_finds_every_kind_of_damage(published, tmp_path):
    import shutil

    folder = tmp_path / "train"
    shutil.copytree(published / "train", folder)
    first, second = sorted(folder.glob("*.tar"))[:2]
    (folder / "shard-999999.tar").write_bytes(first.read_bytes())
    whole = second.read_bytes()
    second.write_bytes(whole[:-512])
    assert sorted(fault.split(": ")[1].split(",")[0] for fault in verify(folder)) == [
        "not in the index",
        "truncated",
    ]
    second.write_bytes(whole[:600] + bytes([whole[600] ^ 1]) + whole[601:])
    first.unlink()
    faults = verify(folder)
    assert any("missing" in fault for fault in faults)
    assert any("SHA-256" in fault for fault in faults)
    index = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps({**index, "samples": 99}))
    assert any("add up" in fault for fault in verify(folder))


@pytest.mark.parametrize("late", [0.0, 1.0])
@pytest.mark.parametrize("start", [0.0, 0.5, 1.0, 1.375])
def test_sound_stays_under_its_pictures(tmp_path, late, start):
    silence = np.zeros((1, round((2.5 - late) * RATE)), np.float32)
    write_film(tmp_path / "a.mkv", np.concatenate([silence, tone(2.5)], 1), moving(1, 40), late)
    row = {**row_of(tmp_path, "a.mkv"), "start": start, "end": start + 3, "frames": 24}
    transcode(tmp_path / "a.mkv", target(row, frames=24), tmp_path / "clip.mp4", Shards(audio=True))
    made = read_sound(tmp_path / "clip.mp4", 0.0, 3.0)
    assert made is not None
    heard = np.flatnonzero(np.abs(made.native).max(axis=0) > 0.05)[0] / RATE
    assert heard == pytest.approx(2.5 - start, abs=0.004)
