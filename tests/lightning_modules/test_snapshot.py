"""A checkpoint that was taken apart and put together again is the one that Lightning made."""

import pytest
import torch
from torch import nn

from lightning_modules.snapshot import put_together, take_apart, weight_names


def trained(model, kind, **options):
    optimizer = kind(model.parameters(), **options)
    for _ in range(2):
        model(torch.ones(1, 3)).sum().backward()
        optimizer.step()
    return optimizer


def assert_equal(one, other):
    assert type(one) is type(other)
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert list(one) == list(other)
        for key in one:
            assert_equal(one[key], other[key])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for left, right in zip(one, other, strict=True):
            assert_equal(left, right)
    else:
        assert one == other


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (torch.optim.AdamW, {"lr": 0.1}),
        (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}),
        (torch.optim.SGD, {}),
    ],
)
def test_nothing_is_lost_on_the_way(kind, options):
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4).eval(), nn.Linear(4, 1))
    optimizer = trained(model, kind, **options)
    checkpoint = {
        "state_dict": dict(model.state_dict()),
        "optimizer_states": [optimizer.state_dict()],
        "epoch": 3,
        "loops": {"fit": {"done": True}},
    }
    snapshot = take_apart(checkpoint, [weight_names(model, optimizer)])
    assert all(tensor.dim() for tensor in snapshot.tensors.values())
    again = put_together(snapshot)
    for key in ("epoch", "loops"):
        assert again[key] == checkpoint[key]
    assert set(again["state_dict"]) == set(checkpoint["state_dict"])
    for name, value in checkpoint["state_dict"].items():
        assert torch.equal(again["state_dict"][name], value)
    before, after = checkpoint["optimizer_states"][0], again["optimizer_states"][0]
    assert_equal(after["param_groups"], before["param_groups"])
    assert set(after["state"]) == set(before["state"])
    for number, moments in before["state"].items():
        assert set(after["state"][number]) == set(moments)
        for name, value in moments.items():
            assert_equal(after["state"][number][name], value)


def test_moments_are_kept_by_the_names_of_weights_whatever_their_order():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1))
    weights = dict(model.named_parameters())
    groups = [{"params": [weights["1.bias"]]}, {"params": [weights["0.weight"]], "lr": 0.5}]
    optimizer = torch.optim.AdamW(groups, lr=0.1)
    names = weight_names(model, optimizer)
    assert names == ["1.bias", "0.weight"]
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    state = {"state_dict": model.state_dict(), "optimizer_states": [optimizer.state_dict()]}
    snapshot = take_apart(state, [names])
    assert torch.equal(
        snapshot.tensors["optimizer/0/0.weight/exp_avg"], optimizer.state[weights["0.weight"]]["exp_avg"]
    )
    assert snapshot.plain["optimizers"][0]["param_groups"][1]["params"] == ["0.weight"]


def test_an_optimizer_of_foreign_weights_is_refused():
    with pytest.raises(ValueError, match="2 weights that the stage does not have"):
        weight_names(nn.Linear(2, 2), torch.optim.SGD(nn.Linear(2, 2).parameters()))
