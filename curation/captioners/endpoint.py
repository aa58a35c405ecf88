"""Settings of a captioner behind an OpenAI-compatible chat endpoint (vLLM, SGLang, hosted services), and
whose share a clip is (70 % and 30 % of two models in the paper, Sec. 3.2.1)."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any
from urllib.parse import urlsplit

from console import UserError
from curation.captioners.prompts import read_prompt
from curation.stage import resource

POSITIVE = ("weight", "frames", "size", "max_tokens", "timeout", "attempts", "give_up", "top_p")
NOT_NEGATIVE = ("temperature", "requests_per_minute", "backoff", "price_in", "price_out")


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One captioner."""

    name: str
    "What the column `captioner` calls it"
    model: str
    "Model, as the server knows it"
    url: str = field(metadata={"resource": True})
    "Base of the API, as http://localhost:8000/v1; without a key"
    weight: float = 1.0
    "Share of the clips, beside the weights of the others"
    prompt: str = "video"
    "Template: a name in configs/curation/prompts, or a path"
    frames: int = 8
    "Frames shown, spread evenly"
    size: int = 512
    "Pixels of the longer side of a frame, at most"
    temperature: float = 0.2
    "Of sampling; 0 takes the likeliest word"
    top_p: float = 1.0
    "Part of the probability that is sampled from"
    max_tokens: int = 400
    "Longest answer; what is cut off there is no caption"
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
    price_in: float = resource(0.0)
    "Of a million prompt tokens, in any currency"
    price_out: float = resource(0.0)
    "Of a million tokens of answers"

    def __post_init__(self):
        _check_url(self.url, self.name)
        for key in POSITIVE:
            if not getattr(self, key) > 0:
                raise UserError(f"caption, {self.name}: {key} must be above 0; {getattr(self, key)} came.")
        for key in NOT_NEGATIVE:
            if not getattr(self, key) >= 0:
                raise UserError(f"caption, {self.name}: {key} is {getattr(self, key)}; least is 0.")
        read_prompt(self.prompt)

    def answers_to(self) -> dict[str, Any]:
        """What an answer depends on: not where the server is, nor what others share the work."""
        kept = {f.name: getattr(self, f.name) for f in fields(self) if not f.metadata.get("resource")}
        return {**kept, "prompt": read_prompt(self.prompt), "name": None, "weight": None}

    def identity(self) -> dict[str, Any]:
        """What the captions of a run depend on."""
        return {**self.answers_to(), "name": self.name, "weight": self.weight}

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


def share(clip_id: str, endpoints: Sequence[Endpoint]) -> Endpoint:
    """Whose clip it is: by its id alone, so that every run and every worker says the same. When weights
    change, only clips between the old and the new boundaries change hands."""
    digest = hashlib.sha256(f"captioner {clip_id}".encode()).digest()
    left = int.from_bytes(digest[:8]) / 2**64 * sum(one.weight for one in endpoints)
    for endpoint in endpoints:
        left -= endpoint.weight
        if left < 0:
            return endpoint
    return endpoints[-1]


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
