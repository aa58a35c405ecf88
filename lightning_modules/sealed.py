"""A run's checkpoint: a folder of shards that is taken only with a whole, matching seal.

step-0000500/
|-- __0_0.distcp ...    tensors, a file of each process        (lightning_modules/shards.py)
|-- .metadata           which tensor lies where
|-- rank-00000.pt ...   plain values and random states of each process, tensors and numbers alone
|-- model/              what inference opens, where one process holds all of it
`-- seal.json           written last: sizes and SHA-256 of all of these, the step, how many processes wrote it
"""

import shutil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from console import UserError
from inference.weights import save_tensors
from lightning_modules.shards import DIRECTORY, empty_tensors, is_sharded, read_tensors, write_tensors
from lightning_modules.snapshot import MODEL, Snapshot, put_together
from lightning_modules.team import Team
from storage import damaged, file_seals, read_seal, seal

MODEL_FOLDER = "model"


class DamagedCheckpointError(UserError):
    """A checkpoint whose bytes are not those that were sealed."""

    def __init__(self, path: Path, files: list[str]) -> None:
        self.path = path
        self.files = ", ".join(files[:5])
        super().__init__(
            f"The checkpoint '{path}' is damaged: {self.files}. Give an older one with --ckpt_path."
        )


def write_checkpoint(folder: Path, snapshot: Snapshot, team: Team, step: int) -> None:
    """Write what this process has, and seal the folder when all are done. An older one there is replaced."""
    team.first(lambda: _cleared(folder))
    write_tensors(folder, snapshot.tensors, team)

    def own() -> dict[str, Any]:
        torch.save(snapshot.plain, folder / _plain_name(team.rank))
        names = [path.name for path in folder.glob(f"__{team.rank}_*.distcp")]
        names.append(_plain_name(team.rank))
        if team.rank == 0:
            names += [DIRECTORY, *_export(folder, snapshot)]
        return file_seals(folder, names)

    seals = {name: entry for part in team.all(own) for name, entry in part.items()}
    team.first(lambda: seal(folder, seals, step=step, processes=team.size))


def read_checkpoint_folder(folder: Path, team: Team) -> dict[str, Any]:
    """Lightning's checkpoint with whole tensors, after every byte of the folder was held against its seal."""
    verify(folder, team)
    tensors = empty_tensors(folder)
    read_tensors(folder, tensors)
    return put_together(Snapshot(tensors, read_plain(folder, team.rank)))


def verify(folder: Path, team: Team) -> None:
    """Compare all files with the seal, each process some of them.

    Raises:
        DamagedCheckpointError: in every process, where one file differs.
        UserError: there is no sealed checkpoint.
    """
    if not folder.is_dir():
        raise UserError(f"There is no checkpoint '{folder}'. Give another --ckpt_path, or leave it out.")
    if read_seal(folder) is None:
        raise UserError(
            f"'{folder}' was not finished: it has no seal.json, which is written last. Give an older "
            "checkpoint with --ckpt_path, or leave it out: the newest whole one is taken then."
        )
    found = team.all(lambda: damaged(folder, team.rank, team.size))
    files = sorted(name for part in found for name in part)
    if files:
        raise DamagedCheckpointError(folder, files)


def read_plain(folder: Path, rank: int) -> dict[str, Any]:
    """Plain values of process `rank`; those of the first where a run of fewer processes has written it."""
    processes = (read_seal(folder) or {})["processes"]
    path = folder / _plain_name(rank if rank < processes else 0)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # pickle, zip and torch each raise their own kinds
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"'{path}' is no part of a checkpoint of ours ({reason}).") from error


def remove_checkpoint(folder: Path) -> None:
    """Remove a checkpoint, its seal first: what a kill leaves of it is not taken for one."""
    (folder / "seal.json").unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def _cleared(folder: Path) -> None:
    remove_checkpoint(folder)
    folder.mkdir(parents=True, exist_ok=True)


def _export(folder: Path, snapshot: Snapshot) -> list[str]:
    """Write the model folder of this step; names of its files. Of sharded weights `consolidate` makes one."""
    export = snapshot.plain.get("export")
    if export is None or is_sharded(snapshot.tensors):
        return []
    save_tensors(folder / MODEL_FOLDER, exported(snapshot), export["description"])
    return [f"{MODEL_FOLDER}/{path.name}" for path in (folder / MODEL_FOLDER).iterdir()]


def exported(snapshot: Snapshot) -> dict[str, Tensor]:
    """The weights that inference opens, by their names in the exported model."""
    prefix = snapshot.plain["export"]["prefix"]
    named = {f"{MODEL}/{name}": value for name, value in snapshot.plain["model_values"].items()}
    start = f"{MODEL}/{prefix}"
    return {
        name.removeprefix(start): value
        for name, value in {**snapshot.tensors, **named}.items()
        if name.startswith(start)
    }


def _plain_name(rank: int) -> str:
    return f"rank-{rank:05d}.pt"
