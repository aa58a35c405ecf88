"""Units of work are cut by content: a new file disturbs one unit, and nothing depends on the order of the
disk."""

import os

import pytest

from console import UserError
from curation.listing import cut_units, list_videos


def test_videos_are_found_in_all_folders_and_nothing_else_is(raw):
    found = list_videos(raw)
    assert found == sorted(found)
    assert "sub/två.mp4" in found
    assert "clip 0.json" not in found


def test_a_link_loop_is_not_followed(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.mp4").write_bytes(b"x")
    os.symlink(tmp_path, tmp_path / "a" / "loop")
    assert list_videos(tmp_path) == ["a/x.mp4"]


def test_a_missing_folder_and_an_empty_one_are_told_apart(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        list_videos(tmp_path / "nowhere")
    with pytest.raises(UserError, match="No video"):
        list_videos(tmp_path)


def test_a_new_file_changes_only_the_unit_that_it_falls_into(tmp_path):
    names = [f"{k:04d}.mp4" for k in range(300)]
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    before = {unit.name for unit in cut_units(tmp_path, names, 16)}
    (tmp_path / "0123b.mp4").write_bytes(b"y")
    after = {unit.name for unit in cut_units(tmp_path, sorted([*names, "0123b.mp4"]), 16)}
    assert len(before) > 8
    assert len(before - after) <= 2
    assert len(before & after) >= len(before) - 2


def test_a_changed_file_or_caption_renames_its_unit(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"one")
    (name,) = [unit.name for unit in cut_units(tmp_path, ["a.mp4"], 4)]
    (tmp_path / "a.txt").write_text("words")
    (captioned,) = [unit.name for unit in cut_units(tmp_path, ["a.mp4"], 4)]
    path.write_bytes(b"three")
    (changed,) = [unit.name for unit in cut_units(tmp_path, ["a.mp4"], 4)]
    assert len({name, captioned, changed}) == 3
