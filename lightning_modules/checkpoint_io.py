"""Checkpoints that are whole or absent, read without running pickled code, compared where they do not fit."""

import errno
import os
import re
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io import TorchCheckpointIO
from typing_extensions import override

from console import UserError
from lightning_modules.sealed import read_checkpoint_folder
from lightning_modules.team import Team
from storage import atomic_path


class AtomicCheckpointIO(TorchCheckpointIO):
    """Reads a run's checkpoint folders and single files; writes the latter beside the target, then renames.

    Nothing that is read is run: tensors and plain values alone.
    """

    @override
    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        with atomic_path(path) as temporary:
            try:
                torch.save(checkpoint, temporary)
            except RuntimeError as error:  # torch hides why the file system refused
                raise _disk_error(error, temporary) from error

    @override
    def load_checkpoint(
        self, path: Any, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        return open_checkpoint(Path(path))


def open_checkpoint(path: Path) -> dict[str, Any]:
    """Lightning's checkpoint, whole, of a run's folder or of a single file; all processes ask together."""
    return read_checkpoint_folder(path, Team.of_all()) if path.is_dir() else read_checkpoint(path)


def read_checkpoint(path: Path, map_location: Any = "cpu") -> dict[str, Any]:
    """Tensors and plain values of a checkpoint; one that holds other objects or is cut is refused."""
    if not path.is_file():
        raise UserError(f"There is no checkpoint '{path}'. Give another --ckpt_path, or leave it out.")
    try:
        return torch.load(path, map_location=map_location, weights_only=True)
    except OSError:
        raise
    except Exception as error:  # pickle, zip and torch each raise their own kinds
        reason = " ".join(str(error).split())[:300]
        raise UserError(
            f"'{path}' is no checkpoint of ours or is damaged ({reason}). Give an older one with --ckpt_path."
        ) from error


def check_fits(path: Path, state: dict[str, Any], needed: dict[str, Any]) -> None:
    """Refuse tensors of a checkpoint that the configured model has no place for, by name and shapes."""
    faults = [
        f"'{name}' is {_shape(state[name])} there, {_shape(needed[name])} here"
        for name in needed
        if name in state and _shape(state[name]) != _shape(needed[name])
    ]
    faults += [f"'{name}' ({_shape(needed[name])}) is missing there" for name in needed if name not in state]
    faults += [f"'{name}' ({_shape(state[name])}) has no place here" for name in state if name not in needed]
    if faults:
        more = f"\n  and {len(faults) - 5} more" if len(faults) > 5 else ""
        raise UserError(
            f"The checkpoint '{path}' is not of this model:\n  " + "\n  ".join(faults[:5]) + f"{more}\n"
            "Take the config that it was trained with (its run's config.yaml), or another checkpoint."
        )


def _shape(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return "a value" if shape is None else "x".join(map(str, shape)) or "a scalar"


def _disk_error(error: RuntimeError, path: Path) -> Exception:
    """torch says "file write failed" for a full disk; ask the disk itself and say that."""
    if not re.search(r"write|writing|unexpected pos", str(error)):
        return error
    try:
        with open(path, "ab") as file:
            file.write(b"\0" * (1 << 20))
            file.flush()
            os.fsync(file.fileno())
    except OSError as refused:
        return OSError(refused.errno or errno.ENOSPC, refused.strerror, str(path))
    return error
