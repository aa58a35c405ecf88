"""A sealed folder is whole; whatever happens to a file of it afterwards is seen."""

import pytest

from storage import damaged, file_seals, hash_file, is_sealed, read_seal, seal
from storage.seal import SEAL


@pytest.fixture
def folder(tmp_path):
    for number in range(5):
        (tmp_path / f"part-{number}").write_bytes(bytes([number]) * 100)
    names = [f"part-{number}" for number in range(5)]
    seal(tmp_path, file_seals(tmp_path, names), step=7)
    return tmp_path


def test_the_seal_holds_hash_and_size_of_every_file_and_the_facts(folder):
    content = read_seal(folder)
    assert content["step"] == 7
    assert content["files"]["part-3"] == {"sha256": hash_file(folder / "part-3"), "bytes": 100}
    assert is_sealed(folder)
    assert damaged(folder) == []


def test_a_folder_is_not_whole_without_its_seal(folder):
    (folder / SEAL).unlink()
    assert not is_sealed(folder)
    assert read_seal(folder) is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"files": 3}'])
def test_what_is_no_seal_is_none(folder, content):
    (folder / SEAL).write_text(content)
    assert not is_sealed(folder)


def test_a_file_that_is_gone_or_cut_is_seen_by_its_size(folder):
    (folder / "part-1").write_bytes(b"short")
    assert not is_sealed(folder)
    assert damaged(folder) == ["part-1"]
    (folder / "part-1").unlink()
    assert not is_sealed(folder)
    assert damaged(folder) == ["part-1"]


def test_one_flipped_bit_is_seen_by_the_hash(folder):
    content = bytearray((folder / "part-4").read_bytes())
    content[50] ^= 1
    (folder / "part-4").write_bytes(content)
    assert is_sealed(folder)
    assert damaged(folder) == ["part-4"]


def test_readers_that_share_the_work_see_each_file_once(folder):
    for number in range(5):
        (folder / f"part-{number}").write_bytes(b"x" * 100)
    found = [damaged(folder, part, 3) for part in range(3)]
    assert sorted(name for part in found for name in part) == [f"part-{number}" for number in range(5)]


def test_files_that_were_not_sealed_do_not_matter(folder):
    (folder / "note").write_text("mine")
    assert is_sealed(folder)
    assert damaged(folder) == []
