"""What is written can be read back, as the same pictures at the same times."""

import av
import numpy as np
import pytest

from console import UserError
from evaluation.metrics import psnr
from inference.video import Audio, read_fps, read_video, write_video


def drifting(frames: int = 16, height: int = 64, width: int = 96) -> np.ndarray:
    """A soft coloured wave that moves to the left: smooth, so that 4:2:0 chroma costs little."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    phase = [(x + 2 * index) / 15 for index in range(frames)]
    waves = [np.stack([np.sin(p), np.cos(p + y / 20), np.sin(y / 12)], axis=-1) for p in phase]
    return ((np.stack(waves) + 1) * 100 + 20).astype(np.uint8)


def test_reading_what_was_written_gives_the_same_pictures(tmp_path):
    frames = drifting()
    write_video(tmp_path / "a.mp4", frames, 8)
    back = read_video(tmp_path / "a.mp4")
    assert back.shape == frames.shape
    assert back.dtype == np.uint8
    assert psnr(back, frames) > 35


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 255, 0), (0, 0, 255), (128, 128, 128), (255, 255, 255)])
def test_flat_colours_survive_so_the_matrix_of_writing_is_that_of_reading(tmp_path, colour):
    frames = np.full((3, 32, 32, 3), colour, np.uint8)
    write_video(tmp_path / "flat.mp4", frames, 8)
    assert np.abs(read_video(tmp_path / "flat.mp4").astype(int) - frames).max() <= 4


@pytest.mark.parametrize("fps", [8, 24, 30000 / 1001, 12.5])
def test_the_frame_rate_is_kept(tmp_path, fps):
    write_video(tmp_path / "a.mp4", drifting(4), fps)
    assert read_fps(tmp_path / "a.mp4") == pytest.approx(fps, rel=1e-5)


def test_the_first_frames_are_those_of_the_whole(tmp_path):
    write_video(tmp_path / "a.mp4", drifting(9), 8)
    assert np.array_equal(read_video(tmp_path / "a.mp4", max_frames=4), read_video(tmp_path / "a.mp4")[:4])


def test_a_tone_keeps_its_pitch_and_lasts_as_long_as_the_picture(tmp_path):
    rate, seconds = 16000, 2
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate * seconds) / rate)
    write_video(tmp_path / "a.mp4", drifting(16), 8, Audio(tone[None].astype(np.float32), rate))
    with av.open(str(tmp_path / "a.mp4")) as container:
        heard = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
        assert container.streams.audio[0].rate == rate
    assert len(heard) == pytest.approx(rate * seconds, abs=2048)
    spectrum = np.abs(np.fft.rfft(heard[: rate * seconds - 2048]))
    assert spectrum.argmax() * rate / (rate * seconds - 2048) == pytest.approx(440, abs=2)


def test_the_same_frames_give_the_same_file(tmp_path):
    for name in ("a.mp4", "b.mp4"):
        write_video(tmp_path / name, drifting(), 8)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_a_failed_write_leaves_the_older_file(tmp_path):
    write_video(tmp_path / "a.mp4", drifting(4), 8)
    before = (tmp_path / "a.mp4").read_bytes()
    with pytest.raises(ValueError, match="1 or 2 channels"):
        write_video(tmp_path / "a.mp4", drifting(4), 8, Audio(np.zeros((3, 100), np.float32), 16000))
    assert (tmp_path / "a.mp4").read_bytes() == before
    assert list(tmp_path.iterdir()) == [tmp_path / "a.mp4"]


@pytest.mark.parametrize(
    ("frames", "complaint"),
    [
        (np.zeros((2, 33, 32, 3), np.uint8), "even"),
        (np.zeros((0, 32, 32, 3), np.uint8), "t >= 1"),
        (np.zeros((2, 32, 32, 3), np.float32), "uint8"),
    ],
)
def test_frames_that_no_video_can_hold_are_refused(tmp_path, frames, complaint):
    with pytest.raises(ValueError, match=complaint):
        write_video(tmp_path / "a.mp4", frames, 8)
    assert not (tmp_path / "a.mp4").exists()


def test_a_file_that_is_no_video_is_named(tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"no video at all" * 100)
    with pytest.raises(UserError, match=r"broken\.mp4"):
        read_video(tmp_path / "broken.mp4")
    with pytest.raises(UserError, match=r"no video .*absent\.mp4"):
        read_video(tmp_path / "absent.mp4")


def test_sound_without_a_picture_is_no_video(tmp_path):
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(UserError, match="no video stream"):
        read_video(tmp_path / "sound.mp4")
