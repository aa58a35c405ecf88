"""PSNR of validations: each clip weighs the same, sizes apart, as a file would show it."""

import math

import pytest
import torch

from evaluation.metrics import psnr
from evaluation.pixels import to_pixels
from evaluation.psnr_by_resolution import PSNRByResolution


def test_clips_weigh_the_same_whatever_their_batch_and_sizes_are_told_apart():
    found, values = PSNRByResolution(), {}
    for number, (count, size) in enumerate([(3, 16), (1, 16), (2, 24)]):
        truth = torch.rand(count, 4, 3, size, size) * 2 - 1
        video = truth + 0.05 * (number + 1) * torch.randn_like(truth)
        found.update([f"{number}-{place}" for place in range(count)], video, truth)
        pairs = zip(to_pixels(video).numpy(), to_pixels(truth).numpy(), strict=True)
        values.setdefault(size, []).extend(psnr(*pair) for pair in pairs)
    logged = found.logged("val/psnr")
    assert logged.keys() == {"val/psnr", "val/psnr/16x16x4", "val/psnr/24x24x4"}
    assert logged["val/psnr"] == pytest.approx(sum(values[16] + values[24]) / 6)
    assert logged["val/psnr/24x24x4"] == pytest.approx(sum(values[24]) / 2)


def test_one_size_has_one_number_and_no_clip_has_none():
    found = PSNRByResolution()
    assert found.logged("val/psnr") == {}
    truth = torch.zeros(2, 1, 3, 8, 8)
    found.update(["a", "b"], truth + 0.2, truth)
    assert found.logged("val/psnr") == {"val/psnr": pytest.approx(20 * math.log10(255 / 25))}  # 153 for 128


def test_a_clip_without_numbers_has_no_psnr_and_spoils_the_mean():
    found, truth = PSNRByResolution(), torch.zeros(2, 1, 3, 8, 8)
    broken = truth.clone()
    broken[1, 0, 0, 0, 0] = torch.nan
    found.update(["a", "b"], broken, truth)
    assert math.isnan(found.logged("val/psnr")["val/psnr"])
