"""SSIM against its definition, and against another implementation of it."""

import numpy as np
import pytest
import torch

from evaluation.metrics import ssim


def clip(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(40, 216, (2, 32, 40, 3), dtype=np.uint8)


def test_equal_clips_have_one():
    assert ssim(clip(0), clip(0)) == pytest.approx(1)


def test_it_is_symmetric_and_at_most_one():
    assert ssim(clip(0), clip(1)) == pytest.approx(ssim(clip(1), clip(0)))
    assert ssim(clip(0), clip(1)) < 0.2


def test_flat_clips_differ_by_their_light_alone():
    dark, light = (np.full((1, 20, 20, 3), value, np.uint8) for value in (100, 150))
    c1 = (0.01 * 255) ** 2
    assert ssim(dark, light) == pytest.approx((2 * 100 * 150 + c1) / (100**2 + 150**2 + c1))


def test_the_negative_of_a_clip_has_opposite_structure():
    assert ssim(255 - clip(0), clip(0)) < -0.8


def test_more_noise_is_less_similar():
    rng = np.random.default_rng(1)
    noise = rng.normal(size=clip(0).shape)
    scores = [
        ssim((clip(0) + strength * noise).clip(0, 255).astype(np.uint8), clip(0)) for strength in (2, 8, 32)
    ]
    assert scores == sorted(scores, reverse=True)


def test_it_agrees_with_a_direct_sum_over_one_window():
    first, second = clip(0)[:1, :11, :11], clip(1)[:1, :11, :11]
    axis = torch.arange(11) - 5.0
    weight = torch.exp(-(axis**2) / (2 * 1.5**2))
    weight = (torch.outer(weight, weight) / weight.sum() ** 2).double().numpy()[..., None]
    x, y = first[0].astype(float), second[0].astype(float)
    mean_x, mean_y = (weight * x).sum((0, 1)), (weight * y).sum((0, 1))
    var_x, var_y = (weight * (x - mean_x) ** 2).sum((0, 1)), (weight * (y - mean_y) ** 2).sum((0, 1))
    both = (weight * (x - mean_x) * (y - mean_y)).sum((0, 1))
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    by_hand = ((2 * mean_x * mean_y + c1) * (2 * both + c2)) / (
        (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
    )
    assert ssim(first, second) == pytest.approx(by_hand.mean())


def test_it_agrees_with_torchmetrics_where_the_window_fits():
    from torchmetrics.functional.image import structural_similarity_index_measure

    first, second = (torch.from_numpy(clip(seed)).permute(0, 3, 1, 2).double() for seed in (0, 1))
    _, places = structural_similarity_index_measure(first, second, data_range=255.0, return_full_image=True)
    whole = places[..., 5:-5, 5:-5]  # it also counts windows that lie half outside
    assert ssim(clip(0), clip(1)) == pytest.approx(float(whole.mean()), rel=1e-6)


def test_frames_smaller_than_the_window_are_refused():
    with pytest.raises(ValueError, match="11 x 11"):
        ssim(clip(0)[:, :8], clip(1)[:, :8])
