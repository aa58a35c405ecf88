"""The first frame as a condition: without weights it is the T2V model, with a little training it is kept."""

import dataclasses

import pytest
import torch

from flow.loss import flow_matching_loss
from flow.path import draw_times
from flow.schedule import linear
from flow.solvers import solve
from models.conditioning.first_frame import channels, first_frame
from models.text import TextTokens
from models.transformer import Transformer, TransformerConfig

PLAIN = TransformerConfig(
    width=32,
    layers=2,
    heads=2,
    feed_forward=64,
    latent_channels=4,
    grid=(3, 4, 4),
    text_widths=(6,),
    qk_norm=True,
)
GIVEN = dataclasses.replace(PLAIN, extra_channels=channels(4))


def text(count: int) -> TextTokens:
    return TextTokens(torch.ones(count, 2, 6), torch.ones(count, 2, dtype=torch.bool))


def scattered(config: TransformerConfig, seed: int) -> Transformer:
    model, generator = Transformer(config), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if not name.startswith("extra."):
                weight.add_(torch.randn(weight.shape, generator=generator) * 0.1)
    return model.eval()


def test_the_image_and_its_mask_stand_in_the_first_latent_frame_alone():
    image = torch.randn(2, 1, 4, 3, 5)
    told = first_frame(image, frames=3)
    assert told.shape == (2, 3, channels(4), 3, 5)
    assert torch.equal(told[:, 0, 1:], image[:, 0])
    assert torch.all(told[:, 0, 0] == 1)
    assert not told[:, 1:].any()


def test_a_clip_that_is_given_none_has_zeros():
    image = torch.randn(3, 1, 4, 2, 2)
    told = first_frame(image, 2, torch.tensor([True, False, True]))
    assert not told[1].any()
    assert torch.equal(told[::2], first_frame(image, 2)[::2])


def test_a_model_that_gains_the_condition_is_the_model_without_it():
    plain, given = scattered(PLAIN, 0), Transformer(GIVEN).eval()
    missing = given.load_state_dict(plain.state_dict(), strict=False)
    assert (missing.missing_keys, missing.unexpected_keys) == (["extra.linear.weight"], [])
    x, t = torch.randn(2, 3, 4, 8, 8), torch.rand(2)
    told = first_frame(torch.randn(2, 1, 4, 8, 8), 3)
    with torch.no_grad():
        assert torch.equal(given(x, t, [text(2)], told), plain(x, t, [text(2)]))
        assert torch.equal(given(x, t, [text(2)]), plain(x, t, [text(2)]))


def test_once_its_weights_are_not_zero_the_image_counts_and_zeros_still_do_nothing():
    given = scattered(GIVEN, 0)
    torch.nn.init.normal_(given.extra.linear.weight, std=0.1)
    x, t = torch.randn(2, 3, 4, 8, 8), torch.rand(2)
    told = first_frame(torch.randn(2, 1, 4, 8, 8), 3)
    with torch.no_grad():
        plain = given(x, t, [text(2)])
        assert torch.equal(given(x, t, [text(2)], torch.zeros_like(told)), plain)
        assert (given(x, t, [text(2)], told) - plain).abs().max() > 1e-3


def test_its_weights_learn_from_the_first_step():
    given = scattered(GIVEN, 0)
    given(torch.randn(1, 3, 4, 8, 8), torch.rand(1), [text(1)], torch.randn(1, 3, 5, 8, 8)).sum().backward()
    assert given.extra.linear.weight.grad.abs().max() > 0


def test_a_condition_without_a_place_is_refused():
    with pytest.raises(ValueError, match="no extra_channels"):
        Transformer(PLAIN)(torch.zeros(1, 3, 4, 8, 8), torch.zeros(1), [text(1)], torch.zeros(1, 3, 5, 8, 8))


@pytest.mark.slow
def test_after_a_little_training_the_first_frame_is_kept():
    """Clips of a random picture that stands still: only who looks at the image can know which."""
    torch.manual_seed(0)
    model = Transformer(dataclasses.replace(GIVEN, width=64, feed_forward=128, qk_norm=True))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.0)

    def clips(count: int) -> torch.Tensor:
        return torch.randn(count, 1, 4, 8, 8).expand(-1, 3, -1, -1, -1)

    for step in range(400):
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * min(1.0, 2 * (1 - step / 400))
        data = clips(32)
        told = first_frame(data[:, :1], 3, torch.rand(32) < 0.9)
        words = text(32)
        noise = torch.randn(32, 3, 4, 8, 8)

        def velocity(x, t, told=told, words=words):
            return model(x, t, [words], told)

        loss = flow_matching_loss(velocity, data, noise, draw_times(32)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    data, noise = clips(16), torch.randn(16, 3, 4, 8, 8)
    told = first_frame(data[:, :1], 3)
    kept = solve(lambda x, t: model(x, t, [text(16)], told), noise, linear(20))
    free = solve(lambda x, t: model(x, t, [text(16)]), noise, linear(20))
    error = (kept[:, 0] - data[:, 0]).square().mean()
    assert error < 0.1  # of a variance of 1
    assert (free[:, 0] - data[:, 0]).square().mean() > 10 * error
