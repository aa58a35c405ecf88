"""How the transformer is cut over a mesh, part by part as in Figure 8 (Sec. 3.1.6, A.2).

| part | cut by |
|---|---|
| patchifier, positions, time, shared modulation, output | FSDP |
| embedders of the text | FSDP, TP |
| cross-attention, feed-forward, norms and tables of the blocks | FSDP, TP, SP |
| self-attention | FSDP, TP, SP, CP |

Between the layers of a block each process of a tp group holds a part of the sequence (SP); within a layer it
holds all of it and a part of the heads or hidden channels (TP). The modules themselves know nothing of it.
"""

from functools import partial

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import Replicate, Shard
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    ParallelStyle,
    PrepareModuleInput,
    RowwiseParallel,
    SequenceParallel,
    parallelize_module,
)

from models.transformer.config import TransformerConfig
from models.transformer.model import Transformer
from parallel.collectives import join, part, summed_gradient
from parallel.context import CONTEXTS, SplitSequence, on_output
from parallel.mesh import Mesh, MeshConfig
from parallel.sharding import ShardingConfig


def parallelize(model: Transformer, mesh: Mesh, sharding: ShardingConfig) -> None:
    """Cut `model` in place; from then on it computes on all processes what it would compute on one.

    Every process must hold the same weights before (or none: the meta device).

    Raises:
        ValueError: If heads or hidden channels do not divide.
    """
    if isinstance(model, FSDPModule):
        return
    check_divides(model.config, mesh.config, sharding)
    if mesh.config.tp > 1:
        _cut_layers(model, mesh)
    if mesh.sequence_parts > 1:
        _cut_sequence(model, mesh, sharding)
    _shard(model, mesh, sharding)


def check_divides(config: TransformerConfig, mesh: MeshConfig, sharding: ShardingConfig) -> None:
    """Refuse a mesh over which the layers of `config` do not divide.

    Raises:
        ValueError: Says which number does not divide, and what to change.
    """
    over = mesh.tp * (mesh.cp if sharding.context == "ulysses" else 1)
    names = "mesh.tp x mesh.cp (sharding.context is ulysses)" if over != mesh.tp else "mesh.tp"
    hint = " or take sharding.context gather" if over != mesh.tp and config.heads % mesh.tp == 0 else ""
    if config.heads % over:
        raise ValueError(f"{config.heads} heads do not divide over {names} = {over}. Lower it{hint}.")
    for name in ("feed_forward", "width"):
        if getattr(config, name) % mesh.tp:
            raise ValueError(
                f"transformer.{name} {getattr(config, name)} does not divide over mesh.tp = {mesh.tp}. "
                "Lower mesh.tp."
            )


def transformers(module: nn.Module) -> list[Transformer]:
    """Every transformer in `module`: the trained one, and its moving average."""
    return [each for each in module.modules() if isinstance(each, Transformer)]


def _cut_layers(model: Transformer, mesh: Mesh) -> None:
    """TP and SP of the blocks, TP of the text's embedders."""
    group = mesh.tp.get_group()
    for block in model.blocks:
        parallelize_module(block, mesh.tp, _plan(block))
        on_output(block.get_submodule("table"), partial(summed_gradient, group=group))
    for encoder in model.text.encoders:
        parallelize_module(encoder, mesh.tp, {"0": ColwiseParallel(output_layouts=Replicate())})


def _plan(block: nn.Module) -> dict[str, ParallelStyle]:
    """Norms on parts of the sequence; layers on all of it, by heads or hidden channels, and back to parts."""
    whole, split = Replicate(), Shard(1)
    plan: dict[str, ParallelStyle] = {
        "attention": PrepareModuleInput(input_layouts=(split,), desired_input_layouts=(whole,)),
        "cross_attention": PrepareModuleInput(
            input_layouts=(split, whole, None), desired_input_layouts=(whole, whole, None)
        ),
        "feed_forward": PrepareModuleInput(input_layouts=(split,), desired_input_layouts=(whole,)),
    }
    for name, module in block.named_modules():
        kind = name.rpartition(".")[2]
        if kind in ("q", "k", "v", "gate", "up"):
            plan[name] = ColwiseParallel()
        elif kind in ("out", "down"):
            plan[name] = RowwiseParallel(output_layouts=split)
        elif isinstance(module, nn.RMSNorm):  # of "b n d" in parts of n, of "b heads n d" in parts of heads
            plan[name] = SequenceParallel(sequence_dim=1, use_local_output=True)
    return plan


def _cut_sequence(model: Transformer, mesh: Mesh, sharding: ShardingConfig) -> None:
    """Split tokens over cp where they are made, then over tp; join them in front of and behind the output."""
    sequence = SplitSequence(mesh.cp.get_group(), mesh.sequence_parts)
    sequence.attach([(model.patchify, 1), (model.position, 0)], end=model.output)
    context = CONTEXTS[sharding.context](sequence)
    for block in model.blocks:
        context.attach(block.get_submodule("attention.attend"))
    if mesh.config.tp > 1:
        group = mesh.tp.get_group()
        on_output(model.patchify, partial(part, dim=1, group=group))
        on_output(model.position, partial(part, dim=0, group=group))
        model.output.register_forward_pre_hook(lambda _, args: (join(args[0], 1, group), *args[1:]))


def _shard(model: Transformer, mesh: Mesh, sharding: ShardingConfig) -> None:
    """One FSDP2 unit for each block, one for the rest: what is gathered at once is a block."""
    shared = {"mesh": mesh.fsdp, "offload_policy": sharding.offload()}
    for block in model.blocks:
        fully_shard(
            block,
            reshard_after_forward=sharding.reshard,
            mp_policy=sharding.policy(cast_inputs=True),
            **shared,
        )
    fully_shard(model, mp_policy=sharding.policy(cast_inputs=False), **shared)
    if sharding.compute is not None:
        dtype = getattr(torch, sharding.compute)
        for entrance in (model.patchify, *model.text.encoders):
            entrance.register_forward_pre_hook(lambda _, args: _cast(args, dtype))


def _cast(args: tuple[Tensor, ...], dtype: torch.dtype) -> tuple[Tensor, ...]:
    """The root casts nothing, since the flow time must stay exact; latents and texts are cast on entering."""
    return tuple(each.to(dtype) for each in args)
