"""Tensors of a checkpoint in torch's distributed format: a file of each process and a directory of them.

The planner and the file format are torch's (torch.distributed.checkpoint); the processes agree through a
`Team`, which works in a thread beside the training, and the directory is read without running pickled code.
"""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributed.checkpoint import (
    DefaultLoadPlanner,
    DefaultSavePlanner,
    FileSystemReader,
    FileSystemWriter,
    Metadata,
)
from torch.distributed.checkpoint.metadata import StorageMeta, TensorStorageMetadata
from torch.distributed.tensor import DTensor
from typing_extensions import override

from console import UserError
from lightning_modules.team import Team

DIRECTORY = ".metadata"  # torch's name for the file that says what is where
KNOWN_MODULES = ("torch.distributed.checkpoint.metadata", "torch.distributed.checkpoint.filesystem")
KNOWN_NAMES = {("torch", "Size"), ("torch.serialization", "_get_layout"), ("pathlib", "PosixPath")}


def write_tensors(folder: Path, tensors: Mapping[str, Tensor], team: Team) -> None:
    """Write what `tensors` holds here; what they hold alike, plain tensors, is written by one of them."""
    planner = DefaultSavePlanner()
    writer = FileSystemWriter(folder, single_file_per_rank=True, thread_count=1, overwrite=True)
    leads = team.rank == 0

    def plan() -> Any:
        planner.set_up_planner(dict(tensors), is_coordinator=leads)
        writer.set_up_storage_writer(leads, rank=team.rank)
        return writer.prepare_local_plan(planner.create_local_plan())

    def merge() -> Any:
        merged, metadata = planner.create_global_plan(plans)
        return writer.prepare_global_plan(merged), metadata

    def write() -> Any:
        future = writer.write_data(planner.finish_plan(parts[team.rank]), planner)
        future.wait()
        return future.value()

    plans = team.all(plan)
    parts, metadata = team.first(merge)
    written = team.all(write)
    team.first(lambda: writer.finish(metadata, written))


def read_tensors(folder: Path, tensors: dict[str, Tensor]) -> None:
    """Fill `tensors` in place. A sharded one takes its part; no process waits for another."""
    planner, reader = DefaultLoadPlanner(), SafeReader(folder)
    metadata = reader.read_metadata()
    planner.set_up_planner(tensors, metadata, is_coordinator=True)  # pyright: ignore[reportArgumentType]
    reader.set_up_storage_reader(metadata, True)
    plan = reader.prepare_local_plan(planner.create_local_plan())
    plan = reader.prepare_global_plan(planner.create_global_plan([plan]))[0]
    reader.read_data(planner.finish_plan(plan), planner).wait()


def empty_tensors(folder: Path, device: str = "cpu") -> dict[str, Tensor]:
    """Whole tensors of all that the folder holds, with names, shapes and types, to be filled."""
    entries = SafeReader(folder).read_metadata().state_dict_metadata
    return {
        name: torch.empty(entry.size, dtype=entry.properties.dtype, device=device)
        for name, entry in entries.items()
        if isinstance(entry, TensorStorageMetadata)
    }


def is_sharded(tensors: Mapping[str, Tensor]) -> bool:
    """Whether this process has a part only of some of them."""
    return any(isinstance(tensor, DTensor) for tensor in tensors.values())


class SafeReader(FileSystemReader):
    """Reads the directory as data: it may name the classes of torch's format and nothing else."""

    @override
    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        path = Path(self.path) / DIRECTORY
        try:
            with open(path, "rb") as file:
                metadata = _Directory(file).load()
        except OSError:
            raise
        except Exception as error:  # pickle raises whatever the bytes make it raise
            raise UserError(f"'{path}' is no directory of a checkpoint or is damaged ({error}).") from error
        if getattr(metadata, "storage_meta", None) is None:
            metadata.storage_meta = StorageMeta()
        metadata.storage_meta.load_id = self.load_id
        return metadata


class _Directory(pickle.Unpickler):
    @override
    def find_class(self, module_name: str, global_name: str) -> Any:
        dtype = module_name == "torch" and isinstance(getattr(torch, global_name, None), torch.dtype)
        ours = module_name in KNOWN_MODULES and "." not in global_name
        if dtype or (module_name, global_name) in KNOWN_NAMES or ours:
            found = super().find_class(module_name, global_name)
            if not ours or (isinstance(found, type) and found.__module__ == module_name):
                return found
        raise pickle.UnpicklingError(f"it names {module_name}.{global_name}")
