"""What `input` names, as a list of files: a folder, a pattern, a file, a tar, a list of files, or any of them
at an address."""

import glob
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from console import UserError
from curation.listing import TAR_SUFFIX, VIDEO_SUFFIXES, Item, list_files, local_item, nothing_in, stamp
from curation.listing import list_videos as videos_of
from curation.sources.cache import INDEX
from curation.sources.handling import Handling
from curation.sources.lists import read_list
from curation.sources.names import INSIDE, LIST_SUFFIXES, is_pattern, is_remote, is_video, kind, on_disk
from curation.sources.remote import file_system, find_remote, mark_of, state_of
from curation.sources.tars import Index, Member, index, index_of, items_in
from storage import fingerprint, write_json


class Catalogue(NamedTuple):
    """The files of a run."""

    folder: Path
    "Where relative names start"
    items: tuple[Item, ...]
    "Sorted by name, each name once"
    marks: Mapping[str, str]
    "Versions of files elsewhere, where they are known"


def catalogue(text: str, handling: Handling, copies: Path) -> Catalogue:
    """The files that `text` names. Indexes of remote tars are kept in `copies`.

    Raises:
        UserError: there is nothing, or it cannot be read.
    """
    text = text.removeprefix("file://")
    finder = _Finder(handling, copies)
    folder, items = finder.remote(text) if is_remote(text) else finder.local(text)
    found = {item.source: item for item in reversed(list(items))}  # the first of a name counts
    if not found:
        raise UserError(nothing_in(text))
    return Catalogue(folder.absolute(), tuple(found[name] for name in sorted(found)), finder.marks)


def folder_of(text: str) -> Path | None:
    """The folder of this disk that holds what `text` names; None for an address."""
    text = text.removeprefix("file://")
    if is_remote(text):
        return None
    path = Path(text)
    if path.is_dir() or not (path.is_file() or is_pattern(text)):
        return path
    if path.is_file():
        return path.parent
    before = text[: min(text.index(sign) for sign in "*?[" if sign in text)]
    return Path(before or ".") if before.endswith("/") or not before else Path(before).parent


class _Finder:
    """Opens what holds names of files."""

    def __init__(self, handling: Handling, copies: Path):
        self.handling, self.copies = handling, copies
        self.marks: dict[str, str] = {}

    def local(self, text: str) -> tuple[Path, Iterator[Item]]:
        path = Path(text)
        if path.is_dir():
            return path, self._files(path, list_files(path, VIDEO_SUFFIXES | {TAR_SUFFIX}))
        if path.is_file():
            if kind(text) in LIST_SUFFIXES:
                return path.parent, self._listed(path.parent, None, text, path.read_bytes())
            return path.parent, self._files(path.parent, [path.name])
        if is_pattern(text):
            folder = folder_of(text) or Path(".")
            names = (Path(name) for name in glob.glob(text, recursive=True))
            kept = [p.relative_to(folder).as_posix() for p in names if p.is_file() and _holds(p.name)]
            return folder, self._files(folder, sorted(kept))
        videos_of(path)  # says what is wrong
        return path, iter(())

    def remote(self, text: str) -> tuple[Path, Iterator[Item]]:
        if kind(text) in LIST_SUFFIXES and not is_pattern(text):
            base = text.partition("?")[0].rpartition("/")[0]
            return Path("."), self._listed(Path("."), base, text, self._content(text))
        if _holds(text) and not is_pattern(text):
            return Path("."), self._address(text, None, {})
        states = find_remote(text, self.handling.fetch_seconds)
        self.marks = {name: mark_of(state) for name, state in states.items() if state is not None}
        return Path("."), (
            item for name in states if _holds(name) for item in self._address(name, states[name], states)
        )

    def _files(self, folder: Path, names: list[str]) -> Iterator[Item]:
        for name in names:
            yield from self._tar(folder, name) if kind(name) == TAR_SUFFIX else [local_item(folder, name)]

    def _tar(self, folder: Path, name: str) -> Iterator[Item]:
        path = on_disk(folder, name)
        state = stamp(path)
        try:
            found = index_of(path, tuple(state))
        except OSError as error:
            yield Item(name, state, fault=error.strerror)
            return
        yield from items_in(name, found, state)

    def _address(self, name: str, state: object, states: dict) -> Iterator[Item]:
        if kind(name) == TAR_SUFFIX:
            yield from items_in(name, self._remote_index(name, state), state)
            return
        stem = name.rpartition(".")[0]
        beside = next((f"{stem}{end}" for end in (".json", ".txt") if f"{stem}{end}" in states), None)
        yield Item(name, [state, states.get(beside)] if beside else state, beside)

    def _listed(self, folder: Path, base: str | None, name: str, content: bytes) -> Iterator[Item]:
        for number, (file, caption, listed, fault) in enumerate(read_list(name, content, kind(name)), 1):
            if file is None:
                yield Item(f"{Path(name).name}#{number}", fault=fault)
                continue
            file = file.removeprefix("file://")
            if base is not None and not is_remote(file):
                file = f"{base}/{file}"
            inside = kind(file) == TAR_SUFFIX and INSIDE not in file
            many = self._address(file, None, {}) if is_remote(file) else self._files(folder, [file])
            for item in many:
                beside = None if caption else item.beside
                yield item._replace(caption=caption, listed=listed, beside=item.beside if inside else beside)

    def _content(self, address: str) -> bytes:
        files, path = file_system(address, self.handling.fetch_seconds)
        try:
            return files.cat_file(path)
        except Exception as error:  # each file system has errors of its own
            raise UserError(f"{address} cannot be read: {type(error).__name__} {error}") from error

    def _remote_index(self, name: str, state: object) -> Index:
        """Headers of a tar elsewhere, read once; where the server allows it, without the members."""
        files, path = file_system(name, self.handling.fetch_seconds)
        try:
            state = state or state_of(files.info(path))
            kept = self.copies / f"{fingerprint([name, state])}{INDEX}"
            if state is not None and kept.exists():
                members, fault = json.loads(kept.read_text())
                return Index(tuple(Member(*member) for member in members), fault)
            found = _headers(files, path)
        except Exception as error:  # each file system has errors of its own
            return Index((), f"cannot be read: {type(error).__name__} {error}")
        if state is not None and found.fault is None:
            write_json(kept, found)
        return found


def _headers(files: Any, path: str) -> Index:
    try:
        with files.open(path, "rb") as file:
            return index(file)
    except ValueError:  # fsspec's word for a server without ranges
        with files.open(path, "rb") as file:
            return index(file, seeks=False)


def _holds(name: str) -> bool:
    """Whether a file of that name is a video or holds some."""
    return is_video(name) or kind(name) == TAR_SUFFIX
