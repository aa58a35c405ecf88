"""MeshStrategy from Python and from a config: what cannot run is said before anything is started."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import lightning as L
import pytest
import torch
import yaml

from console import UserError
from inference.weights import load_model
from lightning_modules.stage_cli import run_stage
from lightning_modules.strategy import MeshStrategy
from parallel.mesh import MeshConfig
from parallel.sharding import ShardingConfig
from tests.datamodules.shard_sets import write_latents
from tests.lightning_modules.stand_in import StandIn
from tests.parallel.ranks import free_port

ROOT = Path(__file__).parents[2]

FROM_CONFIG = (
    "--trainer.strategy", "lightning_modules.strategy.MeshStrategy", "--trainer.accelerator", "cpu",
)  # fmt: skip


def test_a_mesh_that_does_not_multiply_is_refused_when_the_trainer_is_built():
    with pytest.raises(ValueError, match=r"dp_shard 3 x cp 1 x tp 1 needs 3 processes; there are 2"):
        L.Trainer(accelerator="cpu", devices=2, strategy=MeshStrategy(mesh=MeshConfig(dp_shard=3)))


def test_gradients_in_the_hosts_memory_are_added_up_by_gloo():
    for offload, name in ((False, "nccl"), (True, "cpu:gloo,cuda:nccl")):
        strategy = MeshStrategy(sharding=ShardingConfig(cpu_offload=offload))
        strategy.parallel_devices = [torch.device("cuda", 0)]
        assert strategy._get_process_group_backend() == name


def test_a_stage_knows_the_device_that_its_weights_are_on(monkeypatch):
    monkeypatch.setattr(MeshStrategy, "root_device", torch.device("cuda", 1))
    strategy, stage = MeshStrategy(), L.LightningModule()
    strategy.model = stage
    strategy.model_to_device()
    assert stage.device == torch.device("cuda", 1)


def test_a_config_names_the_strategy_and_its_mesh(config):
    options = (*FROM_CONFIG, "--trainer.devices", "4", "--trainer.strategy.mesh.cp", "3")
    with pytest.raises(UserError, match="cp 3 x tp 1 needs a multiple of 3 processes; there are 4"):
        run_stage(["fit", "-c", str(config), *options])
    assert not StandIn.made[-1].seen


def test_lightnings_own_fsdp_can_be_named_too(config):
    options = ("--trainer.strategy", "fsdp", "--trainer.accelerator", "cpu")
    with pytest.raises(UserError, match="strategy `fsdp` requires a GPU"):
        run_stage(["fit", "-c", str(config), *options])


def fit(folder: Path, mesh: dict[str, int], *options: str) -> subprocess.CompletedProcess[str]:
    """`lightning fit` on two processes, which Lightning starts, of the tiny text-to-video stage."""
    config = {
        "model": {"class_path": "tests.parallel.contracts.Spied"},
        "data": {
            "class_path": "datamodules.latents.LatentData",
            "init_args": {"latents": str(folder / "latents"), "batch_size": 2, "memory": True},
        },
        "trainer": {
            "accelerator": "cpu", "devices": 2, "val_check_interval": 100, "log_every_n_steps": 1,
            "gradient_clip_val": 1.0,
            "strategy": {
                "class_path": "lightning_modules.strategy.MeshStrategy",
                "init_args": {"mesh": mesh, "timeout": 60.0},
            },
        },
        "checkpoint": {"every": 2}, "samples": {"every": 0}, "mlflow": {"enabled": False},
    }  # fmt: skip
    file = folder / "stage.yaml"
    file.write_text(yaml.safe_dump(config))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MASTER_PORT": str(free_port())}
    return subprocess.run(
        [sys.executable, "-m", "lightning_modules.cli", "fit", "-c", str(file), *options],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip


def losses(run: Path) -> list[float]:
    """The training loss of each step."""
    with open(run / "metrics.csv", encoding="utf-8", newline="") as file:
        return [float(row["train/loss"]) for row in csv.DictReader(file) if row.get("train/loss")]


@pytest.mark.slow
def test_a_fit_goes_on_over_another_mesh_and_leaves_a_model_that_inference_opens(tmp_path):
    """With the losses of one that did not stop: samples and noise belong to data ranks, not to processes."""
    write_latents(tmp_path / "latents")
    context, tensor = {"cp": 2}, {"tp": 2}
    for run, mesh, steps in (("whole", context, 6), ("parts", context, 3), ("parts", tensor, 6)):
        done = fit(tmp_path, mesh, "--run_dir", run, "--trainer.max_steps", str(steps))
        assert done.returncode == 0, done.stderr
    assert "Going on from parts/checkpoints/step-0000003" in done.stderr
    assert done.stderr.count("Finished after step 6") == 1
    whole, parts = losses(tmp_path / "whole"), losses(tmp_path / "parts")
    assert len(whole) == 6
    assert parts == pytest.approx(whole, rel=1e-3)
    assert parts[:3] == whole[:3]
    for run in ("whole", "parts"):
        assert load_model(tmp_path / run / "model").facts["fps"] == 8.0


@pytest.mark.slow
def test_data_ranks_with_other_buckets_and_images_show_the_same_parts_of_the_loss(tmp_path):
    """Each process meets its own buckets: what they share has one shape, and nobody waits for another."""
    buckets, images = ("16x16x16", "32x16x16"), ("16x16x1",)
    write_latents(tmp_path / "latents", train=13, val=3, buckets=buckets)
    write_latents(tmp_path / "images", train=9, val=2, buckets=images)
    joint = ("--data.images.share", "0.25", "--data.images.latents", str(tmp_path / "images"))
    steps = (
        "--trainer.max_steps",
        "14",
        "--trainer.val_check_interval",
        "7",
        "--trainer.log_every_n_steps",
        "7",
    )
    done = fit(tmp_path, {"dp_shard": 2}, "--run_dir", "run", *joint, *steps)
    assert done.returncode == 0, done.stderr
    with open(tmp_path / "run/metrics.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    shown = {name for row in rows for name, value in row.items() if value}
    for split in ("train", "val"):
        parts = {f"{split}/loss_of_bucket/{name}" for name in (*buckets, *images)}
        assert parts <= shown
        assert any(f"{split}/loss_of_times/{part}_of_4" in shown for part in (1, 2, 3, 4))
    logged = [row for row in rows if row.get("throughput/mfu")]
    assert len(logged) == 2
    for row in logged:
        ratio = float(row["throughput/flops_per_second"]) / float(row["throughput/tokens_per_second"])
        assert ratio > 0
        assert 0 <= float(row["throughput/text_padding"]) < 1


@pytest.mark.slow
def test_a_fit_whose_heads_do_not_divide_says_so_once_for_each_process(tmp_path):
    write_latents(tmp_path / "latents")
    options = ("--trainer.strategy.sharding.context", "ulysses", "--trainer.devices", "4")
    done = fit(tmp_path, {"cp": 4}, "--run_dir", "run", "--trainer.max_steps", "2", *options)
    assert done.returncode == 2, done.stderr
    assert "2 heads do not divide over mesh.tp x mesh.cp" in done.stderr
    assert "Traceback" not in done.stderr
