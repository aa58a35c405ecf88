"""The moving average of a stage's weights, which is what is validated, sampled and exported."""

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.optim.swa_utils import AveragedModel
from typing_extensions import override


class Average(AveragedModel):
    """Exponential moving average whose memory grows with the run, so that early weights are forgotten.

    The number of updates stays on the device, where checkpoints are read into it: nothing waits for it.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__(model)
        self.decay = decay

    @override
    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Go towards the weights of `model`; the first time, take them. Each process moves its own parts."""
        shares: dict[tuple[torch.device, torch.dtype], Tensor] = {}
        for average, weight in zip(self.module.parameters(), model.parameters(), strict=True):
            kept, new = _local(average), _local(weight)
            kind = kept.device, kept.dtype
            if kind not in shares:
                updates = self.n_averaged.to(torch.promote_types(kept.dtype, torch.float32))
                shares[kind] = share_of_new(updates, self.decay).to(*kind)
            kept.lerp_(new, shares[kind])
        for average, buffer in zip(self.module.buffers(), model.buffers(), strict=True):
            average.copy_(buffer)
        self.n_averaged += 1


def share_of_new(updates: Tensor, decay: float) -> Tensor:
    """What an average takes of new weights after so many updates: all, then 1 - (1 + n) / (10 + n), and
    1 - `decay` at least."""
    return torch.where(updates > 0, (9 / (10 + updates)).clamp(min=1 - decay), 1.0)


def averaged(model: nn.Module, decay: float) -> Average | None:
    """An average of `model` that begins where it stands; None for a decay of 0."""
    if not 0 <= decay < 1:
        raise ValueError(f"ema must be in [0, 1); {decay} came.")
    return Average(model, decay).requires_grad_(False) if decay else None


def follow(average: Average | None, model: nn.Module) -> None:
    """Take the optimizer's step into the average; one that was skipped has left no gradient."""
    if average is not None and any(weight.grad is not None for weight in model.parameters()):
        average.update_parameters(model)


def _local(weight: Tensor) -> Tensor:
    return weight.to_local() if isinstance(weight, DTensor) else weight
