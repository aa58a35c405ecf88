"""The benchmark of samplers: its closed form is one, and its rows are what they say."""

import pytest
import torch

from benchmarks.sampling import (
    CACHES,
    REFERENCE,
    ROWS,
    Mixture,
    Sampler,
    caches,
    distance,
    distances,
    measure,
    of_cache,
)
from flow.path import SIGMA_MIN, interpolate
from inference.pipeline import Pipeline
from inference.sampling import Sampling
from inference.t2v import sample_latent
from models.tae import TAE
from tests.inference.conftest import TAE_CONFIG, Letters, scatter, t2v_facts, transformer


def test_the_velocity_of_a_mixture_is_what_the_paths_through_a_point_have_on_average():
    generator = torch.Generator().manual_seed(0)
    mixture = Mixture(1, 3, 0.4, generator)
    which = torch.randint(0, 3, (400_000,), generator=generator)
    data = mixture.means[which] + 0.4 * torch.randn(400_000, 1, generator=generator)
    time = torch.full((400_000,), 0.6)
    point, velocity = interpolate(data, torch.randn(400_000, 1, generator=generator), time)
    for place in (-0.5, 0.0, 0.4):
        near = (point[:, 0] - place).abs() < 0.02
        assert near.sum() > 1000
        found = mixture.velocity(torch.tensor([[place]]), torch.tensor([0.6]))
        assert found.item() == pytest.approx(velocity[near].mean().item(), abs=0.1)


def test_of_one_gaussian_the_flow_is_known_and_found_by_many_steps():
    """For data N(mu, s^2) the flow takes x to mu + s x, but for sigma_min."""
    generator = torch.Generator().manual_seed(0)
    mixture = Mixture(8, 1, 0.3, generator)
    noise = torch.randn(16, 8, generator=generator)
    end = Sampling(schedule="linear", steps=1000).solve(mixture.velocity, noise)
    width = (0.3**2 + SIGMA_MIN**2) ** 0.5
    torch.testing.assert_close(end, mixture.means + width * noise, atol=5e-3, rtol=0)


def test_a_distance_is_a_fraction_of_the_norm_of_each_sample():
    wanted = torch.tensor([[3.0, 4.0], [0.0, 10.0]])
    assert distance(wanted, wanted) == 0
    assert distance(wanted * torch.tensor([[1.1], [1.3]]), wanted) == pytest.approx(0.2)


def test_on_a_mixture_the_distance_of_linear_steps_falls_with_their_number():
    """Of first order, against a reference of 1,000: as 1 / steps - 1 / 1000."""
    generator = torch.Generator().manual_seed(0)
    mixture = Mixture(16, 4, 0.3, generator)
    noise = torch.randn(8, 16, generator=generator)
    kept = ("linear, 50", "linear, 100", "linear, 250")
    found = measure(
        lambda sampling: (sampling.solve(mixture.velocity, noise), sampling.steps),
        {name: ROWS[name] for name in kept},
    )
    steps = [row.evaluations for row in found.values()]
    assert steps == [50, 100, 250]
    rates = [row.distance / (1 / count - 1 / 1000) for row, count in zip(found.values(), steps, strict=True)]
    assert max(rates) / min(rates) < 1.2


def test_a_model_is_measured_at_its_own_guidance_and_its_evaluations_are_counted(monkeypatch):
    pipeline = Pipeline(
        transformer=transformer(Letters.width),
        tae=scatter(TAE(TAE_CONFIG), seed=0),  # pyright: ignore[reportArgumentType]
        text=Letters(),
        facts={**t2v_facts("tae", "nowhere", {}), "sampling": {"guidance": 2.0}},
    )
    sampler = Sampler(pipeline, prompts=2)
    latent, evaluations = sampler.run(Sampling(steps=5))
    assert evaluations == 5
    guided = Sampling(steps=5, guidance=2.0)
    assert torch.equal(latent, sample_latent(pipeline, sampler.asked, guided, pipeline.shape))
    assert not pipeline.transformer._forward_pre_hooks
    monkeypatch.setattr("benchmarks.sampling.REFERENCE", Sampling(schedule="linear", steps=20))
    rows = of_cache(sampler, rounds=1)
    assert [row.tolerance for row in rows] == list(CACHES)
    assert rows[-1].to_plain > 0
    assert caches(rows).row_count == len(CACHES)


def test_the_reference_and_the_rows_are_the_papers():
    assert (REFERENCE.schedule, REFERENCE.steps) == ("linear", 1000)
    assert ROWS["linear-quadratic, 50 for 250"] == Sampling()
    assert distances({}, "none").row_count == 0


def test_clips_are_seen_beside_those_of_the_reference():
    generator = torch.Generator().manual_seed(0)
    pipeline = Pipeline(
        transformer=transformer(Letters.width),
        tae=scatter(TAE(TAE_CONFIG), seed=0),  # pyright: ignore[reportArgumentType]
        text=Letters(),  # pyright: ignore[reportArgumentType]
        facts={**t2v_facts("tae", "nowhere", {}), "sampling": {"guidance": 1.0}},
    )
    sampler = Sampler(pipeline, prompts=2)
    wanted, _ = sampler.run(Sampling(steps=2))
    look = sampler.beside(wanted)
    noise = torch.randn(wanted.shape, generator=generator)
    near, far = (look(wanted + size * noise) for size in (0.01, 1.0))
    assert near["PSNR, dB"] > far["PSNR, dB"]
    assert 0 <= near["right, %"] <= 100
    kept = measure(lambda _: (wanted, 1), {"one": Sampling()}, lambda _: lambda latent: {"seen": 7.0})
    assert kept["one"].seen == {"seen": 7.0}
    assert [column.header for column in distances(kept, "").columns][-1] == "seen"
