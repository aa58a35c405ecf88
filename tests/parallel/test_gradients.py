"""Norms and clipping are torch's own where nothing is sharded; tests/parallel/suite.py has the rest."""

import torch
from torch import nn

from parallel.gradients import clip_gradients, total_norm


def backward() -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    model(torch.randn(5, 3)).square().sum().backward()
    return model


def test_the_norm_is_of_all_gradients_and_no_number_where_one_is_none():
    model = backward()
    gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
    expected = torch.cat([gradient.flatten() for gradient in gradients]).norm()
    torch.testing.assert_close(total_norm(model.parameters()), expected)
    gradients[0][0] = float("nan")
    assert total_norm(model.parameters()).isnan()
    assert total_norm(nn.Linear(2, 2).parameters()) == 0


def test_clipping_is_torchs():
    ours, theirs = backward(), backward()
    norm = clip_gradients(list(ours.parameters()), 0.5)
    torch.testing.assert_close(norm, nn.utils.clip_grad_norm_(theirs.parameters(), 0.5))
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, other.grad)
    clip_gradients(list(ours.parameters()), 1e9)
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, other.grad)  # a limit far away changes nothing
