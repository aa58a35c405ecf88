"""Losses by time and bucket are the means of their samples, over all processes, whatever each has seen."""

import math

import torch

from lightning_modules.held_out import HeldOutParts
from lightning_modules.loss_parts import LossParts

CPU = torch.device("cpu")


def own(sums: torch.Tensor) -> torch.Tensor:
    """One process."""
    return sums


def test_parts_are_the_means_of_their_samples():
    parts = LossParts(["64x64x16", "64x64x1"])
    edges = torch.tensor([0.1, 0.2, 0.4, 0.9])
    parts.add(torch.tensor([1.0, 3.0, 5.0, 7.0]), edges, "64x64x16")
    parts.add(torch.tensor([9.0]), edges[3:], "64x64x1")
    assert parts.means("train", own, CPU) == {
        "train/loss_of_times/1_of_4": 2.0,
        "train/loss_of_times/2_of_4": 5.0,
        "train/loss_of_times/4_of_4": 8.0,
        "train/loss_of_bucket/64x64x16": 4.0,
        "train/loss_of_bucket/64x64x1": 9.0,
    }
    assert parts.means("train", own, CPU) == {}


def test_ends_of_the_path_and_losses_without_a_number_do_no_harm():
    parts = LossParts(["a"])
    parts.add(torch.tensor([1.0, float("nan"), 3.0, float("inf")]), torch.tensor([0.0, 0.5, 1.0, 0.5]), "a")
    found = parts.means("val", own, CPU)
    assert found == {
        "val/loss_of_times/1_of_4": 1.0,
        "val/loss_of_times/4_of_4": 3.0,
        "val/loss_of_bucket/a": 2.0,
    }


def test_processes_with_other_buckets_share_one_tensor_of_one_shape():
    """Three, one of which saw nothing: all ask, and all show the same."""
    ranks = [LossParts(["a", "b"]) for _ in range(3)]
    ranks[0].add(torch.tensor([1.0, 2.0]), torch.tensor([0.1, 0.9]), "a")
    ranks[1].add(torch.tensor([4.0]), torch.tensor([0.1]), "b")
    given = []
    for rank in ranks:
        rank.means("train", lambda sums: given.append(sums.clone()) or sums, CPU)
    assert len({each.shape for each in given}) == 1
    total = torch.stack(given).sum(0)
    shown = [rank.means("train", lambda _: total, CPU) for rank in ranks]
    assert shown[0] == shown[1] == shown[2]
    assert shown[0]["train/loss_of_bucket/a"] == 1.5
    assert shown[0]["train/loss_of_bucket/b"] == 4.0
    assert shown[0]["train/loss_of_times/1_of_4"] == 2.5


def held_out(trained: list[str]) -> dict[str, float]:
    parts, middle = HeldOutParts(["64x64x16", "64x64x1"], trained), torch.full((2,), 0.5)
    parts.add(torch.tensor([1.0, 3.0]), middle, "64x64x16")
    parts.add(torch.tensor([5.0, 7.0]), middle, "64x64x1")
    return {name: value for name, value in parts.means("val", own, CPU).items() if "_of_" not in name}


def test_the_held_out_loss_is_of_videos_and_images_stand_beside_it():
    assert held_out(["64x64x16", "32x32x1"]) == {"val/loss": 2.0, "val/loss_images": 6.0}


def test_of_a_stage_of_images_alone_it_is_of_images():
    assert held_out(["64x64x1", "32x32x1"]) == {"val/loss": 4.0}


def test_a_held_out_loss_that_is_no_number_is_seen():
    parts = HeldOutParts(["64x64x16"])
    parts.add(torch.tensor([1.0, float("nan")]), torch.tensor([0.5, 0.5]), "64x64x16")
    found = parts.means("val", own, CPU)
    assert math.isnan(found["val/loss"])
    assert found["val/loss_of_bucket/64x64x16"] == 1.0
