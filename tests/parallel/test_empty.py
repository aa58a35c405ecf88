"""A model that was built empty has the weights of one that was built whole, and trains as it does."""

import lightning as L
import pytest

from console import UserError
from lightning_modules.optimization import OptimizerConfig
from lightning_modules.t2v import T2VModule
from models.transformer.execution import Execution
from tests.datamodules.shard_sets import write_latents
from tests.parallel.contracts import Spied
from tests.parallel.empty import differences
from tests.parallel.ranks import run_ranks
from tests.parallel.stage import MODEL


def test_it_has_the_same_weights_before_and_after_training(tmp_path):
    latents = write_latents(tmp_path, train=4)
    for found in run_ranks(2, differences, latents):
        assert found == {"dp_shard": [], "tp": [], "trained": []}


def test_it_is_empty_and_needs_a_strategy_that_fills_it():
    stage = T2VModule(MODEL, OptimizerConfig(), execution=Execution(empty=True))
    assert all(weight.is_meta for weight in stage.transformer.parameters())
    stage.trainer = L.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    with pytest.raises(UserError, match=r"execution\.empty needs trainer\.strategy"):
        stage.setup("fit")
    with pytest.raises(ValueError, match="set one"):
        T2VModule(MODEL, OptimizerConfig(), execution=Execution(empty=True), start="runs/before/model")
    assert not any(weight.is_meta for weight in Spied().parameters())
