"""The mean over cells is the mean over pixels."""

import numpy as np
import pytest

from curation.footage import frames_of, watch
from curation.scores.motion_vectors import MotionVectors, cell_areas, patch_means, vectors_of
from tests.curation.conftest import moving, texture, write_video


def dense_mean(frame) -> float | None:
    """The oracle: a length for every pixel, the mean of all vectors that cover it."""
    vectors = vectors_of(frame)
    if vectors is None:
        return None
    total, count = np.zeros((frame.height, frame.width)), np.zeros((frame.height, frame.width))
    for v in vectors:
        left, top = int(v["dst_x"]) - int(v["w"]) // 2, int(v["dst_y"]) - int(v["h"]) // 2
        window = (
            slice(max(top, 0), max(top + int(v["h"]), 0)),
            slice(max(left, 0), max(left + int(v["w"]), 0)),
        )
        total[window] += np.hypot(v["motion_x"], v["motion_y"]) / v["motion_scale"]
        count[window] += 1
    return float((total / np.maximum(count, 1)).mean())


@pytest.mark.parametrize(
    "shape", [(64, 64), (100, 84)]
)  # the second is no multiple of a cell or a macroblock
def test_the_score_equals_a_dense_field(tmp_path, shape):
    pan = [np.roll(texture(3, *shape), 3 * k, axis=1) for k in range(12)]
    path = write_video(tmp_path / "a.mp4", pan)
    oracle = [dense_mean(frame) for frame in frames_of(path, 0, 10**9, motion_vectors=True)]
    observer = MotionVectors()
    watch(path, 0, 10**9, [observer])
    expected = np.mean([mean for mean in oracle if mean is not None])
    assert expected > 1
    assert observer.result()["mv_mean"] == pytest.approx(expected, abs=1e-9)


def test_faster_motion_has_longer_vectors(tmp_path):
    means = []
    for speed in (1, 4):
        observer = MotionVectors()
        watch(write_video(tmp_path / f"{speed}.mp4", moving(1, 16, speed=speed)), 0, 10**9, [observer])
        means.append(observer.result()["mv_mean"])
    assert means[0] < means[1]


def test_a_codec_without_vectors_has_no_score(tmp_path):
    import av

    path = tmp_path / "a.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=8)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuvj420p"
        for picture in moving(1, 4):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    observer = MotionVectors()
    watch(path, 0, 10**9, [observer])
    assert observer.result() == {"mv_mean": None, "mv_patch_min": None}


def test_a_patch_that_stands_has_the_mean_of_its_area():
    field = np.ones((64, 96))  # cells: 512 x 768 pixels
    field[:32, 32:64] = 0.0  # one patch of 256 x 256 stands
    field[0, 32] = 1.0
    means = patch_means(field, cell_areas(512, 768))
    assert means.shape == (2, 3)
    assert means[0, 1] == pytest.approx(1 / 32**2)
    assert np.delete(means.ravel(), 1) == pytest.approx(1.0)


@pytest.mark.parametrize("shape", [(64, 64), (300, 520), (257, 100)])
def test_every_pixel_is_in_one_patch(shape):
    areas = cell_areas(*shape)
    assert patch_means(np.ones_like(areas), areas) == pytest.approx(1.0)
    assert areas.sum() == shape[0] * shape[1]
