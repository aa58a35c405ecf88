"""Muon: what it makes of a gradient, what it leaves to AdamW, and that it goes on where it stopped."""

import copy

import pytest
import torch
from torch import nn

from lightning_modules import muon
from lightning_modules.muon import MATCH_ADAMW, Muon, batches, orthogonalise


def test_all_singular_values_end_near_one_whatever_they_were():
    for rows, columns in ((8, 8), (6, 20), (20, 6)):
        matrix = torch.randn(rows, columns) * 1e-3
        values = torch.linalg.svdvals(orthogonalise([matrix])[0])
        assert values.min() > 0.5
        assert values.max() < 1.3


def test_the_singular_vectors_stay():
    u, _ = torch.linalg.qr(torch.randn(6, 6))
    v, _ = torch.linalg.qr(torch.randn(6, 6))
    aligned = u.T @ orthogonalise([u @ torch.diag(torch.linspace(0.5, 2, 6)) @ v.T])[0] @ v
    torch.testing.assert_close(aligned, torch.diag(aligned.diagonal()), atol=1e-4, rtol=0)


def test_it_knows_neither_the_scale_of_a_gradient_nor_which_side_is_long():
    matrix = torch.randn(5, 9)
    (alone,), (scaled,), (turned,) = (orthogonalise([each]) for each in (matrix, matrix * 1e4, matrix.T))
    torch.testing.assert_close(scaled, alone, atol=1e-5, rtol=0)
    torch.testing.assert_close(turned, alone.T, atol=1e-5, rtol=0)


def test_a_matrix_made_orthogonal_among_others_is_as_if_alone():
    matrices = [torch.randn(5, 9), torch.randn(9, 5) * 1e3, torch.randn(5, 9) * 1e-3, torch.zeros(9, 5)]
    for each, together in zip(matrices, orthogonalise(matrices), strict=True):
        torch.testing.assert_close(together, orthogonalise([each])[0], atol=1e-5, rtol=0)


def test_batches_hold_every_weight_once_with_equal_sides_and_no_more_numbers_than_allowed(monkeypatch):
    monkeypatch.setattr(muon, "TOGETHER", 100)
    shapes = [(4, 9), (9, 4), (4, 3, 3), (4, 9), (6, 6), (20, 20), (20, 20)]
    weights = [torch.empty(shape) for shape in shapes] + [torch.empty(4, 9, dtype=torch.float64)]
    parts = list(batches(weights))
    assert sorted(map(id, weights)) == sorted(id(weight) for part in parts for weight in part)
    assert [len(part) for part in parts] == [2, 2, 1, 1, 1, 1]
    for part in parts:
        assert len({(*sorted((len(each), each[0].numel())), each.dtype) for each in part}) == 1


def test_many_weights_move_together_as_each_does_alone():
    torch.manual_seed(0)
    shapes = [(6, 10), (10, 6), (6, 10), (6, 5, 2), (8, 8)]
    together = [nn.Parameter(torch.randn(shape)) for shape in shapes]
    alone = [nn.Parameter(weight.detach().clone()) for weight in together]
    settings = {"weight_decay": 0.1, "orthogonal": True}
    optimizers = [Muon([{"params": together, **settings}], lr=0.1)]
    optimizers += [Muon([{"params": [weight], **settings}], lr=0.1) for weight in alone]
    for _ in range(3):
        for one, other in zip(together, alone, strict=True):
            one.grad = torch.randn_like(one)
            other.grad = one.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_vectors_move_just_as_under_adamw():
    ours = nn.Parameter(torch.randn(7))
    theirs = nn.Parameter(ours.detach().clone())
    optimizer = Muon([{"params": [ours], "weight_decay": 0.1}], lr=0.01)
    adamw = torch.optim.AdamW([theirs], lr=0.01, betas=(0.9, 0.95), weight_decay=0.1)
    for _ in range(5):
        ours.grad = torch.randn(7)
        theirs.grad = ours.grad.clone()
        optimizer.step()
        adamw.step()
        torch.testing.assert_close(ours, theirs)


def test_a_kernel_moves_as_the_matrix_of_its_outputs_and_inputs():
    kernel = nn.Parameter(torch.randn(4, 3, 3, 3))
    matrix = nn.Parameter(kernel.detach().flatten(1).clone())
    optimizer = Muon([{"params": [kernel, matrix], "orthogonal": True}], lr=0.1)
    kernel.grad = torch.randn_like(kernel)
    matrix.grad = kernel.grad.flatten(1).clone()
    optimizer.step()
    torch.testing.assert_close(kernel.flatten(1), matrix)


def test_a_step_is_about_as_long_as_one_of_adamw():
    weight = nn.Parameter(torch.zeros(64, 256))
    optimizer = Muon([{"params": [weight], "orthogonal": True}], lr=1.0)
    weight.grad = torch.randn(64, 256)
    optimizer.step()
    assert weight.square().mean().sqrt().item() == pytest.approx(MATCH_ADAMW, rel=0.2)


def test_it_goes_on_from_its_state_as_if_it_had_not_stopped():
    torch.manual_seed(0)
    weights = [nn.Parameter(torch.randn(4, 4)), nn.Parameter(torch.randn(4))]

    def optimizer_of(parameters):
        matrix, vector = parameters
        return Muon([{"params": [matrix], "orthogonal": True}, {"params": [vector]}], lr=0.1)

    def step(parameters, optimizer, seed):
        generator = torch.Generator().manual_seed(seed)
        for parameter in parameters:
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimizer.step()

    first = optimizer_of(weights)
    step(weights, first, 1)
    resumed = [nn.Parameter(weight.detach().clone()) for weight in weights]
    second = optimizer_of(resumed)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    step(weights, first, 2)
    step(resumed, second, 2)
    assert all(torch.equal(a, b) for a, b in zip(weights, resumed, strict=True))
