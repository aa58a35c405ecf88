"""How the transformer is cut over a mesh, part by part as in Figure 8 (Sec. 3.1.6, A.2).

| part | cut by |
|---|---|
| patchifiers, positions, time, shared modulation, output | FSDP |
| embedders of the text | FSDP, TP |
| cross-attention, feed-forward, norms and tables of the blocks | FSDP, TP, SP |
| self-attention | FSDP, TP, SP, CP |

Between the layers of a block each process of a tp group holds a part of the sequence (SP); within a layer it
holds all of it and a part of the heads or hidden channels (TP). The modules themselves know nothing of it.
"""

from collections.abc import Callable
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

Fill = Callable[[nn.Module], None]


def keep(module: nn.Module) -> None:
    """Leave the weights as they are, be they empty: what a planner wants."""


def draw(module: nn.Module) -> None:
    """Draw the weights of an empty module (the meta device) as its constructors would; others stay.

    Where all processes begin with one seed, they draw the weights of a model that was built whole.
    """
    if any(weight.is_meta for weight in module.parameters()):
        module.to_empty(device="cpu")
        module.apply(_reset)  # children before their parents, as when they are built


def parallelize(model: Transformer, mesh: Mesh, sharding: ShardingConfig, fill: Fill = keep) -> None:
    """Cut `model` in place; from then on it computes on all processes what it would compute on one.

    Every process must hold the same weights before, or none (the meta device): `fill` gives them to a part of
    the model just before that part is cut.

    Raises:
        ValueError: If heads or hidden channels do not divide.
    """
    if isinstance(model, FSDPModule):
        return
    check_divides(model.config, mesh.config, sharding)
    options = {"mesh": mesh.fsdp, "offload_policy": sharding.offload()}
    for name, module in model.named_children():  # in the order in which a whole model draws its weights
        if name != "blocks":
            fill(module)
            continue
        for block in model.blocks:  # of which no process holds more than one whole
            fill(block)
            _cut_block(block, mesh)
            policy = sharding.policy(cast_inputs=True)
            fully_shard(block, reshard_after_forward=sharding.reshard, mp_policy=policy, **options)
    for encoder in model.text.encoders if mesh.config.tp > 1 else ():
        parallelize_module(encoder, mesh.tp, {"0": ColwiseParallel(output_layouts=Replicate())})
    if mesh.sequence_parts > 1:
        _cut_sequence(model, mesh, sharding)
    frozen = not any(weight.requires_grad for weight in model.parameters())
    # No backward pass cuts the outermost weights of a frozen model up again, so its forward pass must.
    again = True if frozen else None
    policy = sharding.policy(cast_inputs=False)
    fully_shard(model, reshard_after_forward=again, mp_policy=policy, **options)
    _cast_on_entering(model, sharding)


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


def _reset(module: nn.Module) -> None:
    reset = getattr(module, "reset_parameters", None)
    if reset is not None:
        reset()


def _cut_block(block: nn.Module, mesh: Mesh) -> None:
    """TP and SP of one block."""
    if mesh.config.tp > 1:
        parallelize_module(block, mesh.tp, _plan(block))
        on_output(block.get_submodule("table"), partial(summed_gradient, group=mesh.tp.get_group()))


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
    begin = [(module, 1) for module in _entrances(model)] + [(model.position, 0)]
    sequence.attach(begin, end=model.output)
    context = CONTEXTS[sharding.context](sequence)
    for block in model.blocks:
        context.attach(block.get_submodule("attention.attend"))
    if mesh.config.tp > 1:
        group = mesh.tp.get_group()
        for module, dim in begin:
            on_output(module, partial(part, dim=dim, group=group))
        model.output.register_forward_pre_hook(lambda _, args: (join(args[0], 1, group), *args[1:]))


def _entrances(model: Transformer) -> list[nn.Module]:
    """The modules that make the tokens of the video: of the latent, and of a condition of its size."""
    return [model.patchify] if model.extra is None else [model.patchify, model.extra]


def _cast_on_entering(model: Transformer, sharding: ShardingConfig) -> None:
    """The root casts nothing, since the flow time must stay exact."""
    if sharding.compute is not None:
        dtype = getattr(torch, sharding.compute)
        for entrance in (*_entrances(model), *model.text.encoders):
            entrance.register_forward_pre_hook(lambda _, args: _cast(args, dtype))


def _cast(args: tuple[Tensor, ...], dtype: torch.dtype) -> tuple[Tensor, ...]:
    """Latents and texts as the weights that they meet."""
    return tuple(each.to(dtype) for each in args)
