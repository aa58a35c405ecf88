"""Mixed precision and offloading on ranks: what they change and what they must not."""

from typing import Any

import torch
from torch import Tensor

from models.transformer import Transformer
from models.transformer.parallelize import parallelize
from parallel.mesh import Mesh, MeshConfig
from parallel.sharding import ShardingConfig
from tests.parallel.stage import MODEL, Case, gradients_of, loss_of, micro_batch

KINDS = {
    "whole": ShardingConfig(),
    "bfloat16": ShardingConfig(compute="bfloat16"),
    "bfloat16 sums": ShardingConfig(compute="bfloat16", reduce="bfloat16"),
    "offload": ShardingConfig(cpu_offload=True),
    "kept": ShardingConfig(reshard=False),
}


def gradients(rank: int) -> dict[str, Any]:
    """Of one float32 step on two processes, for each way to keep weights; with the types that were seen."""
    torch.distributed.init_process_group("gloo")
    mesh = Mesh(MeshConfig().over(2), "cpu")
    batch = {
        name: value.float() if value.is_floating_point() else value
        for name, value in micro_batch(Case(mesh=MeshConfig()), 0, slice(2 * rank, 2 * rank + 2)).items()
    }
    found: dict[str, Any] = {}
    for name, sharding in KINDS.items():
        torch.manual_seed(0)
        model = Transformer(MODEL)
        with torch.no_grad():
            for weight in model.parameters():
                weight.add_(0.2 * torch.randn_like(weight))
        parallelize(model, mesh, sharding)
        types: list[str] = []
        _listen(model, types)
        loss_of(model, batch).backward()
        found[name] = {"gradients": gradients_of(model), "types": types}
    return found


def _listen(model: Transformer, types: list[str]) -> None:
    """Note the types of the time as it arrives, of a block's input, and of the answer."""

    def note(_: Any, args: tuple[Any, ...]) -> None:
        types.append(str(args[0].dtype))

    def note_output(_: Any, args: Any, output: Tensor) -> None:
        types.append(str(output.dtype))

    model.time.register_forward_pre_hook(note)
    model.blocks[0].register_forward_pre_hook(note)
    model.register_forward_hook(note_output)
