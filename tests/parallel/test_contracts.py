"""Processes that share a sample share all that belongs to it; others share nothing; no clip is missed."""

import numpy as np
import pytest

from datamodules.plan import rank_batches
from parallel.mesh import MeshConfig
from tests.datamodules.shard_sets import write_latents
from tests.parallel.contracts import SAMPLES, seen_on, violations
from tests.parallel.ranks import run_ranks


@pytest.fixture(scope="module")
def latents(tmp_path_factory):
    return write_latents(tmp_path_factory.mktemp("latents"), train=SAMPLES)


ON_TWO = {axis: MeshConfig(**{axis: 2}).over(2) for axis in ("cp", "tp", "dp_shard", "dp_replicate")}
ON_FOUR = {
    " x ".join(axes): MeshConfig(**dict.fromkeys(axes, 2)).over(4)
    for axes in (("dp_shard", "cp"), ("dp_replicate", "tp"), ("cp", "tp"))
}


def assert_kept(latents, meshes, world):
    answers = run_ranks(world, seen_on, latents, meshes, world)
    for name, mesh in meshes.items():
        assert violations([answer[name] for answer in answers], mesh) == [], name


def test_two_processes_share_samples_and_noise_on_cp_and_tp_alone(latents):
    assert_kept(latents, ON_TWO, 2)


@pytest.mark.slow
def test_four_processes_do_so_too(latents):
    assert_kept(latents, ON_FOUR, 4)


@pytest.mark.parametrize("ranks", [1, 2, 3, 5, 8, 13])
def test_an_epoch_holds_each_sample_once_for_any_number_of_data_ranks(ranks):
    """All have equally many batches. Samples repeat only where fewer are left than there are ranks."""
    batches = list(np.arange(78).reshape(26, 3))
    dealt = [list(rank_batches(batches, rank, ranks)) for rank in range(ranks)]
    assert len({len(own) for own in dealt}) == 1
    counted = np.concatenate([each.batch for own in dealt for each in own if not each.repeated])
    assert sorted(counted) == list(range(78))
    left = len(batches) % ranks * 3
    assert sum(each.repeated for own in dealt for each in own) == (max(0, ranks - left) if left else 0)
