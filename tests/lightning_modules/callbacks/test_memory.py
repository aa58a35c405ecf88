"""A fit that cannot fit is refused before its first step, in the config's own words."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from console import UserError
from datamodules.latents import LatentData
from lightning_modules.callbacks.memory import MemoryGuard, planned_stage
from lightning_modules.cli import run
from lightning_modules.optimization import OptimizerConfig
from lightning_modules.t2v import T2VModule
from models.transformer import TransformerConfig
from models.transformer.execution import Execution
from tests.datamodules.shard_sets import write_latents
from tests.lightning_modules.conftest import write_config

SHAPE = TransformerConfig(
    width=64, layers=3, heads=2, feed_forward=128, latent_channels=3, grid=(2, 2, 2), text_widths=(5,)
)


@pytest.fixture
def latents(tmp_path: Path) -> Path:
    return write_latents(tmp_path / "latents")


def fit(latents: Path, **batches) -> SimpleNamespace:
    """A trainer on one processor as the guard sees it."""
    return SimpleNamespace(
        strategy=SimpleNamespace(root_device=torch.device("cpu")),
        datamodule=LatentData(str(latents), **{"batch_size": 4, **batches}),
        world_size=1, precision="32-true", accumulate_grad_batches=1,
    )  # fmt: skip


def test_a_limit_below_the_prediction_refuses_and_one_above_does_not(latents: Path) -> None:
    module = T2VModule(SHAPE, OptimizerConfig())
    MemoryGuard(limit=1.0).setup(fit(latents), module, "fit")
    MemoryGuard(limit=0.001).setup(fit(latents), module, "validate")
    with pytest.raises(UserError, match=r"(?s)needs .* GB on each of 1 devices.*--memory\.limit 0"):
        MemoryGuard(limit=0.001).setup(fit(latents), module, "fit")


@pytest.mark.parametrize("limit", [None, 0.0])
def test_without_a_gpu_or_with_zero_nothing_is_refused(latents: Path, limit: float | None) -> None:
    MemoryGuard(limit).setup(fit(latents, batch_size=10**6), T2VModule(SHAPE, OptimizerConfig()), "fit")


def test_it_plans_what_the_stage_trains(latents: Path) -> None:
    module = T2VModule(SHAPE, OptimizerConfig(), ema=0.9, execution=Execution(checkpointing="full"))
    stage = planned_stage(fit(latents, batch_size={"32x32x16": 7}, max_tokens=9), module)
    assert stage is not None
    assert stage.model.count == sum(each.numel() for each in module.transformer.parameters())
    assert stage.model.average
    assert (stage.layout.checkpointing, stage.layout.sharded, stage.layout.bytes_compute) == (
        "full",
        False,
        4,
    )
    assert [(batch.samples, batch.tokens, batch.text) for batch in stage.batches] == [(7, 2 * 4, (9,))]


def test_it_plans_the_length_of_each_encoder(latents: Path) -> None:
    module = T2VModule(replace(SHAPE, text_widths=(5, 7)), OptimizerConfig())
    stage = planned_stage(fit(latents, max_tokens=[9, 3]), module)
    assert stage is not None
    assert [batch.text for batch in stage.batches] == [(9, 3)]
    with pytest.raises(UserError, match="2 text encoders read"):
        planned_stage(fit(latents, max_tokens=[9]), module)


def test_lightning_fit_refuses_and_names_what_would_fit(
    latents: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    transformer = {
        "width": 512, "layers": 8, "heads": 4, "feed_forward": 1536, "latent_channels": 3, "text_widths": [5],
        "grid": [2, 2, 2],
    }  # fmt: skip
    config = write_config(tmp_path / "stage.yaml", {
        "run_dir": "runs/large",
        "model": {
            "class_path": "lightning_modules.t2v.T2VModule",
            "init_args": {"transformer": transformer, "optimizer": {}},
        },
        "data": {
            "class_path": "datamodules.latents.LatentData",
            "init_args": {"latents": str(latents), "batch_size": 1000, "memory": True},
        },
        "trainer": {"max_steps": 2, "accelerator": "cpu", "devices": 1},
        "mlflow": {"enabled": False},
    })  # fmt: skip
    with pytest.raises(UserError) as refused:
        run(["fit", "-c", str(config), "--memory.limit", "8"])
    message = str(refused.value)
    assert "there are 8.0" in message
    assert "  3. " in message
    assert "checkpointing" in message
    assert not list((tmp_path / "runs").rglob("*.ckpt"))


def test_a_negative_limit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"memory\.limit"):
        MemoryGuard(limit=-1.0)
