"""What a held-out sample is asked at depends on its name alone, and follows the training distribution."""

import torch

from flow.held_out import held_out_draws, held_out_losses
from flow.path import STRAIGHT, interpolate

NAMES = [f"clip {number}" for number in range(500)]


def test_noise_and_times_are_those_of_the_name_in_any_company():
    together, *alone = (held_out_draws(names, (2, 3), 4) for names in ("ab", "a", "b"))
    assert torch.equal(together.noise, torch.cat([each.noise for each in alone], dim=1))
    assert torch.equal(together.time, torch.cat([each.time for each in alone], dim=1))
    assert not torch.isin(together.noise[:, 0], together.noise[:, 1]).any()


def test_each_name_has_a_time_in_each_part_and_all_together_follow_the_training_times():
    ranks = STRAIGHT.rank(held_out_draws(NAMES, (1,), 4).time.flatten())
    assert torch.equal((ranks * 4).long(), torch.arange(4).repeat_interleave(500))
    even = (torch.arange(2000) + 0.5) / 2000
    torch.testing.assert_close(ranks.sort().values, even, atol=0.02, rtol=0)


def test_the_noise_is_white_and_each_draw_has_its_own():
    noise = held_out_draws(NAMES, (16, 16), 4).noise
    assert abs(noise.mean()) < 0.01
    assert abs(noise.std() - 1) < 0.01
    assert len(noise[:, 0].flatten(1).unique(dim=0)) == 4


def test_losses_are_those_at_the_draws_draw_by_draw():
    data, draws = torch.randn(2, 5), held_out_draws(["a", "b"], (5,), 3)
    found = held_out_losses(lambda point, time: point * time[:, None], data, ["a", "b"], 3)
    for place in range(3):
        for row in range(2):
            time = draws.time[place, row : row + 1]
            target = interpolate(data[row : row + 1], draws.noise[place, row : row + 1], time)
            error = target.point * time - target.velocity
            torch.testing.assert_close(found.losses[2 * place + row], error.square().mean())
            assert found.times[2 * place + row] == time
