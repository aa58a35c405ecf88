"""A checkpoint of one file and older groups of weights is cut over a mesh, each moment as its weight."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from lightning_modules.optimization import OptimizerConfig, optimizer_and_schedule
from lightning_modules.sharded import SealedShards
from models.transformer import Transformer, TransformerConfig
from tests.parallel.ranks import run_ranks

SHAPE = TransformerConfig(
    width=16, layers=2, heads=2, feed_forward=24, latent_channels=4, grid=(2, 2, 2), text_widths=(6,)
)


def older_checkpoint() -> dict[str, Any]:
    """Groups by the number of dimensions; each weight's moments are filled with a number of its own."""
    model = Transformer(SHAPE)
    parts = [[p for p in model.parameters() if (p.ndim > 1) is many] for many in (True, False)]
    optimizer = torch.optim.AdamW([{"params": part} for part in parts])
    for number, weight in enumerate(model.parameters()):
        moment = torch.full_like(weight, number)
        optimizer.state[weight] = {"step": torch.tensor(1.0), "exp_avg": moment, "exp_avg_sq": moment.clone()}
    return {"state_dict": model.state_dict(), "optimizer_states": [optimizer.state_dict()]}


def on_rank(rank: int) -> list[float]:
    dist.init_process_group("gloo")
    checkpoint, model = older_checkpoint(), Transformer(SHAPE)
    fully_shard(model)
    optimizer = optimizer_and_schedule(model, OptimizerConfig(), 10)["optimizer"]
    strategy: Any = SimpleNamespace(lightning_module=model, optimizers=[optimizer])
    SealedShards._take(strategy, Path("older.ckpt"), checkpoint)
    found = []
    for weight in model.parameters():
        moment = optimizer.state[weight]["exp_avg"]
        assert isinstance(moment, DTensor)
        assert isinstance(weight, DTensor)
        assert (moment.placements, moment.shape) == (weight.placements, weight.shape)
        (value,) = moment.full_tensor().unique().tolist()
        found.append(value)
        weight.grad = torch.zeros_like(weight)
    optimizer.step()
    dist.destroy_process_group()
    return found


def test_moments_of_older_groups_are_cut_as_their_weights():
    assert run_ranks(2, on_rank) == [list(map(float, range(len(list(Transformer(SHAPE).parameters())))))] * 2
