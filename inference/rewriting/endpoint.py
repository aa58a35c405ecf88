"""A language model behind an OpenAI-compatible endpoint, such as vLLM, llama.cpp or a cloud serves it."""

import http.client
import json
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from console import UserError
from inference.rewriting.rewrite import RewriterError
from inference.rewriting.rules import conversation

KEY = "REWRITE_API_KEY"  # of the environment; a key on a command line is seen by all users of the machine
LARGEST = 1 << 20  # bytes of an answer
TOKENS = 400  # an answer may have
PASSING = {408, 425, 429, 500, 502, 503, 504}  # worth another attempt
LOCAL = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True, kw_only=True)
class EndpointConfig:
    """Where the model is and how patient we are with it."""

    url: str
    """Of the service, up to /v1."""
    model: str
    """Its name there."""
    key: str | None = field(default=None, repr=False)
    """Secret of the service; goes into the Authorization header and nowhere else."""
    timeout: float = 60.0
    """Seconds for one prompt, all attempts together."""
    attempts: int = 3
    """Requests for one prompt, where the service is busy or fails."""
    pause: float = 1.0
    """Seconds before the second attempt, doubled for each further; a Retry-After header goes first."""

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            host, secret = parts.hostname, parts.username or parts.password or parts.query
        except ValueError:
            host = secret = None
            parts = urlsplit("")
        if parts.scheme not in ("http", "https") or not host:
            raise UserError(
                "--rewrite takes an address such as http://localhost:8000/v1, or a model's folder."
            )
        if secret:
            raise UserError(
                f"An address is stored and shown: give the key as {KEY} in the environment instead."
            )
        if self.key and parts.scheme == "http" and host not in LOCAL:
            raise UserError(f"{KEY} would cross the network in the clear to {host}. Use https, or unset it.")
        if not self.model:
            raise UserError("The endpoint needs the name of a model: --rewrite-model NAME.")
        if self.timeout <= 0 or self.attempts < 1:
            raise UserError(f"--rewrite-timeout must be above 0 seconds; {self.timeout:g} came.")


class Endpoint:
    """Asks by POST /chat/completions. No message of it holds the key or the body of a failure."""

    def __init__(self, config: EndpointConfig) -> None:
        self.config = config
        self.name = f"{config.model} at {urlsplit(config.url).netloc}"
        self.identity = f"{config.url} {config.model}"

    def ask(self, prompt: str, words: int) -> str:
        """The answer's text, within `timeout` seconds."""
        end = time.monotonic() + self.config.timeout
        pause = self.config.pause
        for attempt in range(1, self.config.attempts + 1):
            try:
                return self._text(self._post(conversation(prompt, words), end - time.monotonic()))
            except urllib.error.HTTPError as error:
                reason = f"{self.name} answers {error.code}"
                lasting = error.code not in {400, 413, 422}  # these are about this one prompt
                again, wait = error.code in PASSING, _retry_after(error) or pause
                error.close()
            except (OSError, http.client.HTTPException) as error:
                reason, lasting = f"{self.name} cannot be reached ({_reason(error)})", True
                again, wait = True, pause
            if not again or attempt == self.config.attempts or time.monotonic() + wait >= end:
                break
            time.sleep(wait)
            pause *= 2
        raise RewriterError(reason, lasting=lasting)

    def _post(self, messages: list[dict[str, str]], seconds: float) -> bytes:
        """One request, given up after `seconds` in all, however slowly bytes keep coming."""
        outcome: list[bytes | BaseException] = []

        def run() -> None:
            try:
                with _OPENER.open(self._request(messages), timeout=seconds) as response:
                    body = response.read(LARGEST + 1)
                    if response.length and len(body) <= LARGEST:
                        raise http.client.IncompleteRead(body)
                    outcome.append(body)
            except BaseException as error:
                outcome.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        thread.join(seconds)
        if not outcome:
            raise TimeoutError(f"no answer within {self.config.timeout:g} s")
        if isinstance(outcome[0], BaseException):
            raise outcome[0]
        return outcome[0]

    def _request(self, messages: list[dict[str, str]]) -> urllib.request.Request:
        url = self.config.url.rstrip("/")
        url = url if url.endswith("/chat/completions") else f"{url}/chat/completions"
        body = {"model": self.config.model, "messages": messages, "temperature": 0, "max_tokens": TOKENS}
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self.config.key:
            headers["Authorization"] = f"Bearer {self.config.key}"
        return urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")

    def _text(self, body: bytes) -> str:
        try:
            if len(body) > LARGEST:
                raise ValueError("too long")
            text: Any = json.loads(body)["choices"][0]["message"]["content"]
            if not isinstance(text, str) or (self.config.key and self.config.key in text):
                raise TypeError("no text")
        except (ValueError, LookupError, TypeError):
            raise RewriterError(f"{self.name} answers what is no chat completion", lasting=False) from None
        return text


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the key to a host that the user did not name: it is a failure like any other."""

    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirect)


def _reason(error: BaseException) -> str:
    """What went wrong, in words that hold nothing of the request."""
    inner = getattr(error, "reason", None)
    cause = inner if isinstance(inner, OSError) else error
    return (cause.strerror if isinstance(cause, OSError) else None) or str(cause) or type(cause).__name__


def _retry_after(error: urllib.error.HTTPError) -> float | None:
    try:
        return max(0.0, float(error.headers["Retry-After"]))
    except (TypeError, ValueError):
        return None
