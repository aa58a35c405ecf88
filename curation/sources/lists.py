"""Lists of files: a row each in CSV, TSV, JSON Lines or Parquet, with the caption and whatever else is known.

The column with the file is the first of `FILE_COLUMNS` that there is, the one with the caption the first of
`CAPTION_COLUMNS`. All others are kept as JSON in the column `listed`.
"""

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from console import UserError

FILE_COLUMNS = (
    "source", "path", "file", "video", "url", "uri", "video_path", "video_url", "file_name", "filename",
    "contentUrl",
)  # fmt: skip
CAPTION_COLUMNS = ("caption", "text", "description")

Entry = tuple[str | None, str | None, str | None, str | None]
"Name of the file, caption, JSON of the rest, fault"


def read_list(name: str, content: bytes, suffix: str) -> Iterator[Entry]:
    """The rows of a list; one that cannot be read is an entry with its fault.

    Raises:
        UserError: the whole is not what its name says, or it has no column with files.
    """
    rows = _ROWS[suffix](name, content)
    checked = False
    for number, row in enumerate(rows, start=1):
        if isinstance(row, str):
            yield None, None, None, f"row {number} of the list: {row}"
            continue
        if not checked:
            _check(name, row)
            checked = True
        yield _entry(number, row)
    if not checked:
        raise UserError(f"{name} has no row that can be read.")


def _check(name: str, row: Mapping[str, Any]) -> None:
    if not any(column in row for column in FILE_COLUMNS):
        raise UserError(
            f"{name} has the columns {', '.join(map(str, row)) or 'none'}; one with files is needed: "
            f"{', '.join(FILE_COLUMNS)}."
        )


def _entry(number: int, row: Mapping[str, Any]) -> Entry:
    file = next((column for column in FILE_COLUMNS if column in row), None)
    words = next((column for column in CAPTION_COLUMNS if column in row), None)
    name = row.get(file) if file else None
    if not isinstance(name, str) or not name.strip():
        return None, None, None, f"row {number} of the list names no file"
    caption = row.get(words) if words else None
    rest = {str(key): _plain(value) for key, value in row.items() if key not in (file, words)}
    rest = {key: value for key, value in rest.items() if value not in (None, "")}
    listed = json.dumps(rest, ensure_ascii=False, sort_keys=True) if rest else None
    return name.strip(), " ".join(str(caption).split()) if caption else None, listed, None


def _plain(value: Any) -> Any:
    """A value as JSON; what has no such form is left out."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int | bool):
        return value
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    return None if isinstance(value, bytes) else str(value)


def _separated(separator: str):
    def read(name: str, content: bytes) -> Iterator[Mapping[str, Any] | str]:
        reader = csv.DictReader(io.StringIO(_text(name, content), newline=""), delimiter=separator)
        try:
            for row in reader:
                yield row if None not in row else "more fields than the first line has"
        except csv.Error as error:
            raise UserError(f"{name} is not CSV: line {reader.line_num}: {error}") from error

    return read


def _json_lines(name: str, content: bytes) -> Iterator[Mapping[str, Any] | str]:
    for line in _text(name, content).split("\n"):
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError as error:
                yield f"not JSON: {error}"
                continue
            yield row if isinstance(row, dict) else "not an object with keys"


def _parquet(name: str, content: bytes) -> Iterator[Mapping[str, Any] | str]:
    try:
        for batch in pq.ParquetFile(pa.BufferReader(content)).iter_batches():
            yield from batch.to_pylist()
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{name} is not Parquet: {error}") from error


def _text(name: str, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{name} is not UTF-8: {error}") from error


_ROWS = {
    ".csv": _separated(","),
    ".tsv": _separated("\t"),
    ".jsonl": _json_lines,
    ".parquet": _parquet,
}
