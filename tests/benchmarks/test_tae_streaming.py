"""The benchmark decodes what it says, in processes whose memory it reads."""

import sys

import pytest

from benchmarks import tae_streaming
from benchmarks.tae_streaming import apart, main, noise, open_model, parser, table
from tests.inference.films import even, make_film


@pytest.fixture
def typed(monkeypatch):
    """Set the command line."""

    def set_line(*arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", ["tae_streaming", *arguments])

    return set_line


def test_the_noise_is_as_many_latents_as_the_frames_take():
    model = open_model(parser().parse_args(["--preset", "tiny"]))
    pieces = list(noise(model, 20, 16))
    assert [tuple(piece.shape) for piece in pieces] == [(1, 1, 16, 2, 2)] * 3


@pytest.mark.slow
def test_decoding_at_once_takes_more_memory_than_in_tiles(typed):
    typed("--size", "64")
    tiles, whole = apart("tiles", 320), apart("whole", 320)
    assert whole["peak"] > 2 * tiles["peak"] > 0
    assert tiles["seconds"] > 0


def test_a_run_that_fails_says_why(typed):
    typed("--tile", "12")
    with pytest.raises(RuntimeError, match=r"tiles, 16 frames: .*multiples of 8"):
        apart("tiles", 16)


def test_ratios_are_to_the_shortest_run(monkeypatch):
    first = {"peak": 10.0, "model": 30.0, "seconds": 1.0}
    shown = table([("tiles", 10, first), ("whole", 20, {**first, "peak": 50.0, "seconds": 4.0})])
    assert [list(column.cells) for column in shown.columns][3:] == [["1.00", "5.00"], ["1.00", "2.00"],
                                                                    ["100.0", "200.0"]]  # fmt: skip


def test_the_comparison_prints_quality_and_seams(typed, tmp_path, monkeypatch, capsys):
    film = make_film(tmp_path / "a.mp4", even(48), size=(64, 72))
    typed("--video", str(film), "--tile", "32x32", "--frames", "16")
    monkeypatch.setattr(
        tae_streaming, "apart", lambda way, frames: {"peak": 1.0, "model": 1.0, "seconds": 1.0}
    )
    assert main() == 0
    said = capsys.readouterr().out
    assert "PSNR of one against the other" in said
    assert said.count("no seams") == 0
