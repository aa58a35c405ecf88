"""The Frechet distance against closed forms, against scipy and torchmetrics, and its bookkeeping."""

import numpy as np
import pytest
import scipy.linalg
import torch

from evaluation.metrics.frechet import Moments, frechet_distance


def draw(count: int, features: int = 6, seed: int = 0) -> torch.Tensor:
    """Correlated features of unequal size, off the origin."""
    rng = torch.Generator().manual_seed(seed)
    mixing = torch.randn(features, features, generator=rng, dtype=torch.float64)
    return torch.randn(count, features, generator=rng, dtype=torch.float64) @ mixing + 3


def by_the_book(first: np.ndarray, second: np.ndarray) -> float:
    one, two = (np.cov(values, rowvar=False) for values in (first, second))
    root = scipy.linalg.sqrtm(one @ two)
    return float(np.square(first.mean(0) - second.mean(0)).sum() + np.trace(one + two - 2 * np.real(root)))


def distance(first: torch.Tensor, second: torch.Tensor) -> float:
    return frechet_distance(Moments.of(first), Moments.of(second))


@pytest.mark.parametrize("count", [4, 40])
def test_it_is_zero_for_equal_sets_even_where_the_covariance_is_singular(count):
    values = draw(count)
    assert distance(values, values.flip(0)) == pytest.approx(0, abs=1e-12)


def test_a_shift_costs_its_square_and_nothing_else():
    shift = torch.tensor([1.0, -2.0, 0, 0, 0, 0.5])
    assert distance(draw(40), draw(40) + shift) == pytest.approx(1 + 4 + 0.25)


def test_a_scale_has_the_closed_form():
    values = draw(40) - draw(40).mean(dim=0)
    trace = values.var(dim=0).sum()
    assert distance(values, 3 * values) == pytest.approx(float((3 - 1) ** 2 * trace))


def test_gaussians_of_known_mean_and_covariance_have_the_closed_form_in_the_limit():
    rng = torch.Generator().manual_seed(0)
    first, second = (torch.randn(200_000, 2, generator=rng) for _ in range(2))
    second = second * torch.tensor([2.0, 1.0]) + torch.tensor([0.0, 3.0])
    assert distance(first, second) == pytest.approx(9 + 1, rel=0.02)


def test_it_is_symmetric_and_positive():
    first, second = draw(40, seed=0), draw(30, seed=1)
    assert distance(first, second) == pytest.approx(distance(second, first), rel=1e-12)
    assert distance(first, second) > 1


@pytest.mark.parametrize("count", [20, 200])
def test_it_agrees_with_the_square_root_of_the_product_of_covariances(count):
    first, second = draw(count, seed=0), draw(count + 7, seed=1)
    assert distance(first, second) == pytest.approx(by_the_book(first.numpy(), second.numpy()), rel=1e-9)


def test_it_agrees_with_torchmetrics_on_the_same_features():
    from torchmetrics.image.fid import _compute_fid

    first, second = draw(50, seed=0), draw(50, seed=1)
    theirs = _compute_fid(first.mean(0), torch.cov(first.T), second.mean(0), torch.cov(second.T))
    assert distance(first, second) == pytest.approx(float(theirs), rel=1e-9)


@pytest.mark.parametrize("sizes", [(1, 1, 38), (3, 3, 3), (30, 30, 30), (0, 9, 31)])
def test_moments_of_parts_merge_to_those_of_the_whole(sizes):
    values = draw(sum(sizes))
    whole = Moments.of(values)
    parts = [Moments.of(part) for part in values.split(sizes)]
    merged = parts[0].merged(parts[1]).merged(parts[2])
    assert merged.count == whole.count
    torch.testing.assert_close(merged.mean, whole.mean)
    torch.testing.assert_close(merged.root.T @ merged.root, whole.root.T @ whole.root)
    other = Moments.of(draw(25, seed=1))
    assert frechet_distance(merged, other) == pytest.approx(frechet_distance(whole, other), rel=1e-9)


def test_a_stream_of_any_length_is_held_in_twice_as_many_rows_as_features():
    stream = Moments.of(draw(1))
    for seed in range(20):
        stream = stream.merged(Moments.of(draw(5, seed=seed)))
        assert len(stream.root) <= 2 * 6
    assert stream.count == 101


def test_large_offsets_do_not_drown_small_spreads():
    values = draw(40) + 1e6
    assert distance(values, values + torch.tensor([0.01] + 5 * [0.0])) == pytest.approx(1e-4, rel=1e-3)


@pytest.mark.parametrize(("count", "full"), [(6, False), (7, True)])
def test_rank_is_full_with_more_samples_than_features(count, full):
    moments = Moments.of(draw(count))
    assert moments.full_rank is full
    assert (int(torch.linalg.matrix_rank(moments.root)) == 6) is full


def test_one_sample_is_refused_and_so_are_two_extractors_and_broken_features():
    with pytest.raises(ValueError, match="at least 2 samples on either side; 1 and 5"):
        distance(draw(1), draw(5))
    with pytest.raises(ValueError, match="one extractor; 6 and 4"):
        distance(draw(5), draw(5, features=4))
    with pytest.raises(ValueError, match="not finite"):
        Moments.of(torch.tensor([[1.0, float("nan")]]))
