"""The demo's steps, as the Makefile has them."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def _steps() -> list[str]:
    plan = subprocess.run(
        ["make", "--dry-run", "--always-make", "demo"], capture_output=True, text=True, cwd=ROOT, check=True
    ).stdout.replace("\\\n", " ")
    return re.findall(r"^PATH=\S+ ((?:python -m|lightning) .*)$", plan, flags=re.MULTILINE)


@pytest.fixture(scope="session")
def steps_of_the_demo() -> list[str]:
    """What `make demo` runs in an empty checkout, one command line each."""
    begun = " --restart true"  # where this checkout holds runs of its own
    return [re.sub(" +", " ", step).replace(begun, "") for step in _steps()]
