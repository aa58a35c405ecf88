"""Where paths bend: the closed form is one, and what is summed by time is what happened then."""

import pytest
import torch
from torch import nn

from benchmarks.sampling import REFERENCE, ROWS, Mixture, Sampler
from benchmarks.sampling_bends import (
    EDGES,
    Changes,
    Spectrum,
    Turns,
    by_time,
    interval,
    of_model,
    of_spectrum,
    power_law,
    spectra,
)
from inference.pipeline import Pipeline
from inference.sampling import Sampling
from models.tae import TAE
from tests.inference.conftest import TAE_CONFIG, Letters, scatter, t2v_facts, transformer


def test_of_one_deviation_the_velocity_is_that_of_a_mixture_of_one_gaussian_around_zero():
    mixture = Mixture(5, 1, 0.3, torch.Generator().manual_seed(0))
    mixture.means.zero_()
    point, time = torch.randn(4, 5), torch.rand(4)
    found = Spectrum(torch.full((5,), 0.3)).velocity(point, time)
    torch.testing.assert_close(found.float(), mixture.velocity(point, time), rtol=1e-4, atol=1e-5)


def test_each_mode_flows_to_its_own_deviation():
    deviations = torch.tensor([0.1, 1.0, 5.0])
    end = REFERENCE.solve(Spectrum(deviations).velocity, torch.ones(1, 3).double())
    torch.testing.assert_close(end[0].float(), deviations, rtol=0.03, atol=0)


def test_a_spectrum_falls_from_its_constant_mode_and_has_unit_variance():
    assert power_law(0, (2, 3)).tolist() == [1.0] * 6
    falling = power_law(2, (4, 8))
    assert falling.square().mean() == pytest.approx(1)
    assert falling.argmax() == 0
    assert falling[0] / falling[1] == pytest.approx(4)  # wave numbers 0 and 1


def test_short_steps_near_noise_pay_where_a_few_modes_hold_most_of_the_variance():
    white, steep = (of_spectrum(power_law(exponent, (8, 32, 32))) for exponent in (0, 2))
    linear, ours = "linear, 50", "linear-quadratic, 50 for 250"
    assert white[ours].distance > white[linear].distance
    assert steep[ours].distance < steep[linear].distance
    assert {row.evaluations for name, row in steep.items() if "50" in name} >= {50, 250}


def test_a_velocity_that_turns_at_one_time_has_turned_there_alone():
    turns, times = Turns(), [step / 1000 for step in range(1000)]
    point = torch.zeros(2, 3)
    for done, time in enumerate(times, start=1):
        velocity = torch.full((2, 3), 1.0 if time < 0.15 else 3.0)
        turns.see(done, point + (1 - time) * velocity)
        point = point + 1e-3 * velocity
    shares = turns.shares()
    assert shares[interval(0.15)] == pytest.approx(1, abs=1e-3)
    assert sum(turns.by_time) == pytest.approx(2 * 3**0.5, rel=1e-3)


@pytest.mark.parametrize(("time", "place"), [(0.0, 0), (0.019, 0), (0.02, 1), (0.5, 4), (0.999, 5)])
def test_an_interval_holds_its_beginning(time, place):
    assert interval(time) == place


class Grow(nn.Module):
    """A block that adds a tenth of its input."""

    def forward(self, x):
        return 1.1 * x


class Blocks(nn.Module):
    """Two of them."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([Grow(), Grow()])

    def forward(self, x, time):
        for block in self.blocks:
            x = block(x)
        return x


def test_changes_are_those_of_the_blocks_at_their_time():
    model = Blocks()
    changes = Changes(model, model.blocks)
    model(torch.randn(2, 3, 4), torch.tensor([0.1, 0.1]))
    assert changes.means()[interval(0.1)] == pytest.approx(0.1, rel=1e-3)
    assert sum(changes.means()) == pytest.approx(0.1, rel=1e-3)


def test_a_model_gives_a_row_for_each_interval_and_stays_as_it_was(monkeypatch):
    pipeline = Pipeline(
        transformer=transformer(Letters.width),
        tae=scatter(TAE(TAE_CONFIG), seed=0),  # pyright: ignore[reportArgumentType]
        text=Letters(),  # pyright: ignore[reportArgumentType]
        facts={**t2v_facts("tae", "nowhere", {}), "sampling": {"guidance": 2.0}},
    )
    few = Sampling(schedule="linear", steps=20)
    monkeypatch.setattr("benchmarks.sampling_bends.REFERENCE", few)
    rows = of_model(Sampler(pipeline, prompts=2))
    assert len(rows) == len(EDGES) - 1
    assert sum(row.turned for row in rows) == pytest.approx(1)
    assert rows[-1].changed > 0
    assert not any(block._forward_hooks for block in pipeline.transformer.blocks)
    assert by_time(rows, "").row_count == len(rows)


def test_the_steps_beside_an_interval_are_those_of_the_schedules():
    from benchmarks.sampling_bends import Row

    table = by_time([Row(0.1, 0.1)] * (len(EDGES) - 1), "")
    linear, ours = ([int(str(cell)) for cell in table.columns[place].cells] for place in (1, 2))
    assert linear == [1, 4, 5, 15, 15, 10]
    assert ours[:2] == [5, 20]
    assert sum(ours) == 50


def test_the_table_has_a_column_for_each_exponent():
    table = spectra([0, 1], (2, 4))
    assert table.row_count == len(ROWS)
    assert len(table.columns) == 3
