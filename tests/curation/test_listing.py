"""Units of work are cut by content: a new file disturbs one unit, and nothing depends on the order of the
disk."""

import os

import pytest

from console import UserError
from curation.listing import Item, cut_units, list_videos, local_item, printable


def test_videos_are_found_in_all_folders_and_nothing_else_is(raw):
    found = list_videos(raw)
    assert found == sorted(found)
    assert "sub/två.mp4" in found
    assert "clip 0.json" not in found


def test_a_link_loop_is_not_followed(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.mp4").write_bytes(b"x")
    os.symlink(tmp_path, tmp_path / "a" / "loop")
    os.symlink("self.mp4", tmp_path / "self.mp4")
    os.symlink("nowhere", tmp_path / "gone.mp4")
    assert list_videos(tmp_path) == ["a/x.mp4"]


def test_a_missing_folder_and_an_empty_one_are_told_apart(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        list_videos(tmp_path / "nowhere")
    with pytest.raises(UserError, match="No video"):
        list_videos(tmp_path)


def test_a_new_file_changes_only_the_unit_that_it_falls_into():
    items = [Item(f"{k:04d}.mp4", [1, 1]) for k in range(300)]
    before = {unit.name for unit in cut_units(items, 16)}
    after = {unit.name for unit in cut_units(sorted([*items, Item("0123b.mp4", [1, 1])]), 16)}
    assert len(before) > 8
    assert len(before - after) <= 2
    assert len(before & after) >= len(before) - 2


def test_a_changed_file_or_caption_renames_its_unit(tmp_path):
    def name() -> str:
        (unit,) = cut_units([local_item(tmp_path, "a.mp4")], 4)
        return unit.name

    path = tmp_path / "a.mp4"
    path.write_bytes(b"one")
    names = [name()]
    (tmp_path / "a.txt").write_text("words")
    names.append(name())
    path.write_bytes(b"three")
    names.append(name())
    assert len(set(names)) == 3


def test_what_a_list_says_of_a_file_is_part_of_its_unit():
    units = [cut_units([Item("a.mp4", [1, 1], caption=words)], 4)[0] for words in (None, "one", "two")]
    assert len({unit.name for unit in units}) == 3


def test_a_name_of_bytes_that_are_no_text_can_be_written_down():
    assert printable(os.fsdecode(b"caf\xe9.mp4")) == "caf\\xe9.mp4"
    assert printable("två.mp4") == "två.mp4"
