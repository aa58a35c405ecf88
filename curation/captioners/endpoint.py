"""Settings of a captioner behind an OpenAI-compatible chat endpoint (vLLM, SGLang, hosted services)."""

import os
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from console import UserError
from curation.captioners.writer import Writer
from curation.stage import resource

POSITIVE = ("timeout", "attempts", "give_up", "top_p")
NOT_NEGATIVE = ("temperature", "requests_per_minute", "backoff")


@dataclass(frozen=True, kw_only=True)
class Endpoint(Writer):
    """One captioner at one address."""

    url: str = field(metadata={"resource": True})
    "Base of the API, as http://localhost:8000/v1; without a key"
    temperature: float = 0.2
    "Of sampling; 0 takes the likeliest word"
    top_p: float = 1.0
    "Part of the probability that is sampled from"
    seed: int = 0
    "Of sampling, for servers that take one; each further attempt adds one"
    key_variable: str = resource("")
    "Environment variable that holds the API key; empty where the server wants none"
    timeout: float = resource(60.0)
    "Seconds until an attempt is given up"
    attempts: int = resource(4)
    "Requests for one clip, at most"
    backoff: float = resource(1.0)
    "Seconds before the second attempt, twice as many before each further one; Retry-After goes first"
    requests_per_minute: float = resource(0.0)
    "Limit over all workers of a machine; 0 for none"
    give_up: int = resource(3)
    "Clips one after the other without an answer after which the run stops"

    def __post_init__(self):
        super().__post_init__()
        _check_url(self.url, self.name)
        self.check(POSITIVE, NOT_NEGATIVE)

    def longest(self, workers: int) -> float:
        """Seconds that one clip may take with every attempt slow and every wait as long as it gets."""
        turn = 60.0 * workers / self.requests_per_minute if self.requests_per_minute else 0.0
        return self.attempts * (2 * self.timeout + turn)

    def key(self) -> str | None:
        """The API key. A UserError says what is wrong with it and never shows it."""
        if not self.key_variable:
            return None
        value = os.environ.get(self.key_variable, "").strip()
        if not value or not value.isascii() or not value.isprintable():
            state = "is not a key: it has letters that no key has" if value else "is not set"
            raise UserError(f"caption, {self.name}: the environment variable {self.key_variable} {state}.")
        return value


def _check_url(url: str, name: str) -> None:
    """The URL goes into messages: it must not hold a secret, and is not shown where it may."""
    try:
        parts = urlsplit(url)
        bad = parts.scheme not in ("http", "https") or not parts.hostname
        secret = bool(parts.username or parts.password or parts.query or parts.fragment)
    except ValueError:
        bad, secret = True, False
    if bad or secret:
        raise UserError(
            f"caption, {name}: url must be as http://HOST:PORT/v1, without user, password or query. "
            "A key goes into an environment variable that key_variable names."
        )
