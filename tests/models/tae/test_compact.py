"""The compact halves: folding loses nothing, averages pass through, time is seen from both sides."""

import pytest
import torch

from models.tae import TAE
from models.tae.compact import Down, Residual, Up, fold, shift, unfold
from models.tae.presets import PRESETS


@pytest.mark.parametrize("stride", [1, 2])
def test_unfold_undoes_fold(stride):
    x = torch.randn(2, 4, 6, 8, 3)
    torch.testing.assert_close(unfold(fold(x, stride), stride), x)


def test_the_names_and_shapes_in_published_checkpoints_stay():
    with torch.device("meta"):
        shapes = {name: tuple(tensor.shape) for name, tensor in TAE(PRESETS["tiny"]).state_dict().items()}
    assert shapes.pop("latent_mean") == shapes.pop("latent_std") == (16,)
    encoder = {name.removeprefix("encoder."): shape for name, shape in shapes.items() if "encoder." in name}
    assert encoder == {
        "stem.weight": (64, 24),
        "stem.bias": (64,),
        **residual("levels.0.1", 64),
        "levels.1.0.linear.weight": (128, 512),
        "levels.1.0.linear.bias": (128,),
        **residual("levels.1.1", 128),
        "levels.2.0.linear.weight": (256, 1024),
        "levels.2.0.linear.bias": (256,),
        **residual("levels.2.1", 256),
        "norm.weight": (256,),
        "out.weight": (32, 256),
        "out.bias": (32,),
    }
    decoder = {name.removeprefix("decoder."): shape for name, shape in shapes.items() if "decoder." in name}
    assert decoder == {
        "stem.weight": (256, 16),
        "stem.bias": (256,),
        **residual("levels.0.0", 256),
        "levels.0.1.linear.weight": (1024, 256),
        "levels.0.1.linear.bias": (1024,),
        **residual("levels.1.0", 128),
        "levels.1.1.linear.weight": (512, 128),
        "levels.1.1.linear.bias": (512,),
        **residual("levels.2.0", 64),
        "norm.weight": (64,),
        "out.weight": (24, 64),
        "out.bias": (24,),
    }
    assert len(shapes) == len(encoder) + len(decoder)


def residual(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {
        f"{name}.norm.weight": (width,),
        f"{name}.conv.weight": (width, width, 3, 3),
        f"{name}.conv.bias": (width,),
        f"{name}.out.weight": (width, width),
        f"{name}.out.bias": (width,),
    }


def test_shift_brings_a_quarter_from_each_neighbouring_frame():
    x = torch.arange(3.0).reshape(1, 3, 1, 1, 1).expand(1, 3, 1, 1, 8)
    shifted = shift(x)[0, :, 0, 0]
    assert shifted[:, 0].tolist() == [0, 0, 1]
    assert shifted[:, 2].tolist() == [1, 2, 2]
    assert shifted[:, 7].tolist() == [0, 1, 2]


@torch.no_grad()
def test_without_what_is_learned_going_down_and_up_keeps_a_constant():
    down, up = Down(4, 8), Up(8, 4)
    for layer in (down, up):
        layer.linear.weight.zero_()
        layer.linear.bias.zero_()
    x = torch.full((1, 2, 4, 4, 4), 0.7)
    torch.testing.assert_close(up(down(x)), x)


@torch.no_grad()
def test_a_new_residual_block_is_the_identity():
    x = torch.randn(1, 3, 4, 4, 8)
    torch.testing.assert_close(Residual(8)(x), x)
