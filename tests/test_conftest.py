"""The guards of the test run itself work: shapes are checked, other machines cannot be reached."""

import socket

import pytest
import torch
from jaxtyping import TypeCheckError


def test_a_call_with_another_shape_than_its_signature_is_refused() -> None:
    from flow.path import interpolate

    data = torch.zeros(2, 3)
    interpolate(data, data, torch.zeros(2))
    with pytest.raises(TypeCheckError):
        interpolate(data, data, torch.zeros(5))


def test_no_test_reaches_another_machine() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as connection,
        pytest.raises(AssertionError, match="tried to connect"),
    ):
        connection.connect(("192.0.2.1", 80))
