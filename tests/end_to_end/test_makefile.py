"""`make demo` does each step once, in order, goes on after a stop, and does again what a change asks for.

The programs are stand-ins that write down how they were called and write the file that the real one writes
last; the real ones are run by the chain test.
"""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STAND_IN = """#!/bin/sh
echo "$(basename "$0") $*" >> calls
case "$(basename "$0") $*" in
  *"toy_world make"*) file=data/demo/raw/truth.jsonl;;
  *curation.run*) file=data/demo/curated/report/curation.json;;
  *"fit -c configs/tae.yaml"*) file=runs/demo/tae/finished.json;;
  *"evaluation.run tae"*) file=runs/demo/tae/eval.json;;
  *encode*) file=data/demo/latents/val/index.json;;
  *"fit -c configs/t2v.yaml"*) file=runs/demo/t2v/finished.json;;
  *"evaluation.run t2v"*) file=runs/demo/t2v/eval/eval.json;;
  *"inference.run t2v"*) file=outputs/clip.mp4;;
  *report*) file=report/index.html;;
esac
if [ -e "stop" ] && [ "$file" = "$(cat stop)" ]; then
  trap 'exit 130' INT
  touch stopped
  while :; do sleep 0.1; done
fi
if [ -e "fail" ] && [ "$file" = "$(cat fail)" ]; then exit 2; fi
mkdir -p "$(dirname "$file")" && echo "$file" >> "$file"
"""
FILES = [
    "pyproject.toml",
    "requirements.lock",
    "configs/tae.yaml",
    "configs/t2v.yaml",
    "configs/curation/demo.yaml",
    ".venv/.installed",
    "bin/python",
    "bin/lightning",
]
STEPS = [
    "toy_world",
    "curation",
    "tae.yaml",
    "run tae",
    "encode",
    "t2v.yaml",
    "--prompts",
    "clip.mp4",
    "report",
]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose environment counts as installed and whose programs are stand-ins."""
    for file in FILES:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(STAND_IN if file.startswith("bin") else "")
        (tmp_path / file).chmod(0o755)
        os.utime(tmp_path / file, (1e9 if file != ".venv/.installed" else 1e9 + 1,) * 2)
    shutil.copy(ROOT / "Makefile", tmp_path)
    return tmp_path


def make(folder: Path, *options: str) -> tuple[int, list[str], str]:
    """Exit code, the calls of this run and what it printed."""
    (folder / "calls").write_text("")
    result = subprocess.run(
        ["make", "BIN=bin", "demo", *options], cwd=folder, capture_output=True, text=True, check=False
    )
    return result.returncode, (folder / "calls").read_text().splitlines(), result.stdout + result.stderr


def of(calls: list[str]) -> list[str]:
    """Which step each call is."""
    return [next(step for step in STEPS if step in call) for call in calls]


def test_it_runs_every_step_once_in_order_and_says_how_long_is_left(checkout: Path) -> None:
    code, calls, printed = make(checkout)
    assert code == 0
    assert of(calls) == STEPS
    assert "[3/9] Train the TAE" in printed
    assert "lightning fit -c configs/tae.yaml" in printed
    assert "min left" in printed
    assert printed.rindex("report/index.html") > printed.index("[9/9]")


def test_a_second_time_it_does_nothing(checkout: Path) -> None:
    make(checkout)
    code, calls, printed = make(checkout)
    assert (code, calls) == (0, [])
    assert "outputs/clip.mp4" in printed


def test_parallel_make_keeps_the_order(checkout: Path) -> None:
    assert of(make(checkout, "-j4")[1]) == STEPS


def test_it_goes_on_at_the_step_that_failed(checkout: Path) -> None:
    (checkout / "fail").write_text("runs/demo/tae/finished.json")
    code, calls, _ = make(checkout)
    assert code == 2
    assert of(calls) == STEPS[:3]
    (checkout / "fail").unlink()
    code, calls, _ = make(checkout)
    assert code == 0
    assert of(calls) == STEPS[2:]
    assert "--restart" not in calls[0]


@pytest.mark.parametrize("file", ["runs/demo/tae/finished.json", "data/demo/curated/report/curation.json"])
def test_ctrl_c_deletes_nothing_and_the_same_command_goes_on(checkout: Path, file: str) -> None:
    (checkout / "stop").write_text(file)
    part = checkout / file
    part.parent.mkdir(parents=True)
    (part.parent / "half").write_text("kept")
    with subprocess.Popen(["make", "BIN=bin", "demo"], cwd=checkout, start_new_session=True) as process:
        deadline = time.monotonic() + 30
        while not (checkout / "stopped").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to all of them
    assert process.returncode != 0
    assert (part.parent / "half").read_text() == "kept"
    (checkout / "stop").unlink()
    code, calls, _ = make(checkout)
    assert code == 0
    assert of(calls) == STEPS[STEPS.index(of(calls)[0]) :]
    assert not [call for call in calls if "--restart" in call]


def test_a_config_that_changed_begins_anew_what_hangs_on_it_and_nothing_else(checkout: Path) -> None:
    make(checkout)
    (checkout / "configs/t2v.yaml").write_text("changed")
    code, calls, _ = make(checkout)
    assert code == 0
    assert of(calls) == STEPS[5:]
    assert calls[0].endswith("--restart true")
    assert make(checkout)[1] == []


def test_without_python_it_says_what_is_needed(checkout: Path) -> None:
    (checkout / ".venv/.installed").unlink()
    code, calls, printed = make(checkout, "PYTHON=")
    assert code == 2
    assert calls == []
    assert "Python 3.11 or newer" in printed
