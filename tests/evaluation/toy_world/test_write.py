"""Written worlds: whole, deterministic, resumable, true to their settings."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from console import UserError
from evaluation.toy_world.settings import Settings
from evaluation.toy_world.world import compose, plan
from evaluation.toy_world.write import TRUTH, WORLD, make

ROOT = Path(__file__).parents[3]
SMALL = Settings(
    clips=24, seed=0, spoilers=0.25, camera=0.1, stills=0.1, bounces=0.1, reels=0.1, identities=1, edits=1
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A world with files of every kind."""
    out = tmp_path_factory.mktemp("toy") / "world"
    make(SMALL, out, 1)
    return out


def rows(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / TRUTH).read_text().splitlines()]


def digests(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.iterdir())}


def decode(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def sound(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        (stream,) = container.streams.audio
        assert stream.rate == 48_000
        return np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])


def test_the_folder_holds_the_files_of_the_truth_their_captions_and_nothing_else(world: Path) -> None:
    files = [row["file"] for row in rows(world)]
    assert len(files) == len(set(files)) == SMALL.clips
    captions = [Path(name).with_suffix(".json").name for name in files]
    assert {path.name for path in world.iterdir()} == {*files, *captions, TRUTH, WORLD}
    assert {row["kind"] for row in rows(world)} == {"clip", "still", "reel", "spoiler", "identity", "edit"}


def test_a_video_has_the_pictures_and_rate_of_the_truth(world: Path) -> None:
    for item, row in zip(plan(SMALL), rows(world), strict=True):
        if row["label"] in ("truncated", "variable_frame_rate") or row["kind"] == "still":
            continue
        with av.open(str(world / row["file"])) as container:
            video = container.streams.video[0]
            assert (video.codec_context.name, video.pix_fmt) == ("h264", "yuv420p")
            assert video.average_rate == row["fps"]
        clip = decode(world / row["file"])
        assert clip.shape == (row["frames"], row["height"], row["width"], 3)
        true = compose(item, SMALL).pixels()
        if row["label"] != "duplicate_reencoded":  # that one is meant to be poor
            assert noise(clip.mean(axis=-1), true.mean(axis=-1)) > 38
            assert noise(clip, true) > 28


def noise(one: np.ndarray, other: np.ndarray) -> float:
    """Peak signal to noise ratio in decibels."""
    return 10 * np.log10(255**2 / np.square(one.astype(float) - other).mean())


def test_compression_loses_less_than_38_db_of_what_half_the_colour_resolution_leaves(world: Path) -> None:
    for index in range(4):
        item = next(one for one in plan(SMALL) if one.stream == "moving" and one.index == index)
        frames = [av.VideoFrame.from_ndarray(one, format="rgb24") for one in compose(item, SMALL).pixels()]
        halved = [one.reformat(format="yuv420p").reformat(format="rgb24").to_ndarray() for one in frames]
        assert noise(decode(world / item.file), np.stack(halved)) > 38


def test_a_thud_is_heard_within_a_frame_of_each_bounce(world: Path) -> None:
    bounces = [row for row in rows(world) if row["shots"][0]["bounces"]]
    assert bounces
    for row in bounces:
        wave = np.abs(sound(world / row["file"]))
        loud = np.flatnonzero(wave > 0.25)
        onsets = [i / 48_000 for i in loud if wave[max(0, i - 4800) : i].max(initial=0) <= 0.25]
        assert onsets == pytest.approx(row["shots"][0]["bounces"], abs=1 / row["fps"])
        assert len(wave) / 48_000 == pytest.approx(row["frames"] / row["fps"], abs=0.05)


def test_captions_beside_the_files_have_the_form_that_curation_reads(world: Path) -> None:
    for row in rows(world):
        note = json.loads((world / row["file"]).with_suffix(".json").read_text())
        if len(row["shots"]) == 1:
            assert note == {"caption": row["caption"]}
            continue
        parts = note["captions"]
        assert [sorted(part) for part in parts] == [["end", "start", "text"]] * len(row["shots"])
        for part, shot in zip(parts, row["shots"], strict=True):
            assert part["start"] == pytest.approx(shot["start_frame"] / row["fps"])
            assert part["end"] == pytest.approx(shot["end_frame"] / row["fps"])
            assert part["text"] in row["caption"]


def test_shots_follow_each_other_and_fill_the_file(world: Path) -> None:
    for row in rows(world):
        edges = [0, *[shot["end_frame"] for shot in row["shots"]]]
        assert [shot["start_frame"] for shot in row["shots"]] == edges[:-1]
        assert edges[-1] == row["frames"]


def test_a_still_is_an_image_of_the_scene(world: Path) -> None:
    (item, *_) = [one for one in plan(SMALL) if one.stream == "still"]
    assert (cv2.imread(str(world / item.file))[..., ::-1] == compose(item, SMALL).pixels()[0]).all()


def test_the_same_seed_gives_the_same_bytes_in_any_number_of_processes(world: Path, tmp_path: Path) -> None:
    make(SMALL, tmp_path / "again", 2)
    assert digests(tmp_path / "again") == digests(world)


def test_another_seed_gives_other_clips() -> None:
    first = plan(SMALL)[0]
    one, other = compose(first, SMALL).pixels(), compose(first, replace(SMALL, seed=1)).pixels()
    assert (one != other).any()


def test_a_larger_world_begins_with_the_clips_of_the_smaller(world: Path, tmp_path: Path) -> None:
    larger = replace(SMALL, clips=12, spoilers=0, stills=0, reels=0, identities=0, edits=0)
    make(larger, tmp_path / "w", 1)
    shared = {"moving-00000.mp4", "moving-00003.json", "bounce-00000.mp4"}
    assert all((tmp_path / "w" / name).read_bytes() == (world / name).read_bytes() for name in shared)


def test_finished_files_are_kept_and_missing_ones_made_again(tmp_path: Path) -> None:
    settings = Settings(clips=4, seed=0, spoilers=0)
    make(settings, tmp_path, 1)
    before = digests(tmp_path)
    kept, lost = tmp_path / "moving-00000.mp4", tmp_path / "moving-00001.mp4"
    stamp = kept.stat().st_mtime_ns
    lost.unlink()
    (tmp_path / ".moving-00002-x.tmp.mp4").write_bytes(b"left by a killed run")
    make(settings, tmp_path, 1)
    assert kept.stat().st_mtime_ns == stamp
    assert digests(tmp_path) == before


def test_another_world_is_not_mixed_in(world: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"another toy world: seed 0 \(now 1\)"):
        make(replace(SMALL, seed=1), world, 1)
    (tmp_path / "holiday.mp4").write_bytes(b"mine")
    with pytest.raises(UserError, match="not of a toy world"):
        make(SMALL, tmp_path, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.mp4"]


def test_ctrl_c_leaves_whole_files_and_the_same_command_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "world"
    line = [sys.executable, "-m", "evaluation.toy_world", "make", "--out", str(out), "--seed", "0"]
    process = subprocess.Popen([*line, "--clips", "80"], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 60
        while len(list(out.glob("*.mp4"))) < 6 and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "goes on from there" in errors
    assert "Traceback" not in errors
    assert not list(out.glob(".*"))
    assert not (out / TRUTH).exists()
    finished = {path: path.stat().st_mtime_ns for path in out.glob("*.mp4")}
    assert 6 <= len(finished) < 80
    make(Settings(clips=80, seed=0), out, 1)
    assert len(rows(out)) == 80
    changed = [path.name for path, stamp in finished.items() if path.stat().st_mtime_ns != stamp]
    assert len(changed) <= 2  # a file at work in each process may have been without its caption
    labels = {row["file"]: row["label"] for row in rows(out)}
    assert all(len(decode(path)) == 16 for path in finished if labels[path.name] is None)


def test_a_full_disk_is_named_and_leaves_no_half_file(tmp_path: Path) -> None:
    out = tmp_path / "world"
    program = (
        "import resource, sys; from console import command; from evaluation.toy_world.__main__ import main\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))\n"
        "command(lambda: main(sys.argv[1:]))"
    )
    make_line = ["make", "--out", str(out), "--clips", "8", "--seed", "0", "--workers", "1"]
    result = subprocess.run(
        [sys.executable, "-c", program, *make_line], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 3, result.stderr
    assert "make room" in result.stderr
    assert "Traceback" not in result.stderr
    assert {path.name for path in out.iterdir()} == {WORLD}
