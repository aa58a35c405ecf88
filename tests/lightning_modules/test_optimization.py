"""The learning rate over a run, and who is decayed."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from lightning_modules.optimization import OptimizerConfig, optimizer_and_schedule, rate


def test_warm_up_rises_in_equal_steps_to_the_whole_rate():
    config = OptimizerConfig(warmup=4)
    assert [rate(step, config, 100) for step in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


@pytest.mark.parametrize("decay", ["linear", "cosine"])
def test_decays_fall_from_the_whole_rate_to_the_final_one(decay):
    config = OptimizerConfig(warmup=10, decay=decay, final=0.1)
    rates = [rate(step, config, 110) for step in range(10, 111)]
    assert rates[0] == 1.0
    assert rates[50] == pytest.approx(0.55)
    assert rates[-1] == pytest.approx(0.1)
    assert all(later < earlier for earlier, later in pairwise(rates))


def test_matrices_are_decayed_and_vectors_are_not():
    model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4))
    optimizer = optimizer_and_schedule(model, OptimizerConfig(weight_decay=0.3), 10)["optimizer"]
    decayed = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert decayed == {id(p): 0.3 if p.ndim > 1 else 0.0 for p in model.parameters()}


def test_muon_takes_the_matrices_of_repeated_layers_and_nothing_is_left_out():
    model = nn.ModuleDict(
        {
            "stem": nn.Linear(3, 4),
            "layers": nn.ModuleList([nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4)), nn.Conv2d(4, 4, 3)]),
            "out": nn.Linear(4, 3),
        }
    )
    config = OptimizerConfig(kind="muon", weight_decay=0.3)
    optimizer = optimizer_and_schedule(model, config, 10)["optimizer"]
    names = {id(p): name for name, p in model.named_parameters()}
    by_muon = [names[id(p)] for g in optimizer.param_groups if g["orthogonal"] for p in g["params"]]
    assert by_muon == ["layers.0.0.weight", "layers.1.weight"]
    dealt = [names[id(p)] for group in optimizer.param_groups for p in group["params"]]
    assert sorted(dealt) == sorted(names.values())
    decayed = {names[id(p)] for g in optimizer.param_groups if g["weight_decay"] for p in g["params"]}
    assert decayed == {"stem.weight", "layers.0.0.weight", "layers.1.weight", "out.weight"}


def test_momentum_is_that_of_the_matrices_and_moves_them():
    """A smaller gradient the other way turns the step of little momentum, not that of much."""
    ends = []
    for momentum in (0.95, 0.5):
        model = nn.ModuleList([nn.Linear(2, 2, bias=False)])
        nn.init.zeros_(model[0].weight)
        config = OptimizerConfig(kind="muon", lr=0.1, weight_decay=0.0, momentum=momentum)
        optimizer = optimizer_and_schedule(model, config, 10)["optimizer"]
        for gradient in (torch.diag(torch.tensor([1.0, 1.0])), torch.diag(torch.tensor([1.0, -0.2]))):
            model[0].weight.grad = gradient
            optimizer.step()
        ends.append(model[0].weight[1, 1].item())
    assert ends[0] < -0.05
    assert abs(ends[1]) < 0.01


def test_the_schedule_drives_the_optimizer():
    parts = optimizer_and_schedule(nn.Linear(2, 2), OptimizerConfig(lr=1e-2, warmup=2, decay="linear"), 4)
    optimizer, schedule = parts["optimizer"], parts["lr_scheduler"]["scheduler"]
    seen = []
    for _ in range(4):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    torch.testing.assert_close(seen, [0.005, 0.01, 0.01, 0.005])


@pytest.mark.parametrize("fields", [{"lr": 0.0}, {"warmup": -1}, {"final": 2.0}, {"momentum": 1.0}])
def test_impossible_settings_are_refused(fields):
    with pytest.raises(ValueError, match=r"must be > 0"):
        OptimizerConfig(**fields)
