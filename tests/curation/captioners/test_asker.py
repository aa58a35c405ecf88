"""What becomes of a clip when the server is fine, slow, busy, broken, down or mad; what it costs; who learns
the key."""

import base64
import dataclasses
import io
import socket
import threading
import time

import numpy as np
import pytest
from PIL import Image

from console import UserError
from curation.captioners.asker import Asker
from curation.stage import HaltError
from tests.curation.captioners.conftest import SAYS, completion, endpoint, serving

KEY = "sk-very-secret-0123456789"


def fine(number, body):
    return completion(SAYS)


def outcome(one_clip, store, one):
    """What was said at the end, and whether it stops the run."""
    try:
        return str(ask(one_clip, store, one)[1]), False
    except ValueError as error:
        return str(error), isinstance(error, HaltError)


def ask(one_clip, store, *endpoints, clip="a"):
    root, row = one_clip
    asker = Asker(endpoints, root, store / "answers.sqlite")
    return asker, asker.caption({**row, "clip_id": clip})


def test_the_model_sees_frames_in_order_and_the_filled_prompt(one_clip, tmp_path):
    with serving(fine) as server:
        _, (text, name) = ask(one_clip, tmp_path, endpoint(server.url, frames=4, size=48, temperature=0.0))
    assert (text, name) == (SAYS, "tiny")
    (body,), ((_, path, key),) = server.asked, server.seen
    assert path == "/v1/chat/completions"
    assert key is None
    assert body["model"] == "tiny-8b"
    assert body["temperature"] == 0.0
    *images, words = body["messages"][0]["content"]
    assert "4 frames" in words["text"]
    assert "2.0 seconds" in words["text"]
    assert "{" not in words["text"]
    pictures = [
        Image.open(
            io.BytesIO(base64.b64decode(image["image_url"]["url"].removeprefix("data:image/jpeg;base64,")))
        )
        for image in images
    ]
    assert [picture.format for picture in pictures] == ["JPEG"] * 4
    assert {picture.size for picture in pictures} == {(48, 32)}
    lefts = [int(np.asarray(picture)[13].sum(axis=-1).argmax()) for picture in pictures]
    assert lefts == sorted(lefts)
    assert lefts[0] < lefts[-1]


def test_an_answer_is_asked_for_once(one_clip, tmp_path):
    with serving(fine) as server:
        first, _ = ask(one_clip, tmp_path, endpoint(server.url, price_in=10.0, price_out=50.0))
        again, (text, _) = ask(
            one_clip, tmp_path, endpoint(server.url, price_in=10.0, price_out=50.0, weight=3.0)
        )
        assert text == SAYS
        assert len(server.asked) == 1
        ask(one_clip, tmp_path, endpoint(server.url), clip="b")
        ask(one_clip, tmp_path, endpoint(server.url, temperature=0.9))
        assert len(server.asked) == 3
    paid, known = first.spent()["tiny"], again.spent()["tiny"]
    assert paid == {**known, "reused": 0}
    assert known["reused"] == 1
    assert (paid["clips"], paid["requests"], paid["prompt_tokens"], paid["completion_tokens"]) == (
        1,
        1,
        100,
        20,
    )
    assert paid["cost"] == pytest.approx((100 * 10 + 20 * 50) / 1e6)
    assert first.spent() == {}


@pytest.mark.parametrize("status", [429, 500, 503])
def test_trouble_that_passes_leaves_no_trace_but_its_cost(one_clip, tmp_path, status):
    with serving(lambda n, _: (status, b"not now") if n < 2 else completion(SAYS)) as server:
        asker, (text, _) = ask(one_clip, tmp_path, endpoint(server.url))
    assert text == SAYS
    assert asker.spent()["tiny"]["requests"] == 3


def test_waits_grow_and_the_server_may_ask_for_longer_ones(one_clip, tmp_path):
    busy = lambda n, _: (429, b"") if n < 1 else completion(SAYS)  # noqa: E731
    with serving(busy, Retry_After="1") as server:
        ask(one_clip, tmp_path, endpoint(server.url))
    assert server.seen[1][0] - server.seen[0][0] >= 1.0
    with serving(lambda n, _: (500, b"") if n < 3 else completion(SAYS)) as server:
        ask(one_clip, tmp_path, endpoint(server.url, backoff=0.2), clip="b")
    when = [moment for moment, *_ in server.seen]
    assert when[1] - when[0] >= 0.1
    assert when[2] - when[1] >= 0.2
    assert when[3] - when[2] >= 0.4


def test_a_server_that_is_down_stops_the_run(one_clip, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        with pytest.raises(HaltError, match=r"tiny: nobody answers at http://127\.0\.0\.1:\d+/v1 .*refused"):
            ask(one_clip, tmp_path, endpoint(url))


def test_a_busy_server_stops_the_run_and_names_the_setting(one_clip, tmp_path):
    with serving(lambda *_: (429, b"quota")) as server, pytest.raises(HaltError, match="requests_per_minute"):
        ask(one_clip, tmp_path, endpoint(server.url))
    assert len(server.asked) == 4


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (completion(""), "an empty answer"),
        (completion(None), "an empty answer"),
        (completion("{}[]() ### 12 34 !!"), "without a sentence"),
        (completion("the " * 60), "repeats itself"),
        (completion("A square that moves and", "length"), "cut off at max_tokens"),
        ((200, b"<html>welcome</html>"), "no chat completion: '<html>welcome"),
        ((200, b'{"choices": []}'), "no chat completion"),
        ((400, b'{"error": "too many images"}'), "too many images"),
        ((500, b"oops"), "HTTP 500: oops"),
    ],
)
def test_a_bad_answer_is_the_error_of_its_clip(one_clip, tmp_path, answer, says):
    with serving(lambda *_: answer) as server, pytest.raises(ValueError, match=says) as caught:
        ask(one_clip, tmp_path, endpoint(server.url))
    assert not isinstance(caught.value, UserError)
    assert str(caught.value).startswith("captioner tiny: ")
    assert len(server.asked) == (1 if answer[0] == 400 else 4)
    assert len({body["seed"] for body in server.asked}) == len(server.asked)  # each attempt is another draw


def test_a_slow_server_costs_its_timeout_and_then_the_run(one_clip, tmp_path):
    def slow(number, body):
        time.sleep(0.6)
        return completion(SAYS)

    root, row = one_clip
    with serving(slow) as server:
        asker = Asker([endpoint(server.url, timeout=0.2, attempts=2, give_up=2)], root, tmp_path / "a.sqlite")
        began = time.monotonic()
        with pytest.raises(ValueError, match=r"no answer in 0\.2 s") as caught:
            asker.caption(row)
        assert time.monotonic() - began < 2
        assert not isinstance(caught.value, HaltError)
        with pytest.raises(HaltError, match=r"gave no answer for 2 clips one after the other.*raise timeout"):
            asker.caption(row)
    assert asker.spent()["tiny"]["failed"] == 2


def test_a_server_that_drips_is_late_too(one_clip, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=drip, args=(listening,), daemon=True).start()
        one = endpoint(f"http://127.0.0.1:{listening.getsockname()[1]}/v1", timeout=0.4, attempts=1)
        began = time.monotonic()
        with pytest.raises(ValueError, match=r"no answer in 0\.4 s"):
            ask(one_clip, tmp_path, one)
        assert time.monotonic() - began < 3


def drip(listening: socket.socket) -> None:
    """Answer with a byte each tenth of a second, for ten seconds."""
    connection, _ = listening.accept()
    with connection:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        try:
            for _ in range(100):
                connection.sendall(b" ")
                time.sleep(0.1)
        except OSError:  # the client has left
            return


def test_an_answer_between_two_failures_keeps_the_run_going(one_clip, tmp_path):
    root, row = one_clip
    with serving(lambda n, _: completion(SAYS) if n % 2 else (500, b"")) as server:
        asker = Asker([endpoint(server.url, attempts=1, give_up=2)], root, tmp_path / "a.sqlite")
        for k in range(6):
            if k % 2:
                assert asker.caption({**row, "clip_id": str(k)})[0] == SAYS
            else:
                with pytest.raises(ValueError, match="HTTP 500"):
                    asker.caption({**row, "clip_id": str(k)})


def test_requests_keep_the_rate_over_all_workers(one_clip, tmp_path):
    root, row = one_clip
    with serving(fine) as server:
        one = endpoint(server.url, requests_per_minute=300.0)
        askers = [Asker([one], root, tmp_path / "a.sqlite") for _ in range(2)]
        for k in range(4):
            askers[k % 2].caption({**row, "clip_id": str(k)})
    when = [moment for moment, *_ in server.seen]
    assert when[-1] - when[0] >= 3 * 0.2 - 0.05


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 500, 302])
def test_nobody_learns_the_key_but_the_server(one_clip, tmp_path, monkeypatch, status):
    monkeypatch.setenv("CAPTION_KEY", f" {KEY}\n")
    echo = (
        completion(f"The key {KEY} is a nice one, is it not?")
        if status == 200
        else (status, KEY.encode() * 20)
    )
    with serving(fine) as other, serving(lambda *_: echo, Location=f"{other.url}/chat/completions") as server:
        one = endpoint(server.url, key_variable="CAPTION_KEY")
        said, halted = outcome(one_clip, tmp_path, one)
    assert halted == (status in (401, 403, 404, 302))
    assert {key for *_, key in server.seen} == {f"Bearer {KEY}"}
    assert not other.seen
    assert KEY not in said
    assert KEY not in repr(one)
    assert KEY not in repr(dataclasses.asdict(one))
    assert all(KEY.encode() not in path.read_bytes() for path in tmp_path.iterdir())


@pytest.mark.parametrize(
    ("value", "says"), [(None, "is not set"), ("  ", "is not set"), ("a\nb-secret", "no key")]
)
def test_a_missing_or_broken_key_is_named_by_its_variable(one_clip, tmp_path, monkeypatch, value, says):
    monkeypatch.delenv("CAPTION_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("CAPTION_KEY", value)
    with pytest.raises(UserError, match=f"CAPTION_KEY .*{says}") as caught:
        ask(one_clip, tmp_path, endpoint("http://127.0.0.1:9/v1", key_variable="CAPTION_KEY"))
    assert "secret" not in str(caught.value)


def test_a_broken_store_of_answers_is_nobodys_caption(one_clip, tmp_path):
    (tmp_path / "answers.sqlite").write_bytes(b"this is no database" * 100)
    with pytest.raises(HaltError, match=r"answers\.sqlite cannot be used.*move it away"):
        ask(one_clip, tmp_path, endpoint("http://127.0.0.1:9/v1"))
