"""The compact halves: folding loses nothing, averages pass through, time is seen from both sides."""

import torch

from models.tae.compact import Down, Residual, Up, fold, shift, unfold


def test_unfold_undoes_fold():
    x = torch.randn(2, 4, 6, 8, 3)
    torch.testing.assert_close(unfold(fold(x)), x)


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
