"""Reading and trimming ONNX files without the package onnx: just enough of their protobuf encoding.

Exporters of old list weights among a graph's inputs. A runtime then asks for them with every call, even where
no node uses them any more (the packaged SFace file, quantised after its export).
"""

from collections.abc import Iterator
from typing import NamedTuple

GRAPH = 7  # fields of ModelProto, GraphProto, NodeProto, ValueInfoProto and TensorProto, by their number
NODE, INITIALIZER, INPUT = 1, 5, 11
NODE_INPUT, NODE_KIND = 1, 4
INPUT_NAME, INITIALIZER_NAME = 1, 8
VARINT, EIGHT, LENGTH, FOUR = 0, 1, 2, 5  # wire types


class Field(NamedTuple):
    """One field of a message."""

    number: int
    raw: bytes
    "As it stands in the file, tag and all"
    content: bytes
    "Of a field with a length; else empty"


def trimmed(model: bytes) -> bytes:
    """The same model, without the inputs that an initializer fills or that no node uses."""
    parts = []
    for field in fields_of(model):
        parts.append(_tagged(GRAPH, _trimmed_graph(field.content)) if field.number == GRAPH else field.raw)
    return b"".join(parts)


def node_kinds(model: bytes) -> list[str]:
    """The operator of each node, in the order of the file."""
    graph = next(field.content for field in fields_of(model) if field.number == GRAPH)
    nodes = [field.content for field in fields_of(graph) if field.number == NODE]
    return [text for node in nodes for text in _texts(node, NODE_KIND)]


def _trimmed_graph(graph: bytes) -> bytes:
    fields = list(fields_of(graph))
    used = {text for f in fields if f.number == NODE for text in _texts(f.content, NODE_INPUT)}
    filled = {text for f in fields if f.number == INITIALIZER for text in _texts(f.content, INITIALIZER_NAME)}
    kept = [
        field.raw
        for field in fields
        if field.number != INPUT or set(_texts(field.content, INPUT_NAME)) & (used - filled)
    ]
    return b"".join(kept)


def _texts(message: bytes, number: int) -> list[str]:
    return [field.content.decode() for field in fields_of(message) if field.number == number]


def fields_of(message: bytes) -> Iterator[Field]:
    """The fields of a message in order; ValueError for bytes that are none."""
    at = 0
    while at < len(message):
        start = at
        tag, at = _varint(message, at)
        kind, content = tag & 7, b""
        if kind == VARINT:
            _, at = _varint(message, at)
        elif kind == LENGTH:
            size, at = _varint(message, at)
            content, at = message[at : at + size], at + size
        elif kind in (EIGHT, FOUR):
            at += 8 if kind == EIGHT else 4
        else:
            raise ValueError(f"no ONNX file: wire type {kind} at byte {start}")
        if at > len(message):
            raise ValueError("no whole ONNX file: it ends within a field")
        yield Field(tag >> 3, message[start:at], content)


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message) and shift < 64:
        byte = message[at]
        value, at, shift = value | (byte & 127) << shift, at + 1, shift + 7
        if byte < 128:
            return value, at
    raise ValueError("no whole ONNX file: a number does not end")


def _tagged(number: int, content: bytes) -> bytes:
    return _as_varint(number << 3 | LENGTH) + _as_varint(len(content)) + content


def _as_varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])
