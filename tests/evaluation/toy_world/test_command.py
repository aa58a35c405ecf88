"""The command line: every option reaches the settings, mistakes end in one message."""

import subprocess
import sys
from pathlib import Path

import pytest

from console import UserError
from evaluation.toy_world.__main__ import main

ROOT = Path(__file__).parents[3]


def test_options_reach_the_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "world"
    shape = ["--width", "96", "--height", "48", "--frames", "6", "--fps", "12.5"]
    shares = ["--spoilers", "0", "--camera", "0", "--bounces", "0", "--reels", "0.25", "--stills", "0.25"]
    main(
        [
            "make",
            "--out",
            str(out),
            "--clips",
            "4",
            "--seed",
            "7",
            *shape,
            *shares,
            "--held-out",
            "--workers",
            "1",
        ]
    )
    assert "4 files (2 clip, 1 still, 1 reel)" in capsys.readouterr().out
    truth = (out / "truth.jsonl").read_text()
    assert '"width": 96, "height": 48, "frames": 6, "fps": 12.5' in truth


def test_the_score_of_true_clips_is_printed_beside_chance(capsys: pytest.CaptureFixture[str]) -> None:
    main(["score", "--clips", "4"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [
        "colour",
        "direction",
        "background",
        "shape",
        "camera",
        "count",
    ]
    assert all("100.00%" in line and "chance" in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["make", "--clips", "4", "--seed", "0", "--workers", "0"], "--workers is 0"),
        (["make", "--clips", "0", "--seed", "0"], "--clips is 0"),
        (["score", "--clips", "0"], "--clips is 0"),
    ],
)
def test_a_wrong_value_is_named(tmp_path: Path, arguments: list[str], message: str) -> None:
    out = ["--out", str(tmp_path / "w")] if arguments[0] == "make" else []
    with pytest.raises(UserError, match=message):
        main([*arguments, *out])
    assert not (tmp_path / "w").exists()


def test_an_out_that_is_a_file_ends_in_one_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    make = ["make", "--clips", "1", "--seed", "0"]
    for arguments, below in ((make, "file"), (make, "file/world"), (["samples"], "file")):
        line = [sys.executable, "-m", "evaluation.toy_world", *arguments]
        result = subprocess.run(
            [*line, "--out", str(tmp_path / below)], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert result.returncode == 2, result.stderr
        assert result.stderr.startswith("error: ")
        assert result.stderr.count("\n") == 1
