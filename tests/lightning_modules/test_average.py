"""The moving average: what it remembers, and that it follows steps that were made."""

import pytest
import torch
from torch import nn

from lightning_modules.average import averaged, follow, share_of_new


def test_the_average_follows_at_first_and_then_holds_its_decay():
    shares = share_of_new(torch.tensor([0.0, 1.0, 10.0, 10_000.0]), 0.99)
    assert shares.tolist() == pytest.approx([1, 9 / 11, 9 / 20, 0.01])


def test_it_begins_where_the_weights_stand_and_follows_them():
    model = nn.Linear(2, 2)
    start = model.weight.detach().clone()
    average = averaged(model, 0.5)
    with torch.no_grad():
        for step in range(3):
            model.weight.fill_(step)
            model.weight.grad = torch.ones_like(model.weight)
            follow(average, model)
    # the first update copies, the second has decay 2/11, the third 3/12
    expected = torch.lerp(torch.tensor(2.0), torch.lerp(torch.tensor(1.0), torch.tensor(0.0), 2 / 11), 3 / 12)
    torch.testing.assert_close(average.module.weight, expected.expand(2, 2))
    assert not torch.equal(average.module.weight, start)


def test_it_follows_without_a_look_at_any_number():
    """The meta device has none: a wait for a GPU would be an error here."""
    model = nn.Linear(2, 2, device="meta")
    average = averaged(model, 0.5).to("meta")
    model.weight.grad = torch.ones_like(model.weight)
    follow(average, model)


def test_buffers_are_those_of_the_model():
    model = nn.BatchNorm1d(2)
    average = averaged(model, 0.5)
    model.running_mean.fill_(3.0)
    model.weight.grad = torch.ones(2)
    follow(average, model)
    assert torch.equal(average.module.running_mean, model.running_mean)


def test_nothing_is_differentiated_through_it():
    model = nn.Linear(2, 2)
    average = averaged(model, 0.5)
    assert not any(weight.requires_grad for weight in average.parameters())
    assert all(weight.requires_grad for weight in model.parameters())


def test_a_step_that_was_skipped_leaves_the_average_and_its_count_alone():
    model = nn.Linear(2, 2)
    average = averaged(model, 0.5)
    before = {name: value.clone() for name, value in average.state_dict().items()}
    follow(average, model)
    assert all(torch.equal(value, before[name]) for name, value in average.state_dict().items())


def test_no_decay_is_no_average():
    assert averaged(nn.Linear(2, 2), 0.0) is None
    follow(None, nn.Linear(2, 2))


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_a_decay_that_would_never_move_is_refused(decay):
    with pytest.raises(ValueError, match=r"ema must be in \[0, 1\)"):
        averaged(nn.Linear(2, 2), decay)
