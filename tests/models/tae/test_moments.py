"""Statistics from sums are those of the latents themselves, however they were dealt out."""

import json

import pytest
import torch

from models.tae import TAE
from models.tae.moments import SMALLEST_STD, LatentMoments
from tests.models.tae.test_autoencoder import SMALL


def latents() -> torch.Tensor:
    scale = torch.tensor([0.1, 1.0, 5.0])[:, None, None]
    return 3 * scale + scale * torch.randn(6, 4, 3, 5, 7)


def test_statistics_are_those_of_all_positions():
    values, moments = latents(), LatentMoments(3)
    for one in values.split(2):
        moments.add(one)
    found, every = moments.statistics(), values.movedim(2, 0).flatten(1)
    torch.testing.assert_close(found.mean, every.mean(dim=1))
    torch.testing.assert_close(found.std, every.std(dim=1, correction=0))
    assert moments.count == every.shape[1]


def test_moments_of_parts_add_up_to_those_of_the_whole_also_through_json():
    values, whole, parts = latents(), LatentMoments(3), LatentMoments(3)
    whole.add(values)
    for one in values.split(1):
        part = LatentMoments(3)
        part.add(one)
        parts.merge(LatentMoments.from_json(json.loads(json.dumps(part.to_json()))).sums)
    torch.testing.assert_close(parts.sums, whole.sums)


def test_by_its_statistics_a_tae_gives_unit_latents():
    tae, values = TAE(SMALL["compact"]), 2 + 3 * torch.randn(2, 4, 16, 6, 6)
    moments = LatentMoments(16)
    moments.add(values)
    tae.latent_mean, tae.latent_std = moments.statistics()
    unit = LatentMoments(16)
    unit.add(tae.normalise(values))
    torch.testing.assert_close(unit.statistics().mean, torch.zeros(16), atol=1e-5, rtol=0)
    torch.testing.assert_close(unit.statistics().std, torch.ones(16))


def test_a_channel_that_never_moves_is_not_divided_by_zero():
    moments = LatentMoments(1)
    moments.add(torch.full((1, 2, 1, 3, 3), 0.7))
    assert moments.statistics().std.item() == pytest.approx(SMALLEST_STD)


def test_nothing_has_no_statistics():
    with pytest.raises(ValueError, match="Not one latent"):
        LatentMoments(3).statistics()
