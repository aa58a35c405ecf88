"""ONNX files of one step, written by hand, for want of an exporter: the mean colour of frames or clips."""

from collections.abc import Sequence
from pathlib import Path

FLOAT, UINT8 = 1, 2  # TensorProto.DataType
INT, INTS = 2, 7  # AttributeProto.AttributeType


def write_mean_colour(
    path: Path, shape: Sequence[int | str], axes: Sequence[int], *, of_bytes: bool = False
) -> Path:
    """A network whose input has `shape` (names are dynamic) and whose output is its mean over `axes`."""
    nodes = [
        _node("Cast", "pixels", "values", _field(5, _text(1, "to") + _number(3, FLOAT) + _number(20, INT)))
    ]
    listed = b"".join(_number(8, axis) for axis in axes)
    keep = _field(5, _text(1, "keepdims") + _number(3, 0) + _number(20, INT))
    over = _field(5, _text(1, "axes") + listed + _number(20, INTS))
    nodes.append(_node("ReduceMean", "values", "features", over + keep))
    kept = [size for axis, size in enumerate(shape) if axis not in axes]
    graph = b"".join(_field(1, node) for node in nodes) + _text(2, "mean colour")
    graph += _field(11, _value("pixels", UINT8 if of_bytes else FLOAT, shape))
    graph += _field(12, _value("features", FLOAT, kept))
    opset = _text(1, "") + _number(2, 13)
    path.write_bytes(_number(1, 8) + _field(7, graph) + _field(8, opset))
    return path


def _node(kind: str, taken: str, given: str, attributes: bytes) -> bytes:
    return _text(1, taken) + _text(2, given) + _text(4, kind) + attributes


def _value(name: str, kind: int, shape: Sequence[int | str]) -> bytes:
    sizes = (_number(1, size) if isinstance(size, int) else _text(2, size) for size in shape)
    tensor = _number(1, kind) + _field(2, b"".join(_field(1, size) for size in sizes))
    return _text(1, name) + _field(2, _field(1, tensor))


def _text(tag: int, value: str) -> bytes:
    return _field(tag, value.encode())


def _field(tag: int, content: bytes) -> bytes:
    return _varint(tag << 3 | 2) + _varint(len(content)) + content


def _number(tag: int, value: int) -> bytes:
    return _varint(tag << 3) + _varint(value)


def _varint(value: int) -> bytes:
    groups = bytearray()
    while value > 127:
        groups.append(value & 127 | 128)
        value >>= 7
    return bytes([*groups, value])
