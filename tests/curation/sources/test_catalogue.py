"""Whatever names the files of a run, each is found once, with its caption, and can be borrowed."""

import json
import os
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from console import UserError
from curation.sources.catalogue import catalogue, folder_of
from curation.sources.handling import Handling
from curation.sources.library import Library


@pytest.fixture
def find(tmp_path):
    return lambda text: catalogue(str(text), Handling(), tmp_path / "copies")


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "in"
    for name in ("a.mp4", "b c.webm", "deep/ä.mkv", "deep/[1].mp4", "note.md"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    return root


def write_tar(path, members: dict[str, bytes]):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            scratch = path.with_suffix(".scratch")
            scratch.write_bytes(content)
            tar.add(scratch, name)
            scratch.unlink()
    return path


def contents(found, copies) -> dict[str, bytes]:
    library = Library(found.folder, copies, Handling())
    read = {}
    for item in found.items:
        with library.borrow(item.source) as path:
            read[item.source] = path.read_bytes()
    return read


def test_a_folder_a_pattern_and_a_file(find, tree, tmp_path):
    names = ["a.mp4", "b c.webm", "deep/[1].mp4", "deep/ä.mkv"]
    assert contents(find(tree), tmp_path) == {name: name.encode() for name in names}
    assert [item.source for item in find(tree / "**" / "*.mp4").items] == ["a.mp4", "deep/[1].mp4"]
    assert contents(find(tree / "deep" / "*"), tmp_path) == {
        "[1].mp4": b"deep/[1].mp4",
        "ä.mkv": "deep/ä.mkv".encode(),
    }
    assert [item.source for item in find(tree / "deep" / "[1].mp4").items] == ["[1].mp4"]
    with pytest.raises(UserError, match="No video"):
        find(tree / "*.avi")


def test_the_folder_of_an_input_is_what_nodes_must_share(tree, monkeypatch):
    for text in (tree, tree / "a.mp4", tree / "*.mp4", tree / "l?.mp4"):
        assert folder_of(str(text)) == tree
    assert folder_of(str(tree / "deep" / "**" / "*.mp4")) == tree / "deep"
    assert folder_of("s3://bucket/a/*.mp4") is None
    monkeypatch.chdir(tree)
    assert folder_of("*.mp4") == Path(".")


def test_a_name_that_is_no_text_is_found_again(find, tree, tmp_path):
    name = os.fsdecode(b"caf\xe9.mp4")
    (tree / name).write_bytes(b"coffee")
    assert contents(find(tree), tmp_path)["caf\\xe9.mp4"] == b"coffee"


ROWS = [
    {"file": "a.mp4", "caption": "one\n thing", "views": 3, "score": 0.5},
    {"file": "deep/ä.mkv", "caption": "", "views": 4, "score": float("nan")},
]


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_a_list_gives_captions_and_keeps_its_other_columns(find, tree, suffix):
    path = tree / f"list.{suffix}"
    if suffix == "parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    elif suffix == "jsonl":
        path.write_text("\n".join(json.dumps({**row, "score": 0.5}) for row in ROWS))
    else:
        gap = "," if suffix == "csv" else "\t"
        path.write_text(
            gap.join(ROWS[0]) + "\n" + f'a.mp4{gap}"one\n thing"{gap}3{gap}0.5\ndeep/ä.mkv{gap}{gap}4{gap}\n'
        )
    first, second = find(path).items
    assert (first.source, first.caption, second.source, second.caption) == (
        "a.mp4",
        "one thing",
        "deep/ä.mkv",
        None,
    )
    views = [json.loads(item.listed)["views"] for item in (first, second)]
    assert [int(view) for view in views] == [3, 4]


def test_rows_that_name_nothing_are_kept_with_their_fault(find, tree):
    path = tree / "list.jsonl"
    path.write_text(
        '{"path": "a.mp4"}\nnot json\n{"path": ""}\n[1]\n{"path": "gone.mp4"}\n{"path": "a.mp4", "n": 2}\n'
    )
    found = {item.source: item for item in find(path).items}
    assert set(found) == {"a.mp4", "gone.mp4", "list.jsonl#2", "list.jsonl#3", "list.jsonl#4"}
    assert found["a.mp4"].listed is None  # the first row of a file counts
    assert "not JSON" in found["list.jsonl#2"].fault
    assert "names no file" in found["list.jsonl#3"].fault


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("x.csv", b"a,b\n1,2\n", "columns a, b; one with files is needed"),
        ("x.csv", b"", "no row"),
        ("x.csv", b"\xff\xfe\xfa", "not UTF-8"),
        ("x.parquet", b"PAR?", "not Parquet"),
    ],
)
def test_a_list_that_cannot_be_used_says_why(find, tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=says):
        find(tmp_path / name)


def test_videos_in_tars_come_with_their_captions(find, tree, tmp_path):
    write_tar(
        tree / "pack" / "0.tar",
        {"k/x.mp4": b"X", "k/x.txt": b"words", "k/x.json": b"{}", "k/x.jpg": b"-", "y.1.mp4": b"Y"},
    )
    found = find(tree / "pack")
    assert [item.source for item in found.items] == ["0.tar::k/x.mp4", "0.tar::y.1.mp4"]
    assert [item.beside for item in found.items] == ["0.tar::k/x.txt", None]
    assert list(contents(found, tmp_path / "c").values()) == [b"X", b"Y"]
    assert len(find(tree).items) == 6  # a folder with videos and tars
    (tree / "l.csv").write_text("path,caption\npack/0.tar,all of them\n")
    assert [item.caption for item in find(tree / "l.csv").items] == ["all of them"] * 2


def test_a_changed_tar_gives_its_new_bytes(find, tmp_path):
    for content in (b"old", b"new!"):
        write_tar(tmp_path / "p" / "0.tar", {"x.mp4": content})
        assert list(contents(find(tmp_path / "p"), tmp_path / "c").values()) == [content]


def test_damaged_and_empty_tars_say_so(find, tmp_path):
    whole = write_tar(tmp_path / "p" / "0.tar", {"x.mp4": b"X" * 9000, "y.mp4": b"Y" * 9000})
    (tmp_path / "p" / "1.tar").write_bytes(whole.read_bytes()[:14000])
    (tmp_path / "p" / "2.tar").write_text("no tar at all, only words that are long enough" * 30)
    write_tar(tmp_path / "p" / "3.tar", {"x.txt": b"-"})
    (tmp_path / "p" / "4.tar").touch()
    found = find(tmp_path / "p")
    faults = {item.source: item.fault for item in found.items if item.fault}
    assert "not a readable tar" in faults["2.tar"]
    assert faults["3.tar"] == "a tar without a video"
    assert "4.tar" in faults
    library = Library(found.folder, tmp_path / "c", Handling())
    with library.borrow("1.tar::x.mp4") as path:
        assert path.read_bytes() == b"X" * 9000
    with pytest.raises(ValueError, match="ends within"), library.borrow("1.tar::y.mp4"):
        pass
