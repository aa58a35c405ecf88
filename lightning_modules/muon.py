"""Muon: momentum whose matrix is made orthogonal before it moves the weights (Jordan et al. 2024).

Not in the paper, which trains with AdamW. `torch.optim.Muon` takes matrices alone and works in bfloat16, slow
on processors without AMX. Here a convolution's kernel counts as a matrix of outputs x (inputs kh kw), and all
else is moved by AdamW in the same optimizer, so that a checkpoint holds one state.

A sharded matrix is brought together on every process, which all make it orthogonal and keep their shards:
right on any mesh, and as much arithmetic on each process as on one.
"""

from collections.abc import Callable, Iterable
from typing import Any

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


def orthogonalise(matrix: Float[Tensor, "rows columns"]) -> Float[Tensor, "rows columns"]:
    """About `U V^T` of the singular value decomposition `U S V^T`: all singular values within 0.6 and 1.3."""
    a, b, c = COEFFICIENTS
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x


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
            move = self._muon if group["orthogonal"] else self._adamw
            for weight in group["params"]:
                if weight.grad is not None:
                    weight.mul_(1 - group["lr"] * group["weight_decay"])
                    move(weight, weight.grad, group)
        return loss

    def _muon(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[weight]
        if not state:
            state["momentum"] = torch.zeros_like(weight)
        momentum = state["momentum"].lerp_(gradient, 1 - group["momentum"])
        ahead = torch.lerp(gradient, momentum, group["momentum"]).flatten(1)
        rate = group["lr"] * MATCH_ADAMW * max(ahead.shape) ** 0.5
        if isinstance(ahead, DTensor):  # no part of a matrix can be made orthogonal alone
            step = shard_of(orthogonalise(ahead.full_tensor()), like=ahead)
        else:
            step = orthogonalise(ahead)
        weight.add_(step.view_as(weight), alpha=-rate)

    def _adamw(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[weight]
        if not state:
            state.update(step=0, first=torch.zeros_like(weight), second=torch.zeros_like(weight))
        state["step"] += 1
        decay1, decay2 = group["betas"]
        first = state["first"].lerp_(gradient, 1 - decay1) / (1 - decay1 ** state["step"])
        second = state["second"].lerp_(gradient.square(), 1 - decay2) / (1 - decay2 ** state["step"])
        weight.addcdiv_(first, second.sqrt() + group["eps"], value=-group["lr"])
