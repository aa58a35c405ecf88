"""The rate is cut where the held-out loss no longer falls, once a plateau, and after a resume as before."""

import pytest
import torch
from torch import nn

from console import UserError
from lightning_modules.optimization import OptimizerConfig, optimizer_and_schedule
from lightning_modules.plateau import Plateau, PlateauRate, apply, plateau_rates
from tests.lightning_modules.test_resume import disturbed, fit, interrupt

CONFIG = Plateau(patience=2, gain=0.1, factor=0.5)


def shown(values, rate=None, first=1):
    """The rate after each validation, one a step."""
    rate = rate or PlateauRate(CONFIG, warmup=0, start=0, least=0.0)
    after = []
    for step, value in enumerate(values, start=first):
        rate.see(value, step)
        after.append(rate(step))
    return after


def test_a_loss_that_falls_enough_brings_no_cut():
    assert shown([0.9**n for n in range(0, 40, 2)]) == [1.0] * 20


def test_validations_in_a_row_without_a_fall_bring_one_and_begin_anew():
    assert shown([1.0, 0.95, 0.95, 0.95, 0.95, 0.95]) == [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
    assert shown([1.0, 0.95, 0.8, 0.75, 0.75, 0.6]) == [1.0, 1.0, 1.0, 1.0, 0.5, 0.5]


def test_a_loss_that_is_no_number_is_no_fall():
    assert shown([1.0, float("nan"), float("nan")]) == [1.0, 1.0, 0.5]
    assert shown([float("nan"), 1.0, 1.0, 1.0]) == [1.0, 1.0, 1.0, 0.5]


def test_no_cut_goes_below_the_least_rate():
    rate = PlateauRate(CONFIG, warmup=0, start=0, least=0.3)
    assert shown([1.0] * 9, rate)[-1] == 0.3


def test_a_validation_counts_once_for_its_step_and_not_before_warm_up_is_over():
    rate = PlateauRate(CONFIG, warmup=4, start=2, least=0.0)
    assert [rate(step) for step in range(8)] == [0.25, 0.25, 0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    assert not any(rate.see(1.0, step) for step in (2, 4, 5, 6, 6, 6, 7))
    assert rate.see(1.0, 8)


def test_its_memory_travels_in_the_state_of_the_schedule_as_plain_numbers():
    config = OptimizerConfig(lr=1.0, decay="plateau", plateau=CONFIG)
    one, two = (optimizer_and_schedule(nn.Linear(2, 2), config, 9)["lr_scheduler"]["scheduler"] for _ in "12")
    (rate,) = plateau_rates(one)  # of both groups
    shown([1.0, 1.0], rate)
    apply(one)
    two.load_state_dict(one.state_dict())
    kept = [value for each in one.state_dict()["lr_lambdas"] for value in each.values()]
    assert all(isinstance(value, int | float | None) for value in kept)
    (again,) = plateau_rates(two)
    assert shown([1.0, 1.0, 1.0], again, first=3) == shown([1.0, 1.0, 1.0], rate, first=3) == [0.5, 0.5, 0.25]
    apply(two)
    assert {group["lr"] for group in two.optimizer.param_groups} == {0.25}


PLATEAU = ("--model.patience", "1", "--trainer.val_check_interval", "2", "--checkpoint.every", "2")


def test_a_fit_cuts_at_the_step_behind_the_validation(config, capsys):
    assert fit(config, *PLATEAU).rates == [1e-2] * 4 + [5e-3] * 2 + [2.5e-3] * 2 + [1.25e-3] * 2
    assert "Step 4: val/loss has not fallen" in capsys.readouterr().err


@pytest.mark.parametrize("step", [2, 3, 4, 5])  # before, at and behind a validation
@pytest.mark.parametrize("best", [(), ("--checkpoint.best", "val/loss")])
def test_a_fit_that_goes_on_cuts_where_one_that_did_not_stop_would(config, step, best):
    whole = fit(config, *PLATEAU, "--run_dir", "runs/whole")
    first, _ = disturbed(config, step, interrupt, *PLATEAU, *best)
    second = fit(config, *PLATEAU, *best)
    assert first.rates + second.rates == whole.rates
    assert first.losses + second.losses == whole.losses
    for name, value in whole.state_dict().items():
        assert torch.equal(value, second.state_dict()[name])


def test_nothing_to_validate_on_and_a_metric_that_nobody_logs_are_refused(config):
    with pytest.raises(UserError, match="nothing is validated"):
        fit(config, *PLATEAU, "--trainer.limit_val_batches", "0")


@pytest.mark.parametrize("settings", [{"patience": 0}, {"factor": 1.0}, {"gain": -0.1}])
def test_settings_that_mean_nothing_are_refused(settings):
    with pytest.raises(ValueError, match=r"plateau\.patience"):
        Plateau(**settings)
