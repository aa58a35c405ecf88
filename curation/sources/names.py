"""Names of files: `a/b.mp4`, `/abs/b.mp4`, `s3://bucket/b.mp4`, and `TAR::MEMBER` inside a tar."""

import re
from pathlib import Path, PurePosixPath

from curation.listing import TAR_SUFFIX, VIDEO_SUFFIXES

INSIDE = "::"
LIST_SUFFIXES = frozenset({".csv", ".tsv", ".jsonl", ".parquet"})
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_BYTE = re.compile(r"\\x([0-9a-f]{2})")


def is_remote(name: str) -> bool:
    """Whether a name is the address of a file elsewhere; file:// is not."""
    return bool(_ADDRESS.match(name)) and not name.startswith("file://")


def is_pattern(name: str) -> bool:
    """Whether a name stands for several; in web addresses a question mark does not."""
    return any(sign in name for sign in ("*[" if name.startswith("http") else "*?["))


def parts(source: str) -> tuple[str, str | None]:
    """The file and the member inside it."""
    outer, sign, member = source.partition(INSIDE)
    return (outer, member) if sign and kind(outer) == TAR_SUFFIX else (source, None)


def kind(name: str) -> str:
    """The suffix of a name, in lower case; an address may have a query behind it."""
    return PurePosixPath(name.partition("?")[0] if is_remote(name) else name).suffix.lower()


def is_video(name: str) -> bool:
    """Whether the name ends like that of a video."""
    return kind(name) in VIDEO_SUFFIXES


def on_disk(folder: Path, name: str) -> Path:
    r"""The path of a local name; one that had bytes that are no text is found again by its \xNN."""
    path = folder / name
    if "\\x" in name and not path.exists():
        raw = _BYTE.sub(lambda found: bytes([int(found[1], 16)]).decode("utf-8", "surrogateescape"), name)
        return folder / raw
    return path
