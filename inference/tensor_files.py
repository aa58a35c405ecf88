"""A model's tensors as one safetensors file, or as several with the index of the Hugging Face hub."""

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from console import UserError
from storage import hash_file, write_json

STEM = "model"  # model.safetensors; model-00001-of-00002.safetensors and model.safetensors.index.json


def write_tensors(
    folder: Path, tensors: Mapping[str, Tensor], shard_bytes: int | None = None, stem: str = STEM
) -> list[Path]:
    """Write `tensors` to `folder`, in files of at most `shard_bytes` (a larger tensor has a file of its own).

    Returns the files of tensors; where there are several, an index beside them says which holds what.
    """
    parts = _parts(tensors, shard_bytes)
    if len(parts) == 1:
        names = [f"{stem}.safetensors"]
    else:
        names = [f"{stem}-{part:05d}-of-{len(parts):05d}.safetensors" for part in range(1, len(parts) + 1)]
    for name, keys in zip(names, parts, strict=True):
        save_file({key: tensors[key].cpu().clone().contiguous() for key in keys}, folder / name)
    if len(parts) > 1:
        weight_map = {key: name for name, keys in zip(names, parts, strict=True) for key in keys}
        size = sum(_bytes(tensor) for tensor in tensors.values())
        write_json(folder / _index(stem), {"metadata": {"total_size": size}, "weight_map": weight_map})
    return [folder / name for name in names]


def tensor_files(folder: Path, stem: str = STEM) -> list[Path]:
    """The files that hold the tensors, none where there is none; a faulty index is a UserError."""
    whole, index = folder / f"{stem}.safetensors", folder / _index(stem)
    if whole.is_file():
        return [whole]
    if not index.is_file():
        return []
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{index} is not an index of tensors ({error!r}). Copy the folder again.") from error
    outside = [name for name in names if not isinstance(name, str) or Path(name).name != name]
    if outside:
        raise UserError(f"{index} names '{outside[0]}', which is no file beside it.")
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise UserError(
            f"{index} names {len(names)} files; {', '.join(missing[:3])} is missing. Copy the folder again."
        )
    return [folder / name for name in names]


def read_tensors(folder: Path, stem: str = STEM) -> dict[str, Tensor]:
    """All tensors of the folder, on the CPU."""
    return dict(each_tensor(folder, stem))


def each_tensor(
    folder: Path, stem: str = STEM, only: Collection[str] | None = None
) -> Iterator[tuple[str, Tensor]]:
    """Names and tensors of the folder, or of `only`, on the CPU; each is read when its turn comes."""
    return _each(folder, stem, lambda file, key: file.get_tensor(key), only)


def empty_tensors(folder: Path, stem: str = STEM) -> dict[str, Tensor]:
    """Names and shapes of all tensors of the folder, on the meta device; none is read."""
    return dict(
        _each(folder, stem, lambda file, key: torch.empty(file.get_slice(key).get_shape(), device="meta"))
    )


def _each(
    folder: Path, stem: str, read: Callable[[Any, str], Tensor], only: Collection[str] | None = None
) -> Iterator[tuple[str, Tensor]]:
    """What `read` makes of each name in the opened files of a folder, while they are open."""
    for path in tensor_files(folder, stem):
        try:
            with safe_open(path, framework="pt", device="cpu") as file:
                for key in file.keys():  # noqa: SIM118, safe_open is no dict and is not iterated
                    if only is None or key in only:
                        yield key, read(file, key)
        except SafetensorError as error:
            raise UserError(f"{path} cannot be read ({error}). Copy the folder again.") from error


def hash_tensors(folder: Path, stem: str = STEM) -> str:
    """SHA-256 of the file; of several, of the list of theirs. Other sizes of the files give another."""
    hashes = [hash_file(path) for path in tensor_files(folder, stem)]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256(" ".join(hashes).encode()).hexdigest()


def _index(stem: str) -> str:
    return f"{stem}.safetensors.index.json"


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _parts(tensors: Mapping[str, Tensor], shard_bytes: int | None) -> list[list[str]]:
    if shard_bytes is None:
        return [list(tensors)]
    parts: list[list[str]] = [[]]
    room = shard_bytes
    for key, tensor in tensors.items():
        if parts[-1] and _bytes(tensor) > room:
            parts.append([])
            room = shard_bytes
        parts[-1].append(key)
        room -= _bytes(tensor)
    return parts
