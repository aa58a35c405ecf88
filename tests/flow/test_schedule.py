"""Times of the sampler."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from flow.schedule import SCHEDULES, linear, linear_quadratic, linear_quadratic_flat


@given(steps=st.integers(1, 200), finer=st.integers(0, 1000), name=st.sampled_from(sorted(SCHEDULES)))
def test_every_schedule_rises_strictly_from_zero_to_one(steps, finer, name):
    times = linear(steps) if name == "linear" else SCHEDULES[name](steps, steps + finer)
    assert len(times) == steps + 1
    assert times[0] == 0
    assert times[-1] == 1
    assert torch.all(times.diff() > 0)


@pytest.mark.parametrize("schedule", [linear_quadratic, linear_quadratic_flat])
@given(steps=st.integers(2, 100), finer=st.integers(0, 900))
def test_the_first_half_is_exactly_that_of_the_finer_linear_schedule(schedule, steps, finer):
    emulated = steps + finer
    half = steps // 2
    torch.testing.assert_close(schedule(steps, emulated)[: half + 1], linear(emulated)[: half + 1])


def test_the_flat_form_slows_down_where_its_halves_meet_and_the_other_does_not():
    flat, smooth = linear_quadratic_flat(50, 250).double(), linear_quadratic(50, 250).double()
    assert flat[26] - flat[25] == pytest.approx(0.9 / 25**2, abs=1e-6)
    assert flat[26] - flat[25] < 1 / 250 < smooth[26] - smooth[25]


def test_the_second_half_grows_by_equal_increments():
    second = linear_quadratic(50, 250).double()[25:]
    growth = second.diff().diff()
    torch.testing.assert_close(growth, growth[:1].expand(24), atol=1e-6, rtol=0)
    assert growth[0] > 1e-4
    assert second.diff()[0] > 1 / 250


def test_fifty_steps_for_250_pass_the_points_of_the_closed_form():
    times = linear_quadratic(50, 250)
    for index, value in ((25, 0.1), (26, 0.10528), (40, 0.448), (49, 0.93328)):
        assert times[index].item() == pytest.approx(value, abs=1e-5)


def test_emulating_as_many_steps_is_the_linear_schedule():
    torch.testing.assert_close(linear_quadratic(40, 40), linear(40))


@pytest.mark.parametrize(
    "make",
    [
        lambda: linear(0),
        lambda: linear_quadratic(0),
        lambda: linear_quadratic(50, 40),
        lambda: linear_quadratic_flat(9, 8),
    ],
)
def test_impossible_schedules_say_what_to_change(make):
    with pytest.raises(ValueError, match=r"at least 1 step|Lower the steps"):
        make()
