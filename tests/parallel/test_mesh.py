"""The mesh multiplies to the number of processes, or says what to change."""

import pytest

from parallel.mesh import MeshConfig


def test_the_axis_that_is_left_out_takes_what_the_others_leave():
    mesh = MeshConfig(dp_replicate=2, cp=2, tp=4).over(64)
    assert mesh.shape == {"dp_replicate": 2, "dp_shard": 4, "cp": 2, "tp": 4}
    assert mesh.data_ranks == 8
    assert MeshConfig().over(1).data_ranks == 1
    assert MeshConfig(dp_shard=3, tp=2).over(6).data_ranks == 3


@pytest.mark.parametrize("world", [1, 3, 6, 9])
def test_axes_that_do_not_multiply_to_the_processes_are_refused(world):
    with pytest.raises(ValueError, match=rf"cp 2 x tp 2 needs a multiple of 4 processes; there are {world}"):
        MeshConfig(cp=2, tp=2).over(world)
    with pytest.raises(ValueError, match=rf"needs 8 processes; there are {world}. Change trainer.devices"):
        MeshConfig(dp_shard=2, cp=2, tp=2).over(world)


def test_an_axis_of_none_is_refused():
    with pytest.raises(ValueError, match=r"mesh\.cp must be at least 1; 0 came"):
        MeshConfig(cp=0)
    with pytest.raises(ValueError, match="not known before"):
        _ = MeshConfig().data_ranks
