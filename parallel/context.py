"""Context parallelism: each process has some of a sample's tokens, and self-attention needs all (Sec. 3.1.6).

Hooks split the sequence where it begins and join it where it ends. In between each token is on its own, but
for self-attention: there every process gathers the keys and values of all tokens, whose gradients are summed
and dealt out again (`GatheredKeys`, the paper's scheme), or heads and tokens change places (`Ulysses`). A
sequence that does not divide is padded with zeros, which nothing attends to and nothing reads.

Every process of the group computes the same loss from the joined output. FSDP averages gradients over the
group, whose members know the part of their own tokens: the true gradient is the sum, so `join` scales by
the group's size.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn.functional import pad
from torch.utils.hooks import RemovableHandle

from parallel.collectives import Group, all_gather, all_to_all, join


class SplitSequence:
    """Splits sequences over `group` and joins them; `parts` is what the padded length is a multiple of."""

    def __init__(self, group: Group, parts: int) -> None:
        self.group = group
        self.parts = parts
        self.tokens = 0  # of the sequence at hand, without padding

    @property
    def padded(self) -> int:
        """Tokens of the sequence at hand with its padding."""
        return -(-self.tokens // self.parts) * self.parts

    def split(self, x: Tensor, dim: int) -> Tensor:
        """This process's part of a whole sequence. The gradient of what others have is left to them."""
        self.tokens = x.shape[dim]
        return lengthened(x, dim, self.padded).chunk(self.group.size(), dim)[self.group.rank()].contiguous()

    def join(self, x: Tensor, dim: int) -> Tensor:
        """The whole sequence, without its padding."""
        return join(x, dim, self.group, scale=float(self.group.size())).narrow(dim, 0, self.tokens)

    def attach(self, begin: Iterable[tuple[nn.Module, int]], end: nn.Module) -> list[RemovableHandle]:
        """Split what the modules of `begin` give along the dimension beside each; join what `end` gives."""
        handles = [on_output(module, partial(self.split, dim=dim)) for module, dim in begin]
        return [*handles, on_output(end, partial(self.join, dim=1))]


class GatheredKeys:
    """Queries of the tokens here, keys and values of all: one all-gather forward, one reduce-scatter back."""

    def __init__(self, sequence: SplitSequence) -> None:
        self.sequence = sequence

    def attach(self, attend: nn.Module) -> list[RemovableHandle]:
        """`attend` takes query, key and value "b heads n d"."""
        return [attend.register_forward_pre_hook(self.before)]

    def before(self, _: nn.Module, args: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, ...]:
        """Query as it is, key and value of all tokens."""
        query, key, value = args
        both = all_gather(torch.stack([key, value]), 3, self.sequence.group)
        key, value = both[..., : self.sequence.tokens, :]
        return query, key, value


class Ulysses:
    """All tokens of a part of the heads: one exchange before attention and one after it."""

    def __init__(self, sequence: SplitSequence) -> None:
        self.sequence = sequence

    def attach(self, attend: nn.Module) -> list[RemovableHandle]:
        """`attend` takes query, key and value "b heads n d" and gives "b heads n d"."""
        return [attend.register_forward_pre_hook(self.before), attend.register_forward_hook(self.after)]

    def before(self, _: nn.Module, args: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, ...]:
        """Some tokens of all heads to all tokens of some heads."""
        size, group = self.sequence.group.size(), self.sequence.group
        sent = rearrange(torch.stack(args), "qkv b (rank heads) n d -> rank qkv b heads n d", rank=size)
        received = rearrange(all_to_all(sent, group), "rank qkv b heads n d -> qkv b heads (rank n) d")
        return tuple(received[..., : self.sequence.tokens, :])

    def after(self, _: nn.Module, args: Any, attended: Tensor) -> Tensor:
        """Back to some tokens of all heads."""
        size, group = self.sequence.group.size(), self.sequence.group
        whole = lengthened(attended, 2, self.sequence.padded)
        sent = rearrange(whole, "b heads (rank n) d -> rank b heads n d", rank=size)
        return rearrange(all_to_all(sent, group), "rank b heads n d -> b (rank heads) n d")


def on_output(module: nn.Module, change: Callable[[Tensor], Tensor]) -> RemovableHandle:
    """Have `module` give what `change` makes of its output."""

    def hook(_: nn.Module, args: Any, output: Tensor) -> Tensor:
        return change(output)

    return module.register_forward_hook(hook)


CONTEXTS = {"gather": GatheredKeys, "ulysses": Ulysses}


def lengthened(x: Tensor, dim: int, length: int) -> Tensor:
    """`x` with zeros behind it, so that `dim` has `length` entries."""
    missing = length - x.shape[dim]
    return pad(x, [0, 0] * (x.ndim - 1 - dim % x.ndim) + [0, missing]) if missing else x
