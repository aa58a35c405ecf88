"""A checkpoint of any mesh goes on on any other, and on the same one as if there had been no stop."""

from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch

from inference.tensor_files import read_tensors
from lightning_modules.callbacks.checkpoint import RunCheckpoint
from lightning_modules.callbacks.export import ExportModel
from lightning_modules.consolidate import consolidate
from lightning_modules.run_folder import RunFolder
from lightning_modules.shards import empty_tensors
from lightning_modules.strategy import MeshStrategy
from parallel.mesh import MeshConfig
from storage import read_seal
from tests.parallel.ranks import run_ranks
from tests.parallel.stage import CLIP, STEPS, Batches, Case, Recorded, train_alone

STOP = 3
pytestmark = pytest.mark.timeout(1800)  # it waits for processes, which share two cores
MESHES = {
    "fsdp": MeshConfig(dp_shard=2),
    "tp": MeshConfig(tp=2),
    "cp": MeshConfig(cp=2),
    "ddp": MeshConfig(dp_replicate=2),
}
ALONE = MeshConfig(dp_replicate=1)


class Counted(Batches):
    """Knows where it is."""

    at = 0

    def __iter__(self):
        for batch in self.batches[self.at :]:
            self.at += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        return {"at": self.at}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.at = state["at"]


class Resumed(Recorded):
    """A recorded stage that can begin in the middle and exports its average."""

    def exported_model(self) -> torch.nn.Module:
        assert self.average is not None
        return self.average.module

    def facts(self) -> dict[str, Any]:
        return {"step": self.global_step}

    def train_dataloader(self) -> Counted:
        return Counted(super().train_dataloader().batches)


def fit(folder: str, mesh: MeshConfig, world: int, steps: int, start: str | None = None) -> dict[str, Any]:
    """Weights, averages and losses of a fit that saves every step."""
    stage = Resumed(Case(mesh=mesh))
    trainer = L.Trainer(
        accelerator="cpu", devices=world, strategy=MeshStrategy(mesh=mesh, timeout=60), logger=False,
        enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False,
        callbacks=[ExportModel(), RunCheckpoint(every=1, keep=9)], default_root_dir=folder, max_steps=steps,
        gradient_clip_val=CLIP,
    )  # fmt: skip
    trainer.fit(stage, ckpt_path=start)
    return {"weights": stage.record.weights, "average": stage.record.average, "losses": stage.record.losses}


def on_rank(rank: int, folder: str, world: int, starts: dict[str, str]) -> dict[str, Any]:
    """Every mesh of `world` processes: a whole fit, and one from each of `starts` (mesh to checkpoint)."""
    import warnings

    warnings.filterwarnings("ignore", module="lightning")
    found: dict[str, Any] = {}
    meshes = MESHES if world > 1 else {"alone": ALONE}
    for name, mesh in meshes.items():
        found[name] = fit(f"{folder}/{name}", mesh, world, STEPS)
        mine = str(RunFolder(f"{folder}/{name}").checkpoint(STOP))
        for origin, start in {name: mine, **starts}.items():
            path = f"{folder}/{name}-from-{origin}"
            found[f"{name} from {origin}"] = fit(path, mesh, world, STEPS, start)
    return found


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("sharded")
    (alone,) = run_ranks(1, on_rank, str(folder), 1, {}, timeout=900)
    two = run_ranks(
        2, on_rank, str(folder), 2, {"alone": str(RunFolder(folder / "alone").checkpoint(STOP))}, timeout=900
    )
    starts = {name: str(RunFolder(folder / name).checkpoint(STOP)) for name in MESHES}
    (back,) = run_ranks(1, on_rank, str(folder / "back"), 1, starts, timeout=900)
    return folder, {**alone, **two[0], **{k: v for k, v in back.items() if k not in alone}}


def close(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    return max(float((one[name] - other[name]).abs().max() / other[name].abs().max()) for name in other)


@pytest.mark.slow
def test_a_run_goes_on_bit_for_bit_on_its_own_mesh(results):
    _, found = results
    for name in (*MESHES, "alone"):
        whole, again = found[name], found[f"{name} from {name}"]
        assert again["losses"] == whole["losses"][STOP:], name
        for kind in ("weights", "average"):
            assert all(torch.equal(again[kind][key], value) for key, value in whole[kind].items()), name


@pytest.mark.slow
def test_a_run_goes_on_on_another_mesh_as_one_process_would(results):
    _, found = results
    alone = train_alone(Case(mesh=ALONE))
    pairs = [f"{name} from alone" for name in MESHES] + [f"alone from {name}" for name in MESHES]
    for pair in pairs:
        assert close(found[pair]["weights"], alone.weights) < 1e-9, pair
        assert close(found[pair]["average"], alone.average) < 1e-9, pair


@pytest.mark.slow
def test_sharded_weights_lie_in_a_file_of_each_process_and_whole_ones_once(results):
    folder, _ = results
    for name in MESHES:
        saved = RunFolder(folder / name).checkpoint(STOP)
        content = read_seal(saved) or {}
        assert content["processes"] == 2
        files = {file: entry["bytes"] for file, entry in content["files"].items()}
        assert {"__0_0.distcp", "__1_0.distcp", "rank-00000.pt", "rank-00001.pt"} <= set(files)
        numbers = sum(tensor.numel() * tensor.element_size() for tensor in empty_tensors(saved).values())
        stored = sum(size for file, size in files.items() if file.endswith(".distcp"))
        entries = 4 * len(empty_tensors(saved))
        assert numbers < stored < numbers + 4096 * entries


@pytest.mark.slow
def test_one_process_makes_a_model_folder_of_the_shards(results, tmp_path):
    folder, found = results
    for name in MESHES:
        saved = RunFolder(folder / name).checkpoint(STEPS)
        consolidate(saved, tmp_path / name, shard_bytes=20_000)
        tensors = read_tensors(tmp_path / name)
        assert len(list((tmp_path / name).glob("*.safetensors"))) > 1
        for key, value in found[name]["average"].items():
            assert torch.equal(tensors[key], value), (name, key)
