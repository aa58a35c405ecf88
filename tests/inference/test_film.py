"""Films are read and written picture after picture, with every instant and the very packets of the sound."""

import subprocess
from fractions import Fraction

import av
import imageio_ffmpeg
import numpy as np
import pytest

from console import UserError
from evaluation.metrics import psnr
from inference.film import Look, Picture, look_of, pictures, writing_film
from inference.video import read_video
from tests.inference.films import UNEVEN, even, make_film, seconds_of, sound_of


def copy(source, target, sound: bool = True) -> None:
    look = look_of(source)
    with writing_film(target, look, source if sound else None) as writer:
        for picture in pictures(source, look):
            writer.write(picture)


@pytest.mark.parametrize("instants", [even(30), UNEVEN, [0], [7000, 9000, 30_000]])
def test_a_copy_has_the_same_instants_pictures_and_sound(tmp_path, instants):
    source = make_film(tmp_path / "a.mp4", instants)
    copy(source, tmp_path / "b.mp4")
    assert seconds_of(tmp_path / "b.mp4") == seconds_of(source)
    assert sound_of(tmp_path / "b.mp4") == sound_of(source)
    assert psnr(read_video(tmp_path / "b.mp4"), read_video(source)) > 35


@pytest.mark.parametrize("clock", [Fraction(1, 25), Fraction(1001, 30_000), Fraction(1, 1000)])
def test_any_clock_is_kept(tmp_path, clock):
    source = make_film(tmp_path / "a.mp4", even(20, step=max(1, int(Fraction(1, 24) / clock))), clock)
    copy(source, tmp_path / "b.mp4")
    assert seconds_of(tmp_path / "b.mp4") == seconds_of(source)


@pytest.mark.parametrize("size", [(48, 63), (33, 64), (17, 19)])
def test_odd_sizes_are_kept(tmp_path, size):
    source = make_film(tmp_path / "a.mp4", even(3), size=size)
    copy(source, tmp_path / "b.mp4")
    assert read_video(tmp_path / "b.mp4").shape == (3, *size, 3)


def test_without_sound_there_is_none(tmp_path):
    source = make_film(tmp_path / "a.mp4", even(4))
    copy(source, tmp_path / "b.mp4", sound=False)
    assert sound_of(tmp_path / "b.mp4") == []
    copy(make_film(tmp_path / "c.mp4", even(4), sound=None), tmp_path / "d.mp4")
    assert sound_of(tmp_path / "d.mp4") == []


def test_the_sound_goes_along_with_the_picture(tmp_path):
    """A player that reads from the start finds both; all sound behind all pictures would stall it."""
    copy(make_film(tmp_path / "a.mp4", even(240)), tmp_path / "b.mp4")
    with av.open(str(tmp_path / "b.mp4")) as container:
        kinds = [packet.stream.type for packet in container.demux() if packet.size]
    assert "audio" in kinds[: len(kinds) // 4]
    assert "video" in kinds[-len(kinds) // 4 :]


def test_sound_that_an_mp4_cannot_hold_is_named(tmp_path):
    source = make_film(tmp_path / "a.mov", even(4), sound="pcm_alaw")
    with pytest.raises(UserError, match=r"pcm_alaw.*--no-sound"):
        copy(source, tmp_path / "b.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["a.mov"]


def test_a_turned_picture_comes_out_as_players_show_it(tmp_path):
    source, turned, shown = (tmp_path / name for name in ("a.mp4", "turned.mp4", "shown.mp4"))
    make_film(source, even(3))
    run = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error"]
    subprocess.run([*run, "-display_rotation", "90", "-i", source, "-c", "copy", turned], check=True)
    subprocess.run([*run, "-i", turned, "-qp", "0", shown], check=True)
    look = look_of(turned)
    assert (look.height, look.width) == (64, 48)
    found = np.stack([picture.pixels for picture in pictures(turned, look)])
    assert psnr(found, read_video(shown)) > 30


def test_a_failed_write_leaves_the_older_file_and_nothing_else(tmp_path):
    target = tmp_path / "b.mp4"
    target.write_text("older")
    look = Look(height=16, width=16, clock=Fraction(1, 24), rate=Fraction(24))

    def stop_in_the_middle():
        with writing_film(target, look) as writer:
            writer.write(Picture(np.zeros((16, 16, 3), np.uint8), 0))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop_in_the_middle()
    assert target.read_text() == "older"
    assert list(tmp_path.iterdir()) == [target]


def test_a_size_that_changes_is_refused_with_both(tmp_path):
    source = make_film(tmp_path / "a.mp4", even(3))
    look = look_of(make_film(tmp_path / "b.mp4", even(3), size=(32, 32)))
    with pytest.raises(UserError, match=r"Frame 0 .* 64x48; the first is 32x32"):
        list(pictures(source, look))


def test_instants_that_do_not_rise_are_refused(tmp_path, monkeypatch):
    source = make_film(tmp_path / "a.mp4", even(3))
    look = look_of(source)

    class Still:
        """Frames that all say the same instant."""

        def __init__(self, container):
            self.container = container

        def decode(self, stream):
            for frame in self.container.decode(stream):
                frame.pts = 5
                yield frame

    from contextlib import contextmanager

    import inference.film
    from inference.video import open_pictures

    @contextmanager
    def stuck(path):
        with open_pictures(path) as (container, stream):
            yield Still(container), stream

    monkeypatch.setattr(inference.film, "open_pictures", stuck)
    with pytest.raises(UserError, match=r"Frame 1 .* time stamp 5 behind 5; they must rise"):
        list(pictures(source, look))


@pytest.mark.parametrize("content", [b"no video at all" * 100, b""])
def test_a_file_that_is_no_video_is_named(tmp_path, content):
    (tmp_path / "broken.mp4").write_bytes(content)
    with pytest.raises(UserError, match=r"broken\.mp4"):
        look_of(tmp_path / "broken.mp4")
    with pytest.raises(UserError, match=r"no video .*absent\.mp4"):
        look_of(tmp_path / "absent.mp4")
