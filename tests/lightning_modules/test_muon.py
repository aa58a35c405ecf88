"""Muon: what it makes of a gradient, what it leaves to AdamW, and that it goes on where it stopped."""

import copy

import pytest
import torch
from torch import nn

from lightning_modules.muon import MATCH_ADAMW, Muon, orthogonalise


def test_all_singular_values_end_near_one_whatever_they_were():
    for rows, columns in ((8, 8), (6, 20), (20, 6)):
        matrix = torch.randn(rows, columns) * 1e-3
        values = torch.linalg.svdvals(orthogonalise(matrix))
        assert values.min() > 0.5
        assert values.max() < 1.3


def test_the_singular_vectors_stay():
    u, _ = torch.linalg.qr(torch.randn(6, 6))
    v, _ = torch.linalg.qr(torch.randn(6, 6))
    aligned = u.T @ orthogonalise(u @ torch.diag(torch.linspace(0.5, 2, 6)) @ v.T) @ v
    torch.testing.assert_close(aligned, torch.diag(aligned.diagonal()), atol=1e-4, rtol=0)


def test_it_knows_neither_the_scale_of_a_gradient_nor_which_side_is_long():
    matrix = torch.randn(5, 9)
    torch.testing.assert_close(orthogonalise(matrix * 1e4), orthogonalise(matrix), atol=1e-5, rtol=0)
    torch.testing.assert_close(orthogonalise(matrix.T), orthogonalise(matrix).T, atol=1e-5, rtol=0)


def test_vectors_move_just_as_under_adamw():
    ours = nn.Parameter(torch.randn(7))
    theirs = nn.Parameter(ours.detach().clone())
    muon = Muon([{"params": [ours], "weight_decay": 0.1}], lr=0.01)
    adamw = torch.optim.AdamW([theirs], lr=0.01, betas=(0.9, 0.95), weight_decay=0.1)
    for _ in range(5):
        ours.grad = torch.randn(7)
        theirs.grad = ours.grad.clone()
        muon.step()
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
