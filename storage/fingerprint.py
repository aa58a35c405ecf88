"""Names made from content: the same settings or bytes give the same name on every machine."""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

DIGITS = 16  # 64 bits: a collision among a million names has a chance of 3e-8


def fingerprint(value: Any) -> str:
    """`DIGITS` hexadecimal digits that depend on `value` alone: JSON types, paths, sets, dataclasses."""
    text = json.dumps(plain(value), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


def plain(value: Any) -> Any:
    """`value` as JSON types, as they come back from a file."""
    return json.loads(json.dumps(value, default=_plain, allow_nan=False))


def hash_file(path: Path | str) -> str:
    """SHA-256 of the bytes of a file, as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return {"class": type(value).__qualname__, **fields}
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"cannot fingerprint a {type(value).__name__}")
