"""The moving average of a stage's weights, which is what is validated, sampled and exported."""

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


class Average:
    """Exponential moving average whose memory grows with the run, so that early weights are forgotten."""

    def __init__(self, decay: float) -> None:
        self.decay = decay

    def __call__(self, average: Tensor, weight: Tensor, updates: Tensor | int) -> Tensor:
        decay = min(self.decay, (1 + float(updates)) / (10 + float(updates)))
        return torch.lerp(weight, average, decay)


def averaged(model: nn.Module, decay: float) -> AveragedModel | None:
    """An average of `model` that begins where it stands; None for a decay of 0."""
    if not 0 <= decay < 1:
        raise ValueError(f"ema must be in [0, 1); {decay} came.")
    if not decay:
        return None
    average = AveragedModel(model, avg_fn=Average(decay))
    return average.requires_grad_(False)


def follow(average: AveragedModel | None, model: nn.Module) -> None:
    """Take the optimizer's step into the average; one that was skipped has left no gradient."""
    if average is not None and any(weight.grad is not None for weight in model.parameters()):
        average.update_parameters(model)
