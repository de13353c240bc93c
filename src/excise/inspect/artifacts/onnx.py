"""ONNX: paths of external data, and operators that run Python, by walking the protobuf's wire format.

Source: onnx.proto (TensorProto.external_data = 13, GraphProto.node = 1 and initializer = 5, ModelProto.graph = 7 and
functions = 25, NodeProto.op_type = 4 and domain = 7, AttributeProto.t = 5, g = 6, tensors = 10, graphs = 11) and the
protobuf encoding guide.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from excise.inspect.artifacts.containers import escapes
from excise.inspect.artifacts.said import Said, broken
from excise.inspect.finding import Severity

DEEPEST = 32
MOST_FIELDS = 4_000_000
_MODEL: Final = {7: "graph", 25: "function"}
_INNER: Final = {
    "model": _MODEL,
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node"},
    "sparse": {1: "tensor", 2: "tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse"},
    "tensor": {13: "external"},
}
"""Messages that are walked into, by the message that holds them and the number of the field."""
_PYTHON: Final = frozenset({"PyOp", "PythonOp", "PythonOpGrad", "PyCustomOp", "PyFunc"})


class _Ends(Exception):
    pass


class _Walk:
    def __init__(self, data: bytes) -> None:
        self.data = memoryview(data)
        self.fields = 0
        self.locations: list[str] = []
        self.python: list[str] = []

    def message(self, kind: str, start: int, end: int, level: int) -> None:
        """Every field between `start` and `end`."""
        if level > DEEPEST:
            raise _Ends("nests too deep")
        texts: dict[int, str] = {}
        at = start
        while at < end:
            number, begin, at = self.field(at, end)
            if begin < 0:
                continue
            inner = _INNER.get(kind, {}).get(number)
            if inner:
                self.message(inner, begin, at, level + 1)
            elif kind in {"external", "node"}:
                texts[number] = self.text(begin, at - begin)
        if kind == "external" and texts.get(1) == "location":
            self.locations.append(texts.get(2, ""))
        if kind == "node" and texts.get(4) in _PYTHON:
            self.python.append(texts[4])

    def field(self, at: int, end: int) -> tuple[int, int, int]:
        """Number of a field, where its bytes begin (-1 for a number), and where it ends."""
        self.fields += 1
        if self.fields > MOST_FIELDS:
            raise _Ends(f"has more than {MOST_FIELDS:,} fields")
        tag, at = self.varint(at, end)
        if tag & 7 != 2:
            return tag >> 3, -1, self.over(tag & 7, at, end)
        length, at = self.varint(at, end)
        if at + length > end:
            raise _Ends("ends in the middle of a field")
        return tag >> 3, at, at + length

    def text(self, at: int, length: int) -> str:
        return bytes(self.data[at : at + min(length, 4_096)]).decode("utf-8", "replace")

    def varint(self, at: int, end: int) -> tuple[int, int]:
        value = shift = 0
        while at < end and shift < 64:
            byte = self.data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, at
            shift += 7
        raise _Ends("ends in the middle of a number")

    def over(self, wire: int, at: int, end: int) -> int:
        if wire == 0:
            return self.varint(at, end)[1]
        width = {1: 8, 5: 4}.get(wire)
        if width is None or at + width > end:
            raise _Ends("is no protobuf")
        return at + width


def check_onnx(data: bytes, size: int) -> Iterator[Said]:
    """External data outside the model's folder, operators of Python, and a structure that does not hold."""
    walk = _Walk(data)
    ended = ""
    try:
        walk.message("model", 0, len(data), 0)
    except _Ends as error:
        ended = str(error)
    outside = [place for place in walk.locations if escapes(place)]
    if outside:
        yield Said(
            "artifact-path",
            Severity.HIGH,
            f"its tensors are read from {outside[0][:100]!r}, outside its folder",
        )
    if walk.python:
        yield Said("artifact-code", Severity.HIGH, f"an operator {walk.python[0]} runs Python")
    if ended and size <= len(data):
        yield broken(f"it {ended}", Severity.LOW)
    elif size > len(data):
        yield broken(f"only the first {len(data):,} of {size:,} bytes were read")
