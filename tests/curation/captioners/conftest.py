"""A real HTTP server on a free port of this machine that answers as a chat endpoint would, or as it should
not."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from curation.captioners.endpoint import Endpoint
from tests.curation.conftest import moving, write_video

SAYS = "A bright square crosses a colourful wall from left to right."


def completion(text: str | None, finish: str = "stop") -> tuple[int, bytes]:
    """A chat completion of 100 prompt tokens and 20 of the answer."""
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": finish}
    usage = {"prompt_tokens": 100, "completion_tokens": 20}
    return 200, json.dumps({"choices": [choice], "usage": usage}).encode()


class Server(ThreadingHTTPServer):
    """`reply(number, body)` gives status and content of the request of that number, from 0."""

    daemon_threads = True

    def __init__(self, reply: Callable[[int, dict], tuple[int, bytes]], headers: dict[str, str]):
        super().__init__(("127.0.0.1", 0), Handler)
        self.reply, self.headers = reply, headers
        self.lock = threading.Lock()
        self.asked: list[dict[str, Any]] = []
        self.seen: list[tuple[float, str, str | None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            number = len(self.server.asked)
            self.server.asked.append(body)
            self.server.seen.append((time.monotonic(), self.path, self.headers.get("Authorization")))
        status, content = self.server.reply(number, body)
        try:
            self.send_response(status)
            for name, value in self.server.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        except (BrokenPipeError, ConnectionResetError):  # who asked has given up
            pass

    def do_GET(self):
        with self.server.lock:
            self.server.seen.append((time.monotonic(), self.path, self.headers.get("Authorization")))
        self.send_error(405)

    def log_message(self, *_: object):
        pass


@contextmanager
def serving(reply: Callable[[int, dict], tuple[int, bytes]], **headers: str) -> Iterator[Server]:
    """A server that runs inside the block."""
    server = Server(reply, {key.replace("_", "-"): value for key, value in headers.items()})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def endpoint(url: str, **changes: Any) -> Endpoint:
    """A captioner that does not wait long."""
    return Endpoint(
        **{"name": "tiny", "model": "tiny-8b", "url": url, "backoff": 0.01, "timeout": 5.0, **changes}
    )


@pytest.fixture(scope="session")
def one_clip(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A folder with a video, and the row of a clip that is all of it."""
    root = tmp_path_factory.mktemp("one")
    write_video(root / "a.mp4", moving(1, 16, height=64, width=96))
    row = {"source": "a.mp4", "start_pts": 0, "end_pts": 10**9, "frames": 16, "seconds": 2.0, "clip_id": "a"}
    return root, row
