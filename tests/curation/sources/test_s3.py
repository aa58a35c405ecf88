"""An object store, served by moto on this machine. Skips without `pip install s3fs "moto[server]"`."""

import fsspec
import pytest

from curation import pipeline
from curation.sources.catalogue import catalogue
from curation.sources.handling import Handling
from curation.sources.library import Library
from curation.table import load
from tests.curation.conftest import moving, write_video
from tests.curation.sources.test_catalogue import contents

pytest.importorskip("s3fs", reason="s3fs is not installed")
server = pytest.importorskip("moto.server", reason="moto is not installed")


@pytest.fixture
def store(monkeypatch):
    """An empty bucket of a server of this machine."""
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}
    for name, value in keys.items():
        monkeypatch.setenv(name, value)
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    monkeypatch.setitem(fsspec.config.conf, "s3", {"endpoint_url": f"http://{host}:{port}"})
    files = fsspec.filesystem("s3")
    files.makedirs("bucket", exist_ok=True)  # moto keeps what other tests put there
    yield files
    running.stop()


def test_a_bucket_is_listed_and_a_new_version_is_fetched(store, tmp_path):
    store.pipe_file("bucket/v/deep/två 1.mp4", b"one")
    store.pipe_file("bucket/v/deep/två 1.txt", b"words")
    for content in (b"one", b"other"):
        store.pipe_file("bucket/v/deep/två 1.mp4", content)
        store.invalidate_cache()
        found = catalogue("s3://bucket/v", Handling(), tmp_path)
        library = Library(found.folder, tmp_path, Handling())
        library.cache.drop_stale(found.marks)
        assert contents(found, tmp_path) == {"s3://bucket/v/deep/två 1.mp4": content}
        assert found.items[0].beside == "s3://bucket/v/deep/två 1.txt"


def test_a_run_over_a_bucket(store, config, serial, tmp_path):
    store.put_file(str(write_video(tmp_path / "a.mp4", moving(1))), "bucket/w/a.mp4")
    graph = pipeline.run_tables(config(source="s3://bucket/w/*.mp4"), "split", serial)
    assert load(graph, ["source", "frames"]).to_pylist() == [{"source": "s3://bucket/w/a.mp4", "frames": 16}]
