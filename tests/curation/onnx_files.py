"""Tiny ONNX files for tests, written field by field: the package onnx is no dependency."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from curation.scores.onnx_graph import _as_varint, _tagged

TYPES = {"float32": 1, "uint8": 2, "int64": 7}
Shape = Sequence[int | str]


def write_onnx(
    path: Path, takes: Shape, gives: Shape, nodes: Sequence[tuple], weights: Mapping[str, np.ndarray]
) -> Path:
    """A graph from `x` (float, of shape `takes`) to `y`; a node is (operator, inputs, output, attributes)."""
    graph = b"".join(_tagged(1, _node(*node)) for node in nodes) + _tagged(2, b"graph")
    graph += b"".join(_tagged(5, _tensor(name, value)) for name, value in weights.items())
    graph += _tagged(11, _value("x", takes)) + _tagged(12, _value("y", gives))
    path.write_bytes(_number(1, 8) + _tagged(7, graph) + _tagged(8, _tagged(1, b"") + _number(2, 17)))
    return path


def image_tower(path: Path, shape: Shape = (1, 3, 16, 16), parts: int = 3) -> Path:
    """The mean colour of a picture as an embedding."""
    nodes = [
        ("ReduceMean", ["x"], "mean", {"axes": [2, 3], "keepdims": 0}),
        ("MatMul", ["mean", "w"], "y", {}),
    ]
    return write_onnx(path, shape, [1, parts], nodes, {"w": np.eye(3, parts, dtype=np.float32)})


def sound_tower(path: Path, shape: Shape = (1, 8000)) -> Path:
    """(1, 0, 0) for sound of a mean power of 0.01, (0, 0, 1) for silence."""
    weights = {
        "w": np.array([[100, 0, -100]], np.float32),
        "b": np.array([[0, 0, 1]], np.float32),
    }
    nodes = [
        ("Mul", ["x", "x"], "power", {}),
        ("ReduceMean", ["power"], "mean", {"axes": [1], "keepdims": 1}),
        ("MatMul", ["mean", "w"], "made", {}),
        ("Add", ["made", "b"], "y", {}),
    ]
    return write_onnx(path, shape, [1, 3], nodes, weights)


def constant(path: Path, shape: Shape, value: np.ndarray) -> Path:
    """`value`, float [1, n], whatever comes in."""
    nodes = [
        ("ReduceMean", ["x"], "mean", {"keepdims": 0}),
        ("Mul", ["mean", "zero"], "nothing", {}),
        ("Add", ["nothing", "b"], "y", {}),
    ]
    weights = {"zero": np.zeros((1, 1), np.float32), "b": value.astype(np.float32)}
    return write_onnx(path, shape, list(value.shape), nodes, weights)


def _node(kind: str, inputs: Sequence[str], output: str, attributes: Mapping) -> bytes:
    parts = [_tagged(1, name.encode()) for name in inputs]
    parts += [_tagged(2, output.encode()), _tagged(4, kind.encode())]
    return b"".join([*parts, *(_tagged(5, _attribute(key, value)) for key, value in attributes.items())])


def _attribute(name: str, value: int | list[int]) -> bytes:
    if isinstance(value, int):
        return _tagged(1, name.encode()) + _number(3, value) + _number(20, 2)
    return _tagged(1, name.encode()) + b"".join(_number(8, one) for one in value) + _number(20, 7)


def _tensor(name: str, value: np.ndarray) -> bytes:
    dims = b"".join(_number(1, size) for size in value.shape)
    return (
        dims + _number(2, TYPES[str(value.dtype)]) + _tagged(8, name.encode()) + _tagged(9, value.tobytes())
    )


def _value(name: str, shape: Shape) -> bytes:
    dims = [_number(1, one) if isinstance(one, int) else _tagged(2, one.encode()) for one in shape]
    tensor = _number(1, 1) + _tagged(2, b"".join(_tagged(1, dim) for dim in dims))
    return _tagged(1, name.encode()) + _tagged(2, _tagged(1, tensor))


def _number(field: int, value: int) -> bytes:
    return _as_varint(field << 3) + _as_varint(value)
