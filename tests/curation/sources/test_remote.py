"""Files elsewhere, served by a real web server of this machine and by fsspec's memory: found, fetched once,
kept, cleared away when there is no room, and never half there."""

import errno
import http.server
import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec

import fsspec
import pyarrow as pa
import pytest

from console import UserError
from curation import pipeline
from curation.engines import limits
from curation.manifest import read_part
from curation.retry import forget
from curation.sources import remote
from curation.sources.catalogue import catalogue
from curation.sources.handling import Handling
from curation.sources.library import Library
from tests.curation.conftest import moving, write_video
from tests.curation.sources.test_catalogue import contents, write_tar


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder; `faults` says what happens to some paths, `asked` counts."""

    faults: dict[str, list[str]]
    asked: dict[str, int]

    def do_GET(self):
        self.asked[self.path] = self.asked.get(self.path, 0) + 1
        fault = self.faults.get(self.path)
        if not fault:
            return super().do_GET()
        what = fault.pop(0)
        if what.isdigit():
            return self.send_error(int(what))
        self.send_response(200)  # "short": promises more than it sends
        self.send_header("Content-Length", "100000")
        self.end_headers()
        self.wfile.write(b"too little")

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def served(tmp_path, monkeypatch):
    monkeypatch.setattr(remote, "PAUSE", 0.01)
    root = tmp_path / "www"
    for name, content in {"a.mp4": b"A", "b c.mp4": b"BC", "deep/d.webm": b"D", "note.md": b"-"}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    kind = type("Served", (Handler,), {"faults": {}, "asked": {}})
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), lambda *given: kind(*given, directory=str(root))
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield root, f"http://127.0.0.1:{server.server_port}", kind
    server.shutdown()
    server.server_close()
    thread.join()


def library(tmp_path, **more) -> Library:
    return Library(tmp_path, tmp_path / "copies", Handling(**more))


def read(library: Library, name: str) -> bytes:
    with library.borrow(name) as path:
        return path.read_bytes()


def test_the_pages_of_a_web_folder_are_followed(served, tmp_path):
    _, address, _ = served
    found = catalogue(address, Handling(), tmp_path / "c")
    assert [item.source.removeprefix(address) for item in found.items] == [
        "/a.mp4",
        "/b%20c.mp4",
        "/deep/d.webm",
    ]
    assert list(contents(found, tmp_path / "c").values()) == [b"A", b"BC", b"D"]


def test_lists_tars_and_single_files_may_be_elsewhere(served, tmp_path):
    root, address, _ = served
    write_tar(root / "t" / "0.tar", {"x.mp4": b"X", "x.txt": b"words"})
    (root / "l.csv").write_text(f"url,caption\na.mp4,one\n{address}/deep/d.webm,\nt/0.tar,\n")
    found = catalogue(f"{address}/l.csv", Handling(), tmp_path / "c")
    kept = {item.source.removeprefix(address): item for item in found.items}
    assert set(kept) == {"/a.mp4", "/deep/d.webm", "/t/0.tar::x.mp4"}
    assert kept["/a.mp4"].caption == "one"
    assert list(contents(found, tmp_path / "c").values()) == [b"A", b"D", b"X"]
    library = Library(found.folder, tmp_path / "c", Handling())
    assert read(library, f"{address}/t/0.tar::x.txt") == b"words"
    (lone,) = catalogue(f"{address}/a.mp4", Handling(), tmp_path / "c").items
    assert lone.source == f"{address}/a.mp4"


def test_a_file_is_fetched_once(served, tmp_path):
    _, address, kind = served
    for _ in range(3):
        assert read(library(tmp_path), f"{address}/a.mp4") == b"A"
    assert kind.asked["/a.mp4"] == 1


def test_what_may_mend_is_asked_for_again_and_what_may_not_is_not(served, tmp_path):
    _, address, kind = served
    kind.faults |= {"/a.mp4": ["503", "short"], "/deep/d.webm": ["503"] * 9, "/b%20c.mp4": ["403"] * 9}
    assert read(library(tmp_path), f"{address}/a.mp4") == b"A"
    assert kind.asked["/a.mp4"] == 3
    for name, says, times in (
        ("/deep/d.webm", "answers 503", 3), ("/b%20c.mp4", "answers 403", 1), ("/gone.mp4", "no such file", 1)
    ):  # fmt: skip
        with pytest.raises(ValueError, match=f"{remote.FAILED}: .*{says}"):
            read(library(tmp_path), address + name)
        assert kind.asked[name] == times
    assert len([path for path in (tmp_path / "copies").iterdir() if path.suffix != ".note"]) == 1


def test_a_server_that_is_away_is_the_reason(tmp_path, monkeypatch):
    monkeypatch.setattr(remote, "PAUSE", 0.01)
    with pytest.raises(ValueError, match=remote.FAILED):
        read(library(tmp_path), "http://127.0.0.1:9/a.mp4")
    with pytest.raises(UserError, match="cannot be listed"):
        catalogue("http://127.0.0.1:9/folder/", Handling(), tmp_path)
    with pytest.raises(UserError, match="no file system"):
        catalogue("nothing://a/b.tar/*", Handling(), tmp_path)


def test_a_file_that_is_too_large_is_left_where_it_is(served, tmp_path):
    _, address, _ = served
    with pytest.raises(ValueError, match=r"larger than files\.fetch_gb"):
        read(library(tmp_path, fetch_gb=1e-9), f"{address}/b%20c.mp4")
    assert not any((tmp_path / "copies").glob("*.mp4"))


def test_time_is_counted_over_all_attempts(served, tmp_path):
    _, address, kind = served
    kind.faults["/a.mp4"] = ["503"] * 9
    with pytest.raises(ValueError, match=r"longer than files\.fetch_seconds"):
        read(library(tmp_path, fetch_seconds=1e-9), f"{address}/a.mp4")
    assert "/a.mp4" not in kind.asked


def test_a_worker_has_time_to_fetch_before_it_is_taken_for_hung(config):
    here, away = config("row_seconds=100"), config("row_seconds=100", source="https://host/list.csv")
    assert limits(here, 1).row_seconds == 100
    assert limits(away, 1).row_seconds == 100 + away.files.fetch_seconds


@pytest.mark.skipif(find_spec("s3fs") is not None, reason="s3fs is installed")
def test_a_store_without_its_package_says_what_to_install(tmp_path):
    with pytest.raises(UserError, match="s3fs"):
        catalogue("s3://bucket/folder", Handling(), tmp_path)


def test_room_is_made_by_what_was_not_used_for_longest_and_not_by_what_is_in_use(served, tmp_path):
    root, address, _ = served
    for name in ("1.mp4", "2.mp4", "3.mp4"):
        (root / name).write_bytes(name.encode() * 100)
    small = library(tmp_path, cache_gb=1000 / 2**30)  # two of them
    with small.borrow(f"{address}/1.mp4") as first:
        os.utime(first, (1, 1))
        with small.borrow(f"{address}/2.mp4") as second:
            os.utime(second, (2, 2))
        read(small, f"{address}/3.mp4")
        assert (first.exists(), second.exists()) == (True, False)
    os.utime(first, (1, 1))
    read(small, f"{address}/2.mp4")
    assert not first.exists()
    shutil.rmtree(tmp_path / "copies")
    assert read(small, f"{address}/1.mp4").startswith(b"1.mp4")


def test_a_version_that_changed_elsewhere_is_fetched_again(tmp_path):
    store = fsspec.filesystem("memory")
    for content in (b"one", b"other"):
        write_tar(tmp_path / "0.tar", {"x.mp4": content})
        store.pipe_file("/vids/a.mp4", content)
        store.pipe_file("/vids/a.txt", b"words")
        store.put_file(str(tmp_path / "0.tar"), "/vids/0.tar")
        found = catalogue("memory://vids", Handling(), tmp_path / "c")
        library = Library(found.folder, tmp_path / "c", Handling())
        library.cache.drop_stale(found.marks)
        assert contents(found, tmp_path / "c") == {
            "memory:///vids/a.mp4": content, "memory:///vids/0.tar::x.mp4": content
        }  # fmt: skip
        assert next(item for item in found.items if item.beside).beside == "memory:///vids/a.txt"
    store.rm("/vids", recursive=True)


def test_a_run_over_the_web_equals_one_over_the_folder(served, config, serial, tmp_path):
    root, address, kind = served
    for path in [*root.rglob("*.mp4"), *root.rglob("*.webm")]:
        path.unlink()
    for seed in range(3):
        write_video(root / f"clip {seed}.mp4", moving(seed))
    (root / "clip 1.txt").write_text("a square")
    kind.faults["/clip%202.mp4"] = ["404"]
    here = pipeline.run_tables(config(source=root, out=tmp_path / "here"), "split", serial)
    settings = config(source=address, out=tmp_path / "away")
    away = pipeline.run_tables(settings, "split", serial)
    assert [remote.FAILED in (error or "") for error in ingested(away)["ingest_error"]] == [
        False,
        False,
        True,
    ]
    assert forget(away, tmp_path / "away", "captions") == 0
    assert forget(away, tmp_path / "away", "files") == 1
    away = pipeline.run_tables(settings, "split", serial)
    assert forget(away, tmp_path / "away") == 0
    one, other = ingested(here), ingested(away)
    assert one.keys() == other.keys()
    assert [key for key in one if one[key] != other[key]] == ["source"]
    clips = [pipeline.table.load(graph, ["clip_id", "frames"]) for graph in (here, away)]
    assert clips[0].equals(clips[1])


def ingested(graph) -> dict[str, list]:
    parts = [read_part(graph.nodes["ingest"].folder.part(unit.name)) for unit in graph.units]
    return pa.concat_tables(parts).to_pydict()


def test_workers_that_want_one_file_at_a_time_fetch_it_once(served, tmp_path):
    root, address, kind = served
    write_tar(root / "0.tar", {f"{k}.mp4": bytes([k]) * 9000 for k in range(8)})
    shared = library(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda k: read(shared, f"{address}/0.tar::{k}.mp4"), range(8)))
    assert found == [bytes([k]) * 9000 for k in range(8)]
    assert kind.asked["/0.tar"] == 1


def test_a_full_disk_is_no_fault_of_a_file(tmp_path, monkeypatch):
    store = fsspec.filesystem("memory")
    store.pipe_file("/full/a.mp4", b"A")

    def full(*_: object, **__: object):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(type(store), "get_file", full)
    with pytest.raises(OSError, match="No space left"):
        read(library(tmp_path), "memory://full/a.mp4")
    assert not any((tmp_path / "copies").iterdir())
    store.rm("/full", recursive=True)
