"""Muon: momentum whose matrix is made orthogonal before it moves the weights (Jordan et al. 2024).

Not in the paper, which trains with AdamW. `torch.optim.Muon` takes matrices alone and works in bfloat16, slow
on processors without AMX. Here a convolution's kernel counts as a matrix of outputs x (inputs kh kw), and all
else is moved by AdamW in the same optimizer, so that a checkpoint holds one state.

Matrices of one shape, or of its transposition, are made orthogonal together: a layer's are small, and threads
that share one product of theirs wait for each other more than they multiply.

A sharded matrix is brought together on every process, which all make it orthogonal and keep their shards:
right on any mesh, and as much arithmetic on each process as on one.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.optim import Optimizer
from typing_extensions import override

from parallel.sharding import shard_of

ITERATIONS = 5
COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic: steep at zero, singular values end near 1
MATCH_ADAMW = 0.2  # root mean square of AdamW's usual update, so that both take one rate (Liu et al. 2025)


TOGETHER = 2**18  # numbers in matrices made orthogonal at once: a megabyte, which stays in a core's cache


def orthogonalise(matrices: Sequence[Float[Tensor, "rows columns"]]) -> list[Float[Tensor, "rows columns"]]:
    """About `U V^T` of each singular value decomposition `U S V^T`: singular values within 0.6 and 1.3.

    All matrices have one shape or its transposition.
    """
    a, b, c = COEFFICIENTS
    tall = [matrix.shape[0] > matrix.shape[1] for matrix in matrices]
    x = torch.stack([each.T if turned else each for each, turned in zip(matrices, tall, strict=True)])
    x = x / torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return [each.T if turned else each for each, turned in zip(x, tall, strict=True)]


def batches(weights: Iterable[Tensor]) -> Iterator[list[Tensor]]:
    """The weights in lists that can be made orthogonal together, in the same order on every process."""
    alike: dict[Any, list[Tensor]] = defaultdict(list)
    for weight in weights:
        sides = sorted((weight.shape[0], weight.shape[1:].numel()))
        alike[*sides, weight.dtype, weight.device].append(weight)
    for same in alike.values():
        size = max(1, TOGETHER // same[0].numel())
        yield from (same[start : start + size] for start in range(0, len(same), size))


class Muon(Optimizer):
    """Groups with `orthogonal` True are moved by Muon, the others by AdamW, all at the rate `lr`.

    Args:
        groups: Parameter groups; each may set `lr`, `betas`, `weight_decay` and `orthogonal`.
        lr: Learning rate, as AdamW's.
        momentum: Decay of the momentum of matrices (Nesterov's).
        betas: Decay of AdamW's moments.
    """

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        lr: float = 1e-3,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.95),
        eps: float = 1e-8,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "betas": betas, "eps": eps}
        super().__init__(groups, {**defaults, "weight_decay": 0.0, "orthogonal": False})

    @override
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # pyright: ignore
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            for weight in weights:
                weight.mul_(1 - group["lr"] * group["weight_decay"])
            if group["orthogonal"]:
                for batch in batches(weights):
                    self._muon(batch, group)
            else:
                for weight in weights:
                    self._adamw(weight, weight.grad, group)
        return loss

    def _muon(self, weights: list[Tensor], group: dict[str, Any]) -> None:
        steps = orthogonalise([self._ahead(weight, group["momentum"]).flatten(1) for weight in weights])
        for weight, step in zip(weights, steps, strict=True):
            rate = group["lr"] * MATCH_ADAMW * max(step.shape) ** 0.5
            weight.add_(shard_of(step.reshape(weight.shape), like=weight), alpha=-rate)

    def _ahead(self, weight: Tensor, decay: float) -> Tensor:
        """Nesterov's momentum of the whole weight: no part of a matrix can be made orthogonal alone."""
        state = self.state[weight]
        if not state:
            state["momentum"] = torch.zeros_like(weight)
        gradient = cast(Tensor, weight.grad)
        momentum = state["momentum"].lerp_(gradient, 1 - decay)
        ahead = torch.lerp(gradient, momentum, decay)
        return ahead.full_tensor() if isinstance(ahead, DTensor) else ahead

    def _adamw(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[weight]
        if not state:
            state.update(step=0, first=torch.zeros_like(weight), second=torch.zeros_like(weight))
        state["step"] += 1
        decay1, decay2 = group["betas"]
        first = state["first"].lerp_(gradient, 1 - decay1) / (1 - decay1 ** state["step"])
        second = state["second"].lerp_(gradient.square(), 1 - decay2) / (1 - decay2 ** state["step"])
        weight.addcdiv_(first, second.sqrt() + group["eps"], value=-group["lr"])
