"""How the blocks run: what they keep for the backward pass, and compiled or not (Sec. 3.1.6, A.2).

Both are put on from outside and change no name of a parameter; the model knows of neither. First
checkpointing, then compiling, and only then sharding.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import CheckpointPolicy, checkpoint, create_selective_checkpoint_contexts

Checkpointing = Literal["none", "full", "selective"]

_ATEN = torch.ops.aten
PRODUCTS = {  # most of a block's arithmetic; what lies between them is cheap to do again
    _ATEN.mm.default,
    _ATEN.addmm.default,
    _ATEN._scaled_dot_product_flash_attention_for_cpu.default,
    _ATEN._scaled_dot_product_flash_attention.default,
    _ATEN._scaled_dot_product_efficient_attention.default,
    _ATEN._scaled_dot_product_cudnn_attention.default,
}


@dataclass(frozen=True, kw_only=True)
class Execution:
    """How a model's blocks run in training."""

    checkpointing: Checkpointing = "none"
    """What is dropped and computed again in the backward pass: none, selective or full."""
    empty: bool = False
    """Build the model without weights; MeshStrategy draws them block by block as it shards them, and those of
    model.start are read into the shards. For models that do not fit the memory of a process."""
    compile: bool = False
    """Compile each block: minutes at the start, faster steps after."""

    def building(self) -> AbstractContextManager[Any]:
        """Where a model is built."""
        return torch.device("meta") if self.empty else nullcontext()

    def put_on(self, model: nn.Module) -> None:
        """Let `model.blocks` run so."""
        checkpoint_blocks(model, self.checkpointing)
        if self.compile:
            compile_blocks(model)


def checkpoint_blocks(model: nn.Module, kind: Checkpointing) -> None:
    """Let each of `model.blocks` drop what its backward pass can compute again.

    full: all but the block's input, at the cost of one more forward pass. selective: norms, modulation and
    activations, but no product of matrices and no attention, so hardly any arithmetic is done twice.
    """
    if kind not in ("none", "full", "selective"):
        raise ValueError(f"checkpointing is '{kind}'; it must be none, full or selective.")
    if kind == "none":
        return
    options: dict[str, Any] = {"use_reentrant": False}
    if kind == "selective":
        options["context_fn"] = _selective
    for block in model.blocks:  # pyright: ignore[reportGeneralTypeIssues]
        block.forward = Recomputed(block.forward, options)


def compile_blocks(model: nn.Module, **options: Any) -> None:
    """Compile each of `model.blocks` in place by torch.compile with `options`; equal ones share code."""
    for block in model.blocks:  # pyright: ignore[reportGeneralTypeIssues]
        block.compile(**options)


class Recomputed:
    """A block's forward pass that is run again in the backward pass.

    Not a partial of `checkpoint`, which the compiler would skip, nor a closure, which copies of the block
    would share.
    """

    def __init__(self, forward: Callable[..., Tensor], options: dict[str, Any]) -> None:
        self.forward, self.options = forward, options

    def __call__(self, *inputs: Any) -> Tensor:
        return checkpoint(self.forward, *inputs, **self.options)


def _selective() -> Any:
    return create_selective_checkpoint_contexts(_keep_products)


def _keep_products(_context: Any, operator: Any, *_args: Any, **_kwargs: Any) -> CheckpointPolicy:
    return CheckpointPolicy.MUST_SAVE if operator in PRODUCTS else CheckpointPolicy.PREFER_RECOMPUTE
