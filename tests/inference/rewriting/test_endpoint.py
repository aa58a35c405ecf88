"""An OpenAI-compatible endpoint over a real socket: well, busy, failing, slow, away, talking nonsense."""

import json
import socket
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from console import UserError
from inference.rewriting import RewriterError, Rewrites
from inference.rewriting.endpoint import LARGEST, Endpoint, EndpointConfig

KEY = "sk-very-secret-0123456789"
ANSWER = "A red ball with a smooth skin. The ball rests. A green lawn."


def completion(text) -> bytes:
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode()


class Server(ThreadingHTTPServer):
    """Plays a list of scenes, the last one for ever; each is what a request gets."""

    daemon_threads = True

    def __init__(self, scenes):
        super().__init__(("127.0.0.1", 0), Handler)
        self.scenes, self.requests = list(scenes), []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.path, dict(self.headers), json.loads(body)))
        scene = self.server.scenes.pop(0) if len(self.server.scenes) > 1 else self.server.scenes[0]
        scene(self)

    def log_message(self, *_):
        pass


def says(body: bytes, status: int = 200, **headers: str):
    def scene(handler):
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return scene


def trickles(handler):
    """Headers at once, then a byte of body now and then: no read ever times out by itself."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    for _ in range(100):
        time.sleep(0.05)
        try:
            handler.wfile.write(b" ")
            handler.wfile.flush()
        except OSError:
            return


@contextmanager
def serving(*scenes):
    server = Server(scenes)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(autouse=True)
def direct(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")


def endpoint(url: str, **settings) -> Endpoint:
    return Endpoint(
        EndpointConfig(**{"url": url, "model": "llama", "key": KEY, "pause": 0.01, "timeout": 5, **settings})
    )


def test_a_good_answer_comes_back_as_it_is_and_the_request_is_as_the_protocol_has_it():
    with serving(says(completion(ANSWER))) as server:
        assert endpoint(server.url).ask("a red ball", 40) == ANSWER
    ((path, headers, body),) = server.requests
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert (body["model"], body["temperature"]) == ("llama", 0)
    assert body["messages"][-1] == {"role": "user", "content": "a red ball"}


def test_without_a_key_no_authorization_is_sent_and_a_full_address_is_taken_as_it_is():
    with serving(says(completion(ANSWER))) as server:
        endpoint(server.url + "/chat/completions", key=None).ask("a red ball", 40)
    ((path, headers, _),) = server.requests
    assert path == "/v1/chat/completions"
    assert "Authorization" not in headers


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_busy_or_failing_service_is_asked_again(status):
    with serving(says(b"busy", status), says(b"busy", status), says(completion(ANSWER))) as server:
        assert endpoint(server.url).ask("a red ball", 40) == ANSWER
    assert len(server.requests) == 3


def test_retry_after_is_waited_for_and_where_it_is_too_long_it_is_not():
    with serving(says(b"", 429, Retry_After="0.4"), says(completion(ANSWER))) as server:
        start = time.monotonic()
        assert endpoint(server.url).ask("a red ball", 40) == ANSWER
        assert time.monotonic() - start >= 0.4
    with serving(says(b"", 429, Retry_After="3600")) as server:
        with pytest.raises(RewriterError, match="answers 429"):
            endpoint(server.url).ask("a red ball", 40)
        assert len(server.requests) == 1


@pytest.mark.parametrize(("status", "requests"), [(429, 3), (500, 3), (401, 1), (404, 1)])
def test_a_service_that_goes_on_failing_is_a_lasting_fault_with_its_code(status, requests):
    with serving(says(f"bad key {KEY}".encode(), status)) as server:
        with pytest.raises(RewriterError, match=f"llama at 127.0.0.1:.* answers {status}") as caught:
            endpoint(server.url).ask("a red ball", 40)
        assert len(server.requests) == requests
    assert caught.value.lasting
    assert KEY not in str(caught.value)


def test_a_request_that_is_refused_for_itself_is_no_lasting_fault():
    with serving(says(b"", 400)) as server, pytest.raises(RewriterError) as caught:
        endpoint(server.url).ask("a red ball", 40)
    assert not caught.value.lasting


def test_a_redirect_is_not_followed_since_it_would_carry_the_key():
    with serving(says(completion(ANSWER))) as thief, serving(says(b"", 307, Location=thief.url)) as server:
        with pytest.raises(RewriterError, match="answers 307"):
            endpoint(server.url).ask("a red ball", 40)
        assert thief.requests == []


def test_nobody_at_the_address_is_a_lasting_fault():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(RewriterError, match="cannot be reached") as caught:
        endpoint(f"http://127.0.0.1:{port}/v1", attempts=2).ask("a red ball", 40)
    assert caught.value.lasting


@pytest.mark.parametrize("scene", [trickles, lambda handler: time.sleep(3)], ids=["trickles", "sleeps"])
def test_however_slow_a_service_is_the_wait_has_an_end(scene):
    with serving(scene) as server:
        start = time.monotonic()
        with pytest.raises(RewriterError, match="cannot be reached"):
            endpoint(server.url, timeout=0.5).ask("a red ball", 40)
        assert time.monotonic() - start < 2


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>hello</html>",
        b"[]",
        b"{}",
        b'{"choices": []}',
        b'{"choices": [{"message": {}}]}',
        b'{"choices": [{"message": {"content": null}}]}',
        b'{"choices": [{"message": {"content": 7}}]}',
        b"\xff\xfe\x00",
        completion("x" * LARGEST),
        completion(f"your key is {KEY}"),
    ],
)
def test_nonsense_is_a_fault_that_repeats_none_of_it(body):
    with serving(says(body)) as server, pytest.raises(RewriterError, match="no chat completion") as caught:
        endpoint(server.url).ask("a red ball", 40)
    assert KEY not in str(caught.value)


def test_a_connection_that_breaks_in_the_middle_is_tried_again():
    def breaks(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b"{")

    with serving(breaks, says(completion(ANSWER))) as server:
        assert endpoint(server.url).ask("a red ball", 40) == ANSWER


def test_the_key_is_neither_shown_nor_stored(tmp_path, capsys):
    with serving(says(completion(ANSWER))) as server:
        asked = endpoint(server.url)
        found = Rewrites(asked, tmp_path, 40).rewrite(["a red ball", "a blue star"])
    assert found[0].prompt == ANSWER
    shown = capsys.readouterr()
    stored = "".join(path.name + path.read_text() for path in tmp_path.iterdir())
    assert KEY not in shown.out + shown.err + stored + repr(asked.config) + asked.identity + str(found)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"url": "ftp://host/v1"}, "takes an address"),
        ({"url": "http://"}, "takes an address"),
        ({"url": "http://[::1"}, "takes an address"),
        ({"url": f"https://me:{KEY}@host/v1"}, "REWRITE_API_KEY in the environment"),
        ({"url": f"https://host/v1?key={KEY}"}, "REWRITE_API_KEY in the environment"),
        ({"url": "http://example.org/v1"}, "in the clear to example.org"),
        ({"url": "https://host/v1", "model": ""}, "--rewrite-model"),
        ({"url": "https://host/v1", "timeout": 0.0}, "--rewrite-timeout"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_its_secret(settings, message):
    with pytest.raises(UserError, match=message) as caught:
        endpoint(**settings)
    assert KEY not in str(caught.value)
