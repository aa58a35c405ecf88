"""Laws of the block cache: exact where nothing is skipped, each sample by itself, the model untouched."""

import dataclasses

import pytest
import torch

from console import UserError
from flow.schedule import linear_quadratic
from flow.solvers import solve
from inference.block_cache import cache_blocks
from inference.prompts import Request
from inference.sampling import Sampling
from inference.t2v import sample_latent
from models.text import TextTokens
from models.transformer import Transformer, TransformerConfig
from tests.inference.conftest import scatter

CONFIG = TransformerConfig(
    width=32, layers=4, heads=2, feed_forward=64, latent_channels=4, grid=(2, 4, 4), text_widths=(6,)
)


@pytest.fixture(scope="module")
def transformer() -> Transformer:
    torch.manual_seed(3)  # no fixture of a module is seeded for us
    return scatter(Transformer(CONFIG), seed=3)  # pyright: ignore[reportReturnType]


def text(count: int) -> TextTokens:
    words = torch.randn(5, 3, 6, generator=torch.Generator().manual_seed(1))[:count]
    return TextTokens(words, torch.ones(count, 3, dtype=torch.bool))


def points(count: int) -> torch.Tensor:
    return torch.randn(5, 2, 4, 8, 8, generator=torch.Generator().manual_seed(2))[:count]


def solution(model: Transformer, count: int, steps: int = 40) -> torch.Tensor:
    def velocity(x, t):
        return model(x, t, [text(len(x))])

    return solve(velocity, points(count), linear_quadratic(steps, 200))


def test_a_tolerance_too_small_to_skip_anything_changes_nothing(transformer):
    cached, cache = cache_blocks(transformer, 1e-9)
    assert torch.equal(solution(cached, 2), solution(transformer, 2))
    assert (cache.asked, cache.skipped) == (80, 0)


def test_the_same_point_again_is_skipped_and_answered_the_same(transformer):
    cached, cache = cache_blocks(transformer, 1e-6)
    x, t = points(2), torch.tensor([0.3, 0.6])
    first, again = (cached(x, t, [text(2)]) for _ in range(2))
    assert cache.skipped == 2
    torch.testing.assert_close(first, again, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(first, transformer(x, t, [text(2)]), atol=1e-5, rtol=1e-5)


def test_the_error_and_the_skipped_share_grow_with_the_tolerance(transformer):
    exact, errors, shares = solution(transformer, 3), [], []
    for tolerance in (0.05, 0.2, 0.5):
        cached, cache = cache_blocks(transformer, tolerance)
        errors.append((solution(cached, 3) - exact).norm().item() / exact.norm().item())
        shares.append(cache.share)
    assert shares == sorted(shares)
    assert shares[1] > 0.1
    assert shares[2] > 0.5
    assert errors == sorted(errors)
    assert errors[1] < 0.05 < errors[2]


def test_a_sample_skips_the_same_steps_whatever_it_is_sampled_beside(transformer):
    alone = solution(cache_blocks(transformer, 0.25).transformer, 1)
    among = solution(cache_blocks(transformer, 0.25).transformer, 5)[:1]
    torch.testing.assert_close(alone, among, atol=1e-4, rtol=1e-4)


def test_blocks_see_only_the_samples_that_moved(transformer, monkeypatch):
    cached, cache = cache_blocks(transformer, 0.05)
    x, t = points(3), torch.full((3,), 0.5)
    cached(x, t, [text(3)])
    rows = []
    monkeypatch.setattr(
        transformer.blocks[2], "forward", lambda x, *rest: rows.append(len(x)) or x, raising=True
    )
    cached(torch.stack([x[0], x[1] + 3, x[2]]), t, [text(3)])
    assert rows == [1]
    assert cache.stale.tolist() == [False, True, False]


def test_a_batch_that_shrinks_as_guidance_ends_and_grows_back_is_right(transformer):
    cached, cache = cache_blocks(transformer, 1e-6)
    t = torch.full((4,), 0.5)
    for size in (2, 4, 1, 3, 4):
        x = points(size) * (1 + 0.1 * size)
        torch.testing.assert_close(
            cached(x, t[:size], [text(size)]), transformer(x, t[:size], [text(size)]), atol=1e-5, rtol=1e-5
        )
    assert cache.skipped == 1  # the fourth, which is where it was in the first batch of four


def test_the_original_runs_without_a_cache_and_shares_its_weights(transformer):
    cached, cache = cache_blocks(transformer, 0.5)
    names = list(transformer.state_dict())
    solution(cached, 1)
    asked = cache.asked
    solution(transformer, 1)
    assert cache.asked == asked
    assert list(transformer.state_dict()) == names
    assert cached.output.linear.weight is transformer.output.linear.weight


def test_a_velocity_that_is_not_finite_is_never_skipped(transformer):
    cached, cache = cache_blocks(transformer, 0.9)
    for _ in range(2):
        cached(points(1) * torch.nan, torch.zeros(1), [text(1)])
    assert cache.skipped == 0


@pytest.mark.parametrize("tolerance", [0.0, 1.0, -1.0])
def test_a_tolerance_that_means_nothing_is_refused(transformer, tolerance):
    with pytest.raises(ValueError, match="above 0 and below 1"):
        cache_blocks(transformer, tolerance)


def test_a_guided_clip_is_near_that_without_a_cache_and_says_what_was_skipped(pipeline, capsys):
    asked = [Request("a red ball", 0), Request("a blue star", 1)]
    plain, near = (
        sample_latent(pipeline, asked, Sampling(guidance=2.0, cache=cache), pipeline.shape)
        for cache in (0.0, 0.2)
    )
    assert "cache: skipped blocks in" in capsys.readouterr().err
    assert 0 < (near - plain).norm() < 0.1 * plain.norm()


def test_a_transformer_of_one_block_has_nothing_to_skip():
    config = dataclasses.replace(CONFIG, layers=1)
    with pytest.raises(UserError, match=r"at least 2 blocks.*Leave --cache out"):
        cache_blocks(Transformer(config), 0.1)
