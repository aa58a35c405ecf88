"""A video through a TAE keeps its length, size, instants and sound, and is what the TAE makes of it."""

import subprocess
import sys

import numpy as np
import pytest

from console import UserError
from evaluation.metrics import psnr
from inference.film import FilmWriter, look_of
from inference.reconstruct import psnr_of_picture, reconstruct
from inference.run import main
from inference.t2v import to_pixels, to_values
from inference.tiles import Fit, StreamOptions, parse_tile
from inference.video import read_video
from models.tae.tiling import TiledTAE
from tests.inference.films import UNEVEN, even, make_film, seconds_of, sound_of

OPTIONS = StreamOptions()


@pytest.mark.parametrize("instants", [[0], even(9), even(75), UNEVEN])
def test_length_instants_and_sound_are_kept(tmp_path, model_folders, instants):
    source = make_film(tmp_path / "a.mp4", instants)
    said = reconstruct(source, model_folders[0], tmp_path / "b.mp4", OPTIONS)
    assert f"{len(instants)} frames of 64x48" in said
    assert seconds_of(tmp_path / "b.mp4") == seconds_of(source)
    assert sound_of(tmp_path / "b.mp4") == sound_of(source)


@pytest.mark.parametrize("tile", ["32", "16x32"])
def test_the_pictures_are_those_of_the_tae_in_tiles(tmp_path, model_folders, tae, tile, monkeypatch):
    written = []
    monkeypatch.setattr(FilmWriter, "write", lambda self, picture: written.append(picture.pixels))
    source = make_film(tmp_path / "a.mp4", even(70))
    reconstruct(source, model_folders[0], tmp_path / "b.mp4", StreamOptions(tile=tile))
    tiled, video = TiledTAE(tae, parse_tile(tile)), to_values(read_video(source)[None])
    expected = to_pixels(tiled.decode(tiled.encode(video).mean, frames=70))[0]
    assert psnr(np.stack(written), expected) > 60


@pytest.mark.parametrize("size", [(44, 60), (33, 63), (1, 8), (6, 5)])
def test_sizes_that_do_not_divide_come_back_as_they_were(tmp_path, model_folders, size):
    source = make_film(tmp_path / "a.mp4", even(3), size=size)
    reconstruct(source, model_folders[0], tmp_path / "b.mp4", OPTIONS)
    assert read_video(tmp_path / "b.mp4").shape == (3, *size, 3)


def test_what_is_padded_is_cut_back_and_what_is_cropped_is_the_middle():
    frames = np.random.default_rng(0).integers(0, 256, (2, 13, 18, 3), dtype=np.uint8)
    padded = Fit.padded(13, 18, 8)
    assert padded.apply(frames).shape == (1, 2, 3, 16, 24)
    assert np.array_equal(padded.undo(padded.apply(frames)), frames)
    cropped = Fit.cropped(13, 18, 8)
    assert np.array_equal(cropped.undo(cropped.apply(frames)), frames[:, 2:10, 1:17])
    with pytest.raises(UserError, match="nothing is left to crop"):
        Fit.cropped(5, 18, 8)


def test_the_psnr_is_that_of_evaluation():
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 256, (2, 5, 8, 8, 3), dtype=np.uint8)
    other[0] = one[0]
    found = np.mean([psnr_of_picture(new, old) for new, old in zip(one, other, strict=True)])
    assert found == pytest.approx(psnr(one, other))


@pytest.mark.parametrize(
    ("tile", "complaint"),
    [
        ("fast", "FRAMES or FRAMESxPIXELS"),
        ("20", "multiples of 8"),
        ("32x36", "multiples of 8"),
        ("0", "at least 1"),
    ],
)
def test_tiles_that_do_not_fit_are_refused(tmp_path, model_folders, tile, complaint):
    source = make_film(tmp_path / "a.mp4", even(3))
    with pytest.raises(UserError, match=complaint):
        reconstruct(source, model_folders[0], tmp_path / "b.mp4", StreamOptions(tile=tile))


def test_bad_paths_and_models_are_one_clear_message(tmp_path, model_folders):
    tae, t2v = model_folders
    source, out = make_film(tmp_path / "a.mp4", even(3)), tmp_path / "b.mp4"
    with pytest.raises(UserError, match=r"NAME\.mp4"):
        reconstruct(source, tae, tmp_path / "b.avi", OPTIONS)
    with pytest.raises(UserError, match="no video"):
        reconstruct(tmp_path / "absent.mp4", tae, out, OPTIONS)
    with pytest.raises(UserError, match=r"configs/tae\.yaml"):
        reconstruct(source, tmp_path / "none", out, OPTIONS)
    with pytest.raises(UserError, match=r"holds a models\.transformer"):
        reconstruct(source, t2v, out, OPTIONS)
    assert not out.exists()


def test_a_stopped_run_leaves_nothing_that_could_be_taken_for_whole(tmp_path, model_folders, monkeypatch):
    import inference.film

    source, out = make_film(tmp_path / "a.mp4", even(75)), tmp_path / "out" / "b.mp4"
    real, calls = inference.film.paint, []

    def stop_in_the_middle(*arguments):
        calls.append(arguments)
        if len(calls) == 40:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(inference.film, "paint", stop_in_the_middle)
    with pytest.raises(KeyboardInterrupt):
        reconstruct(source, model_folders[0], out, OPTIONS)
    assert list(out.parent.iterdir()) == []


def test_the_command_writes_the_file_and_says_how_good_it_is(tmp_path, model_folders, capsys):
    source, out = make_film(tmp_path / "a.mp4", even(10)), tmp_path / "b.mp4"
    arguments = [str(source), "--tae", str(model_folders[0]), "--out", str(out), "--no-sound"]
    assert main(["reconstruct", *arguments, "--tile", "16"]) == 0
    assert "PSNR" in capsys.readouterr().out
    assert sound_of(out) == []
    assert look_of(out).width == 64


LONG = """
import resource, sys
from pathlib import Path
from inference.reconstruct import reconstruct
from inference.tiles import StreamOptions
reconstruct(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), StreamOptions())
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_the_memory_of_a_long_film_is_that_of_a_short_one(tmp_path, model_folders):
    peaks = []
    for frames in (64, 640):
        source = make_film(tmp_path / "a.mp4", even(frames), size=(128, 128))
        command = [sys.executable, "-c", LONG, source, model_folders[0], tmp_path / "b.mp4"]
        peaks.append(int(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
    held = 576 * 128 * 128 * 3 * 4 / 1024  # kB of the other frames, had they been kept
    assert peaks[1] - peaks[0] < held / 4
