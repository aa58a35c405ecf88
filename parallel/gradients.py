"""Gradients on many processes: the average of weights that are not sharded, norms and clipping of all."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor
from torch.nn.utils import get_total_norm

BUCKET = 25 * 2**20  # elements that are averaged at once


def average_gradients(weights: Iterable[Tensor], mesh: DeviceMesh) -> None:
    """The mean over `mesh` of the gradients of plain weights, in place; sharded ones were averaged by FSDP.

    A weight that got no gradient here but somewhere else counts as zero; one that got none keeps none.
    """
    plain = [weight for weight in weights if weight.requires_grad and not isinstance(weight, DTensor)]
    if not plain or mesh.size() == 1:
        return
    group = mesh.get_group()
    has = torch.tensor([weight.grad is not None for weight in plain], dtype=torch.int32)
    has = has.to(plain[0].device)
    dist.all_reduce(has, dist.ReduceOp.MAX, group)
    kinds: dict[torch.dtype, list[Tensor]] = defaultdict(list)
    for weight, present in zip(plain, has.tolist(), strict=True):
        if present:
            if weight.grad is None:
                weight.grad = torch.zeros_like(weight)
            kinds[weight.grad.dtype].append(weight.grad)
    for gradients in kinds.values():
        for bucket in _buckets(gradients):
            flat = torch.cat([gradient.flatten() for gradient in bucket])
            dist.all_reduce(flat, dist.ReduceOp.SUM, group)
            flat /= mesh.size()
            parts = flat.split([gradient.numel() for gradient in bucket])
            for gradient, part in zip(bucket, parts, strict=True):
                gradient.copy_(part.view_as(gradient))


def total_norm(weights: Iterable[Tensor]) -> Tensor:
    """The norm of all gradients of `weights`, the same on every process.

    Gradients of one mesh are added up on it; torch's own clipping refuses weights of several meshes, which
    FSDP with tensor parallelism has.
    """
    meshes: dict[DeviceMesh | None, list[Tensor]] = defaultdict(list)
    for weight in weights:
        if weight.grad is not None:
            mesh = weight.grad.device_mesh if isinstance(weight.grad, DTensor) else None
            meshes[mesh].append(weight.grad)
    norms = [get_total_norm(gradients) for gradients in meshes.values()]
    whole = [norm.full_tensor() if isinstance(norm, DTensor) else norm for norm in norms]
    return torch.linalg.vector_norm(torch.stack(whole)) if whole else torch.tensor(0.0)


def clip_gradients(weights: Sequence[Tensor], limit: float) -> Tensor:
    """Scale all gradients so that their norm is at most `limit`; returns the norm that they had."""
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    norm = total_norm(weights)
    scale = (limit / (norm + 1e-6)).clamp(max=1.0)
    for gradient in gradients:
        (gradient.to_local() if isinstance(gradient, DTensor) else gradient).mul_(scale.to(gradient.device))
    return norm


def _buckets(gradients: list[Tensor]) -> Iterable[list[Tensor]]:
    bucket: list[Tensor] = []
    for gradient in gradients:
        bucket.append(gradient)
        if sum(each.numel() for each in bucket) >= BUCKET:
            yield bucket
            bucket = []
    if bucket:
        yield bucket
