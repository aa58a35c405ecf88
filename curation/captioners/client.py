"""One request to an OpenAI-compatible chat endpoint: what came back, or which kind of trouble it was.

The API key is sent to the configured host alone (no redirects) and is cut out of whatever a server says.
"""

import http.client
import json
import time
from typing import Any, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, OpenerDirector, Request, build_opener

from curation.captioners.endpoint import Endpoint
from curation.stage import HaltError

MOST_BYTES = 4_000_000  # of a response
SHOWN = 200  # letters of what a server says in an error
PIECE = 65536


class NoReplyError(Exception):
    """No answer this time; `again` where another attempt may help."""

    def __init__(self, what: str, *, again: bool = True):
        super().__init__(what)
        self.again = again


class UnreachableError(NoReplyError):
    """Nobody listens there."""


class BusyError(NoReplyError):
    """Too many requests; `after`: seconds that the server asks to wait."""

    def __init__(self, what: str, after: float):
        super().__init__(what)
        self.after = after


class Reply(NamedTuple):
    """What a model said and what it cost."""

    text: str
    finish: str | None
    prompt_tokens: int
    completion_tokens: int


class _Stay(HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class Client:
    """Talks to one endpoint."""

    def __init__(self, endpoint: Endpoint):
        self.endpoint = endpoint
        self._key = endpoint.key()
        self._opener: OpenerDirector = build_opener(_Stay)

    def ask(self, prompt: str, pictures: list[str], attempt: int) -> Reply:
        """One attempt. A NoReplyError says why there is no reply, a HaltError why there will never be one."""
        images = [{"type": "image_url", "image_url": {"url": picture}} for picture in pictures]
        one = self.endpoint
        body = {
            "model": one.model,
            "messages": [{"role": "user", "content": [*images, {"type": "text", "text": prompt}]}],
            "temperature": one.temperature,
            "top_p": one.top_p,
            "max_tokens": one.max_tokens,
            "seed": one.seed + attempt,
        }
        return self._reply(self._post(json.dumps(body).encode()))

    def told(self, text: str) -> str:
        """The first letters of what a server said, on one line, without the key."""
        line = " ".join(text.split())
        return (line.replace(self._key, "(key)") if self._key else line)[:SHOWN]

    def _post(self, body: bytes) -> bytes:
        headers = {"Content-Type": "application/json", "User-Agent": "moviegen-lightning"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        request = Request(f"{self.endpoint.url.rstrip('/')}/chat/completions", body, headers)
        limit = self.endpoint.timeout
        try:
            with self._opener.open(request, timeout=limit) as response:
                return _read(response, time.monotonic() + limit)
        except HTTPError as error:
            with error:
                raise self._refusal(error) from None
        except TimeoutError as error:
            raise NoReplyError(f"no answer in {limit:g} s") from error
        except URLError as error:
            if isinstance(error.reason, TimeoutError):
                raise NoReplyError(f"no answer in {limit:g} s") from error
            if isinstance(error.reason, (BrokenPipeError, ConnectionResetError)):
                raise NoReplyError(f"the connection broke ({type(error.reason).__name__})") from error
            raise UnreachableError(self.told(str(error.reason))) from error
        except (ConnectionError, http.client.HTTPException) as error:
            raise NoReplyError(f"the connection broke ({type(error).__name__})") from error

    def _refusal(self, error: HTTPError) -> Exception:
        """What a status other than 200 means."""
        try:
            said = self.told(error.read(PIECE).decode(errors="replace"))
        except (OSError, http.client.HTTPException):
            said = ""
        what, one = f"HTTP {error.code}" + (f": {said}" if said else ""), self.endpoint
        if error.code == 429:
            return BusyError(what, _seconds(error.headers.get("Retry-After")))
        if error.code in (401, 403):
            holder = one.key_variable or "none: key_variable is empty"
            return HaltError(f"captioner {one.name}: {one.url} refuses the key ({what}; variable: {holder}).")
        if error.code == 404 or error.code < 400:
            return HaltError(
                f"captioner {one.name}: {one.url} has no chat endpoint or no model {one.model!r} ({what}). "
                "Check url (it mostly ends in /v1) and model."
            )
        return NoReplyError(what, again=error.code == 408 or error.code >= 500)

    def _reply(self, content: bytes) -> Reply:
        try:
            facts = json.loads(content)
            choice, usage = facts["choices"][0], facts.get("usage") or {}
            text = choice["message"]["content"] or ""
            tokens = [int(usage.get(key) or 0) for key in ("prompt_tokens", "completion_tokens")]
            return Reply(self._clean(text), choice.get("finish_reason"), *tokens)
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            said = self.told(content[:PIECE].decode(errors="replace"))
            raise NoReplyError(f"what came is no chat completion: {said!r}") from error

    def _clean(self, text: str) -> str:
        """On one line, and without the key, which a broken server might echo."""
        line = " ".join(text.split())
        return line.replace(self._key, "(key)") if self._key else line


def _read(response: http.client.HTTPResponse, until: float) -> bytes:
    """The body; a server that drips is as late as one that is silent."""
    pieces: list[bytes] = []
    while piece := response.read1(PIECE):
        pieces.append(piece)
        if time.monotonic() > until:
            raise TimeoutError
        if sum(map(len, pieces)) > MOST_BYTES:
            raise NoReplyError(f"the answer has more than {MOST_BYTES} bytes", again=False)
    return b"".join(pieces)


def _seconds(text: str | None) -> float:
    """Retry-After in seconds; 0 for its other form, a date."""
    return float(text) if text and text.strip().isdigit() else 0.0
