"""Communication with a backward pass: what each does to values, and what its adjoint does to gradients."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd import Function
from typing_extensions import override

Group = dist.ProcessGroup
# the second names are those before torch 2.14
ALL_GATHER = getattr(dist, "all_gather_single", None) or dist.all_gather_into_tensor
REDUCE_SCATTER = getattr(dist, "reduce_scatter_single", None) or dist.reduce_scatter_tensor


def all_gather(x: Tensor, dim: int, group: Group) -> Tensor:
    """The parts of all processes, one behind the other along `dim`; gradients are summed and dealt out."""
    return _Gather.apply(x, dim, group) if group.size() > 1 else x  # pyright: ignore[reportReturnType]


def all_to_all(x: Tensor, group: Group) -> Tensor:
    """Slice j of dimension 0 goes to process j; slice i of the result came from process i."""
    return _Exchange.apply(x, group) if group.size() > 1 else x  # pyright: ignore[reportReturnType]


def join(x: Tensor, dim: int, group: Group, scale: float = 1.0) -> Tensor:
    """`all_gather` of a value that is used alike on all processes: each takes its part of the gradient, times
    `scale`.
    """
    return _Join.apply(x, dim, group, scale) if group.size() > 1 else x  # pyright: ignore[reportReturnType]


def part(x: Tensor, dim: int, group: Group) -> Tensor:
    """This process's part of a value that all have; the gradient of the value is joined again on all."""
    return _Part.apply(x, dim, group) if group.size() > 1 else x  # pyright: ignore[reportReturnType]


def summed_gradient(x: Tensor, group: Group) -> Tensor:
    """`x` itself, which each process uses for its own part: the gradients of all are summed."""
    return _SummedGradient.apply(x, group) if group.size() > 1 else x  # pyright: ignore[reportReturnType]


class _Gather(Function):
    @override
    @staticmethod
    def forward(ctx: Any, x: Tensor, dim: int, group: Group) -> Tensor:
        ctx.dim, ctx.group = dim, group
        return _gathered(x, dim, group)

    @override
    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # pyright: ignore
        front = gradient.movedim(ctx.dim, 0).contiguous()
        own = front.new_empty((len(front) // ctx.group.size(), *front.shape[1:]))
        REDUCE_SCATTER(own, front, group=ctx.group)
        return own.movedim(0, ctx.dim), None, None


class _Exchange(Function):
    @override
    @staticmethod
    def forward(ctx: Any, x: Tensor, group: Group) -> Tensor:
        ctx.group = group
        return _exchanged(x, group)

    @override
    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # pyright: ignore
        return _exchanged(gradient, ctx.group), None


class _Join(Function):
    @override
    @staticmethod
    def forward(ctx: Any, x: Tensor, dim: int, group: Group, scale: float) -> Tensor:
        ctx.dim, ctx.group, ctx.scale = dim, group, scale
        return _gathered(x, dim, group)

    @override
    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:  # pyright: ignore
        return _own(gradient, ctx.dim, ctx.group) * ctx.scale, None, None, None


class _Part(Function):
    @override
    @staticmethod
    def forward(ctx: Any, x: Tensor, dim: int, group: Group) -> Tensor:
        ctx.dim, ctx.group = dim, group
        return _own(x, dim, group).contiguous()

    @override
    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # pyright: ignore
        return _gathered(gradient, ctx.dim, ctx.group), None, None


class _SummedGradient(Function):
    @override
    @staticmethod
    def forward(ctx: Any, x: Tensor, group: Group) -> Tensor:
        ctx.group = group
        return x.view_as(x)

    @override
    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # pyright: ignore
        whole = gradient.contiguous().clone()
        dist.all_reduce(whole, group=ctx.group)
        return whole, None


def _gathered(x: Tensor, dim: int, group: Group) -> Tensor:
    front = x.movedim(dim, 0).contiguous()
    all_of_them = front.new_empty((group.size() * len(front), *front.shape[1:]))
    ALL_GATHER(all_of_them, front, group=group)
    return all_of_them.movedim(0, dim)


def _exchanged(x: Tensor, group: Group) -> Tensor:
    x = x.contiguous()  # before empty_like, which keeps strides that gloo would fill wrongly
    received = torch.empty_like(x)
    dist.all_to_all_single(received, x, group=group)
    return received


def _own(x: Tensor, dim: int, group: Group) -> Tensor:
    return x.chunk(group.size(), dim)[group.rank()]
