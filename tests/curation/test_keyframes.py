"""Keyframes of a span, without decoding the frames between them."""

import av
import numpy as np
import pytest

from curation.stages.keyframes import MOST, Keyframes, glance
from tests.curation.conftest import moving, texture


def write(path, frames, every, codec="libx264"):
    """A file with a keyframe every `every` frames, at 8 frames a second."""
    with av.open(str(path), "w") as container:
        options = {"g": str(every), "x264-params": "scenecut=0"} if codec == "libx264" else {}
        stream = container.add_stream(codec, rate=8, options=options)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p" if codec == "libx264" else "yuvj420p"
        for picture in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
        base = stream.time_base
    return path, int(1 / (8 * base))


@pytest.mark.parametrize(("first", "end", "keys"), [(0, 40, 5), (8, 24, 2), (9, 16, 0), (9, 17, 1)])
def test_the_keyframes_are_those_of_the_span(tmp_path, first, end, keys):
    path, tick = write(tmp_path / "a.mp4", moving(3, 40), 8)
    seen = glance(path, first * tick, end * tick)
    assert seen.count == len(seen.keys) == keys
    assert len(seen.sizes) == end - first - keys


def test_a_codec_of_keyframes_alone_does_not_fill_the_memory(tmp_path):
    path, tick = write(tmp_path / "a.avi", moving(3, 120), 1, "mjpeg")
    seen = glance(path, 0, 120 * tick)
    assert seen.count == 120
    assert len(seen.keys) <= MOST + 1
    assert seen.sizes == []


def test_bars_show_on_keyframes_and_a_still_has_small_packets(tmp_path):
    row = {"source": "a.mp4", "usable": True, "start_pts": 0}
    measured = {}
    stage = Keyframes(text_frames=0).open(tmp_path)
    boxed = [np.pad(frame, ((10, 10), (0, 0), (0, 0))) for frame in moving(1, 24)]
    for name, frames in {"boxed": boxed, "plain": moving(1, 24), "still": [texture(1)] * 24}.items():
        path, tick = write(tmp_path / f"{name}.mp4", frames, 8)
        measured[name] = stage({**row, "source": path.name, "end_pts": 24 * tick})
    assert measured["boxed"]["key_border"] == pytest.approx(20 / 84, abs=0.04)
    assert measured["plain"]["key_border"] == 0.0
    assert measured["still"]["packet_bits"] < measured["plain"]["packet_bits"] / 3
    assert stage({**row, "usable": False}) == {}
