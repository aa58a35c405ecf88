"""A model that was built empty has the weights of one that was built whole, and trains as it does."""

import dataclasses

import lightning as L
import pytest

from console import UserError
from inference.weights import save_model
from lightning_modules.optimization import OptimizerConfig
from lightning_modules.t2v import T2VModule
from models.transformer import Transformer
from models.transformer.execution import Execution
from models.transformer.grow import TABLES
from parallel.mesh import MeshConfig
from tests.datamodules.shard_sets import write_latents
from tests.inference.conftest import scatter
from tests.parallel.contracts import Spied
from tests.parallel.empty import FACTS, begun, differences
from tests.parallel.ranks import run_ranks
from tests.parallel.stage import MODEL


def test_it_has_the_same_weights_before_and_after_training(tmp_path):
    latents = write_latents(tmp_path, train=4)
    for found in run_ranks(2, differences, latents):
        assert found == {"dp_shard": [], "tp": [], "trained": []}


MESHES = {
    1: [MeshConfig()],
    2: [MeshConfig(dp_shard=2), MeshConfig(tp=2)],
    4: [MeshConfig(dp_shard=2, tp=2)],  # as in the paper's rows: a dimension that both cut
}


@pytest.mark.parametrize("world", MESHES)
def test_it_begins_with_the_weights_of_another_stage_of_which_it_reads_one_tensor_after_the_other(
    tmp_path, world
):
    """Tables grow and a condition is gained on the way; a model that was built whole has the same weights."""
    before = dataclasses.replace(MODEL, grid=(2, 2, 3), extra_channels=0)
    save_model(tmp_path / "before", scatter(Transformer(before), 0), FACTS, shard_bytes=4000)
    latents = write_latents(tmp_path, train=4, channels=4, widths=MODEL.text_widths)
    folders = (latents, tmp_path / "before", tmp_path / "run")
    for found in run_ranks(world, begun, world, MESHES[world], *folders):
        assert 0 < found.pop("at once") <= len(TABLES)  # of tens
        assert len(found) == 2 * len(MESHES[world])
        assert not any(found.values()), found


def test_it_is_empty_and_needs_a_strategy_that_fills_it():
    stage = T2VModule(MODEL, OptimizerConfig(), execution=Execution(empty=True))
    assert all(weight.is_meta for weight in stage.transformer.parameters())
    stage.trainer = L.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    with pytest.raises(UserError, match=r"execution\.empty needs trainer\.strategy"):
        stage.setup("fit")
    assert not any(weight.is_meta for weight in Spied().parameters())
