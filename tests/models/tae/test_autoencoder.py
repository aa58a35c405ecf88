"""The TAE as a whole: shapes, lengths, images, statistics."""

import pytest
import torch

from models.tae import TAE, TAEConfig
from models.tae.presets import PRESETS

SMALL = {
    "inflated": TAEConfig(widths=(8, 8, 16, 16), blocks=1, groups=4, latent_maps=True),
    "inflated_3d": TAEConfig(halves="inflated_3d", widths=(8, 8, 16, 16), blocks=1, groups=4),
    "inflated_4x": TAEConfig(widths=(8, 8, 16, 16), blocks=1, groups=4, time_halvings=2),
    "framewise": TAEConfig(halves="framewise", widths=(8, 8, 16, 16), blocks=1, groups=4),
    "compact": TAEConfig(halves="compact", widths=(8, 16, 32), blocks=1),
    "compact_2x": TAEConfig(halves="compact", widths=(8, 16, 32), blocks=1, time_halvings=1),
}
FACTORS = {"inflated_4x": 4, "compact_2x": 2, "framewise": 1}  # of time; 8 for the others


@pytest.fixture(params=sorted(SMALL))
def tae(request):
    assert SMALL[request.param].time_factor == FACTORS.get(request.param, 8)
    model = TAE(SMALL[request.param]).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # no zeros or identities left: every layer takes part
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model


@pytest.mark.parametrize("frames", [1, 2, 7, 8, 9, 16, 17])
@torch.no_grad()
def test_any_length_gives_its_latents_rounded_up_and_comes_back_as_long(tae, frames):
    factor = tae.config.time_factor
    video = torch.rand(2, frames, 3, 16, 24) * 2 - 1
    posterior = tae.encode(video)
    assert posterior.mean.shape == posterior.logvar.shape == (2, -(-frames // factor), 16, 2, 3)
    assert tae.decode(posterior.mean, frames=frames).shape == video.shape
    assert tae.decode(posterior.mean).shape[1] == factor * -(-frames // factor)


@torch.no_grad()
def test_a_still_video_has_the_latent_of_its_image_at_every_time(tae):
    image = torch.rand(1, 1, 3, 16, 16) * 2 - 1
    alone = tae.encode(image).mean
    still = tae.encode(image.expand(1, 24, 3, 16, 16)).mean
    torch.testing.assert_close(still, alone.expand_as(still), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_each_sample_of_a_batch_is_encoded_and_decoded_on_its_own(tae):
    video = torch.rand(3, 8, 3, 16, 16) * 2 - 1
    together = tae.encode(video).mean
    torch.testing.assert_close(tae.encode(video[1:2]).mean, together[1:2], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(tae.decode(together[2:]), tae.decode(together)[2:], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_the_latent_of_a_moment_depends_on_frames_before_and_after_it_unless_it_is_framewise(tae):
    factor = tae.config.time_factor
    video = torch.rand(1, 3 * factor, 3, 16, 16) * 2 - 1
    latent = tae.encode(video).mean
    for changed in (factor - 1, 2 * factor):  # the frames next to those of the middle latent
        other = video.clone()
        other[:, changed] = 0
        same = torch.allclose(tae.encode(other).mean[:, 1], latent[:, 1])
        assert same == (tae.config.halves == "framewise")


@torch.no_grad()
def test_normalise_gives_zero_mean_and_unit_deviation_and_is_undone(tae):
    latent = 3 + 2 * torch.randn(4, 5, 16, 6, 6)
    tae.latent_mean.copy_(latent.mean(dim=(0, 1, 3, 4)))
    tae.latent_std.copy_(latent.std(dim=(0, 1, 3, 4)))
    normal = tae.normalise(latent)
    torch.testing.assert_close(normal.mean(dim=(0, 1, 3, 4)), torch.zeros(16), atol=1e-5, rtol=0)
    torch.testing.assert_close(normal.std(dim=(0, 1, 3, 4)), torch.ones(16))
    torch.testing.assert_close(tae.denormalise(normal), latent)


def test_statistics_travel_with_the_weights():
    tae = TAE(SMALL["compact"])
    assert {"latent_mean", "latent_std"} <= set(tae.state_dict())


def test_a_size_that_does_not_divide_says_which_multiple_is_needed(tae):
    with pytest.raises(ValueError, match="multiples of 8; 12 x 16 came"):
        tae.encode(torch.zeros(1, 8, 3, 12, 16))


@pytest.mark.parametrize(
    "fields",
    [
        {"widths": ()},
        {"blocks": 0},
        {"widths": (8, 12), "groups": 8},
        {"halves": "compact", "widths": (8, 24, 40)},
        {"halves": "compact", "widths": (8, 64), "time_halvings": 1},
        {"halves": "compact", "widths": (8, 8), "latent_maps": True},
        {"halves": "framewise", "time_halvings": 1},
        {"time_halvings": 4},
        {"time_halvings": -1},
    ],
)
def test_a_shape_that_cannot_be_built_is_refused(fields):
    with pytest.raises(ValueError, match=r"at least 1|divide|Drop it|Leave it out"):
        TAEConfig(**fields)


@pytest.mark.parametrize(
    ("name", "factors"),
    [
        ("tiny", (8, 8, 16)),
        ("base", (8, 8, 16)),
        ("sd35", (8, 8, 16)),
        ("image", (1, 8, 8)),
        ("ablation", (4, 8, 8)),
    ],
)
def test_a_preset_compresses_as_its_name_says(name, factors):
    config = PRESETS[name]
    assert (config.time_factor, config.space_factor, config.latent_channels) == factors
    with torch.device("meta"):
        TAE(config)


def test_the_base_preset_has_the_size_of_an_inflated_ldm_autoencoder():
    """LDM's autoencoder has 83.7M parameters with 4 channels; time adds 3 c^2 to each convolution."""
    with torch.device("meta"):
        model = TAE(PRESETS["base"])
    total = sum(parameter.numel() for parameter in model.parameters())
    temporal = sum(p.numel() for name, p in model.named_parameters() if ".time." in name)
    assert 83e6 < total - temporal < 85e6
    assert 0.3 < temporal / (total - temporal) < 0.5
