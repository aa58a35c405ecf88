"""Each measurement on pictures whose answer is known."""

import cv2
import numpy as np
import pytest
from av.filter import Graph
from scenedetect import FrameTimecode
from scenedetect.detectors import ContentDetector

from curation.footage import frames_of, watch
from curation.reduced import Reducer
from curation.scores.borders import Borders
from curation.scores.camera import CameraPath
from curation.scores.change import Change
from curation.scores.exposure import Exposure
from curation.scores.jitter import Jitter
from curation.scores.sharpness import Sharpness
from curation.scores.vmaf_motion import VmafMotion
from tests.curation.conftest import moving, texture, write_video


@pytest.fixture
def measure(tmp_path):
    """The result of an observer on frames that went through a real encoder and decoder."""

    def run(observer, frames):
        (watched,) = watch(write_video(tmp_path / "a.mp4", frames), -(10**9), 10**9, [observer]).values()
        assert watched.error is None
        return observer.result()

    return run


def boxed(frames, rows=0, columns=0):
    return [cv2.resize(np.pad(f, ((rows, rows), (columns, columns), (0, 0))), (64, 64)) for f in frames]


def test_a_still_has_no_vmaf_motion_and_a_moving_clip_has(measure):
    assert measure(VmafMotion(), [texture(1)] * 8)["vmaf_motion"] == pytest.approx(0.0, abs=0.02)
    assert measure(VmafMotion(), moving(1, 8, speed=4))["vmaf_motion"] > 0.5


@pytest.mark.parametrize("shape", [(64, 64), (360, 270)])
def test_vmaf_motion_is_what_ffmpeg_measures(tmp_path, shape):
    """Its filter rounds each frame's score to hundredths."""
    path = write_video(tmp_path / "a.mp4", [np.roll(texture(2, *shape), 5 * k, axis=1) for k in range(8)])
    graph, scores = None, []
    for frame in frames_of(path, 0, 10**9):
        if graph is None:
            graph = Graph()
            shape = {"width": frame.width, "height": frame.height, "format": frame.format}
            nodes = graph.add_buffer(**shape, time_base=frame.time_base), graph.add("vmafmotion")
            sink = graph.add("buffersink")
            nodes[0].link_to(nodes[1])
            nodes[1].link_to(sink)
            graph.configure()
        graph.push(frame)
        scores.append(float(graph.pull().metadata["lavfi.vmafmotion.score"]))
    observer = VmafMotion()
    watch(path, 0, 10**9, [observer])
    assert np.mean(scores[1:]) > 1
    assert observer.result()["vmaf_motion"] == pytest.approx(np.mean(scores[1:]), rel=0.02, abs=0.005)


def test_vmaf_motion_of_one_frame_is_unknown(measure):
    assert measure(VmafMotion(), [texture(1)]) == {"vmaf_motion": None}


@pytest.mark.parametrize(("rows", "columns"), [(12, 0), (0, 12), (6, 6)])
def test_bars_are_measured(measure, rows, columns):
    border = measure(Borders(range(8)), boxed(moving(1, 8), rows, columns))["border"]
    expected = 2 * max(rows, columns) / (64 + 2 * max(rows, columns))
    assert border == pytest.approx(expected, abs=0.07)


@pytest.mark.parametrize("background", ["texture", "plain", "dark", "stripes", "horizon"])
def test_pictures_without_bars_have_no_border(measure, background):
    pictures = {
        "texture": texture(4),
        "plain": np.full((64, 64, 3), 128, np.uint8),
        "dark": np.full((64, 64, 3), 12, np.uint8),
        "stripes": np.repeat(np.where(np.arange(64) // 8 % 2, 90, 130), 64).reshape(64, 64, 1).repeat(3, 2),
        "horizon": np.repeat(np.where(np.arange(64) < 40, 190, 90), 64).reshape(64, 64, 1).repeat(3, 2),
    }
    frames = []
    for k in range(8):
        frame = pictures[background].astype(np.uint8).copy()
        frame[20:36, 5 + 4 * k : 21 + 4 * k] = (220, 60, 40)
        frames.append(frame)
    assert measure(Borders(range(8)), frames)["border"] == 0.0


def test_stills_slideshows_and_motion_are_told_apart(measure):
    still = measure(Change(), [texture(1)] * 12)
    slides = measure(Change(), [texture(k // 4) for k in range(16)])
    motion = measure(Change(), moving(1, 16))
    assert (still["frozen"], motion["frozen"]) == (1.0, 0.0)
    assert slides["slideshow"] > 0.9
    assert slides["frozen"] == pytest.approx(12 / 15)
    assert slides["jumps"] == 3
    assert motion["slideshow"] == 0.0


@pytest.mark.parametrize("repeats", [2, 3])
def test_motion_whose_frames_are_repeated_is_no_slideshow(tmp_path, repeats):
    """A film of 12 pictures a second in a file of 24 or 36."""
    frames = [frame for frame in moving(1, 16) for _ in range(repeats)]
    change = Change()
    watched = watch(write_video(tmp_path / "a.mp4", frames, fps=12 * repeats), 0, 10**9, [change])
    assert watched[change].error is None
    assert change.result()["slideshow"] == 0.0
    assert change.result()["frozen"] == pytest.approx(1 - 1 / repeats, abs=0.06)


def test_a_fade_through_black_shows_in_the_darkest_frame(measure):
    light = np.abs(np.linspace(-1, 1, 16))
    faded = [(frame * share).astype(np.uint8) for frame, share in zip(moving(1, 16), light, strict=True)]
    assert measure(Change(), faded)["darkest"] < 0.3
    assert measure(Change(), moving(1, 16))["darkest"] > 0.9


def test_a_shaking_camera_shakes_and_a_bouncing_object_does_not(measure):
    rng, wide = np.random.default_rng(0), texture(5, 96, 96)
    places = 16 + rng.choice((-3, 3), (16, 2))
    shaken = [wide[y : y + 64, x : x + 64] for y, x in places]
    bouncing = []
    for k in range(16):
        frame, height = texture(5), abs((k * 9) % 48 - 24)
        frame[height + 8 : height + 22, 20:34] = (250, 250, 20)
        bouncing.append(frame)
    assert measure(CameraPath(2.0), shaken)["shake"] > 25
    assert measure(CameraPath(2.0), bouncing)["shake"] < 5


def test_drift_is_the_speed_of_a_pan(measure):
    wide = cv2.resize(np.random.default_rng(0).integers(0, 255, (32, 80, 3), dtype=np.uint8), (160, 64))
    result = measure(CameraPath(2.0), [wide[:, 2 * k : 2 * k + 64] for k in range(16)])
    assert result["drift_x"] == pytest.approx(-2 * 15 / 64 / 2.0, rel=0.15)
    assert result["drift_y"] == pytest.approx(0.0, abs=0.05)
    assert result["shake"] < 10


def test_jitter_counts_the_cuts_of_frantic_pictures(measure):
    frantic = [texture(k // 2, 64, 64)[:, ::-1] // (1 + k // 2 % 2 * 3) for k in range(16)]
    assert measure(Jitter(2.0), frantic)["shots_per_second"] >= 0.85
    assert measure(Jitter(2.0), moving(1, 16))["shots_per_second"] == 0.0


def test_jitter_counts_what_pyscenedetect_counts(tmp_path):
    rng = np.random.default_rng(1)
    pictures = [texture(k) for k in range(4)]
    frames = [pictures[k] for k in np.repeat(rng.integers(0, 4, 20), rng.integers(1, 4, 20))]
    path = write_video(tmp_path / "a.mp4", frames)
    detector, cuts, reducer = ContentDetector(min_scene_len=0), 0, Reducer()
    for k, frame in enumerate(frames_of(path, 0, 10**9)):
        cuts += len(detector.process_frame(FrameTimecode(k, 8.0), reducer.reduce(frame).bgr))
    observer = Jitter(1.0)
    watch(path, 0, 10**9, [observer])
    assert cuts > 5
    assert observer.result()["shots_per_second"] == cuts


def test_exposure_and_sharpness(measure):
    gray = [np.full((64, 64, 3), 128, np.uint8)] * 4
    assert measure(Exposure(range(4)), gray)["brightness"] == pytest.approx(128 / 255, abs=0.01)
    assert measure(Exposure(range(4)), gray)["contrast"] == pytest.approx(0.0, abs=0.01)
    sharp = moving(1, 4)
    soft = [cv2.GaussianBlur(frame, (9, 9), 0) for frame in sharp]
    assert measure(Sharpness(2), soft)["sharpness"] < measure(Sharpness(2), sharp)["sharpness"] / 4


def test_an_observer_that_fails_does_not_take_the_others_along(tmp_path):
    class Broken(Change):
        def see(self, seen):
            raise RuntimeError("boom")

    broken, whole = Broken(), Change()
    watched = watch(write_video(tmp_path / "a.mp4", moving(1, 8)), 0, 10**9, [broken, whole])
    assert str(watched[broken].error) == "boom"
    assert watched[whole].error is None
    assert whole.result()["frozen"] == 0.0
