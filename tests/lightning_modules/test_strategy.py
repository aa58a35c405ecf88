"""MeshStrategy from Python and from a config: what cannot run is said before anything is started."""

import lightning as L
import pytest

from console import UserError
from lightning_modules.stage_cli import run_stage
from lightning_modules.strategy import MeshStrategy
from parallel.mesh import MeshConfig
from tests.lightning_modules.stand_in import StandIn

FROM_CONFIG = (
    "--trainer.strategy", "lightning_modules.strategy.MeshStrategy", "--trainer.accelerator", "cpu",
)  # fmt: skip


def test_a_mesh_that_does_not_multiply_is_refused_when_the_trainer_is_built():
    with pytest.raises(ValueError, match=r"dp_shard 3 x cp 1 x tp 1 needs 3 processes; there are 2"):
        L.Trainer(accelerator="cpu", devices=2, strategy=MeshStrategy(mesh=MeshConfig(dp_shard=3)))


def test_a_config_names_the_strategy_and_its_mesh(config):
    options = (*FROM_CONFIG, "--trainer.devices", "4", "--trainer.strategy.mesh.cp", "3")
    with pytest.raises(UserError, match="cp 3 x tp 1 needs a multiple of 3 processes; there are 4"):
        run_stage(["fit", "-c", str(config), *options])
    assert not StandIn.made[-1].seen


def test_lightnings_own_fsdp_can_be_named_too(config):
    options = ("--trainer.strategy", "fsdp", "--trainer.accelerator", "cpu")
    with pytest.raises(UserError, match="strategy `fsdp` requires a GPU"):
        run_stage(["fit", "-c", str(config), *options])
