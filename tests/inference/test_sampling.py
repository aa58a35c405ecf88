"""Settings of sampling: the paper's defaults, a model's own, and what no sampler has."""

import pytest
import torch

from console import UserError
from flow.schedule import linear_quadratic
from inference.sampling import Sampling, idle, sampling_for


def test_the_defaults_are_the_papers():
    sampling = Sampling()
    assert (sampling.steps, sampling.guidance, sampling.negative) == (50, 7.5, "")
    assert torch.equal(sampling.times(), linear_quadratic(50, 250))


def test_what_is_asked_goes_before_what_the_model_recommends_and_that_before_the_paper():
    facts = {"sampling": {"guidance": 3.0, "steps": 25}}
    assert sampling_for(facts, guidance=None, steps=10, negative=None) == Sampling(guidance=3.0, steps=10)
    assert sampling_for({}, guidance=None) == Sampling()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"schedule": "cosine"}, "linear-quadratic"),
        ({"steps": 0}, "at least 1"),
        ({"steps": 300}, "cannot imitate"),
        ({"method": "rk4"}, "euler, midpoint, heun, dopri5"),
        ({"method": "dopri5", "tolerance": 0.0}, "must be above 0"),
        ({"method": "dopri5", "tolerance": float("nan")}, "must be above 0"),
        ({"guidance": float("nan")}, "finite"),
        ({"cache": 1.0}, "below 1"),
        ({"cache": 0.1, "method": "dopri5"}, "its own error"),
        ({"guidance_from": 0.8, "guidance_until": 0.2}, r"from 0\.8 until 0\.2"),
    ],
)
def test_settings_that_no_sampler_has_are_refused(setting, message):
    with pytest.raises(UserError, match=message):
        Sampling(**setting)


def test_a_schedule_imitates_as_many_steps_as_asked():
    assert torch.equal(Sampling(steps=20, emulated=100).times(), linear_quadratic(20, 100))
    assert len(Sampling(steps=300, emulated=400).times()) == 301


def test_the_length_of_the_run_is_known_except_where_the_solver_chooses_it():
    assert Sampling(steps=7).progress == 7
    assert Sampling(method="dopri5").progress is None


@pytest.mark.parametrize(
    ("asked", "without_effect"),
    [
        ({"steps": 9, "tolerance": 0.1, "guidance": 2.0}, ["tolerance"]),
        ({"method": "dopri5", "steps": 9, "tolerance": 0.1, "emulated": 99}, ["steps", "emulated"]),
        ({"guidance": 1.0, "negative": "blur", "guidance_until": 0.5}, ["negative", "guidance_until"]),
        ({"schedule": "linear", "emulated": 99}, ["emulated"]),
        ({"method": None, "tolerance": None}, []),
    ],
)
def test_what_has_no_effect_beside_the_rest_is_named(asked, without_effect):
    sampling = sampling_for({}, **asked)
    assert idle(sampling, asked) == without_effect


def test_a_solution_that_dopri5_does_not_reach_is_the_users_to_mend():
    with pytest.raises(UserError, match=r"Raise the tolerance .* or take euler"):
        Sampling(method="dopri5").solve(lambda x, t: x * torch.nan, torch.ones(1, 2))
