"""Files inside tars: WebDataset shards of videos, where `a.mp4`, `a.json` and `a.txt` are one sample."""

import tarfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple

from curation.listing import SIDECAR_SUFFIXES, Item
from curation.sources.names import INSIDE, is_video


class Member(NamedTuple):
    """Where the bytes of a member lie in its tar."""

    name: str
    offset: int
    size: int


class Index(NamedTuple):
    """The members of a tar, and why there are no more where it is damaged."""

    members: tuple[Member, ...]
    fault: str | None


def index(file: BinaryIO, *, seeks: bool = True) -> Index:
    """Read the headers of a tar; the first of members with one name counts. Of a file that does not seek all
    is read."""
    found: dict[str, Member] = {}
    fault = None
    try:
        with tarfile.open(fileobj=file, mode="r:" if seeks else "r|") as tar:
            for member in tar:
                if member.isreg():
                    found.setdefault(member.name, Member(member.name, member.offset_data, member.size))
    except (tarfile.TarError, EOFError) as error:
        fault = f"not a readable tar: {error}"
    return Index(tuple(found.values()), fault)


@lru_cache(maxsize=64)
def index_of(path: Path, state: tuple[int, ...]) -> Index:
    """The same of a file on this disk; a changed tar has another `state`."""
    with open(path, "rb") as file:
        return index(file)


def extract(path: Path, state: tuple[int, ...], name: str, target: Path) -> None:
    """Copy one member to `target`.

    Raises:
        ValueError: it is not in the tar, or the tar ends within it.
    """
    member = next((one for one in index_of(path, state).members if one.name == name), None)
    if member is None:
        raise ValueError("the tar has no such member")
    with open(path, "rb") as source, open(target, "wb") as sink:
        source.seek(member.offset)
        left = member.size
        while left and (piece := source.read(min(left, 2**22))):
            sink.write(piece)
            left -= len(piece)
    if left:
        raise ValueError("the tar ends within this member")


def items_in(tar: str, found: Index, state: object) -> Iterator[Item]:
    """The videos of a tar, each with the file of its captions; a damaged or empty tar is an item with its
    fault."""
    names = {member.name for member in found.members}
    videos = sorted(name for name in names if is_video(name))
    for name in videos:
        stem = _key(name)
        ends = reversed(SIDECAR_SUFFIXES)  # text first: JSON in a shard is often about other things
        beside = next((f"{stem}{suffix}" for suffix in ends if f"{stem}{suffix}" in names), None)
        kept = None if beside is None else f"{tar}{INSIDE}{beside}"
        yield Item(f"{tar}{INSIDE}{name}", state, kept)
    if found.fault or not videos:
        yield Item(tar, state, fault=found.fault or "a tar without a video")


def _key(name: str) -> str:
    """What the files of a sample share: all before the first dot of the file name."""
    path = PurePosixPath(name)
    return str(path.with_name(path.name.partition(".")[0]))
