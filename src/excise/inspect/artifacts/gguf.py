"""GGUF: the key-value head, read field by field within bounds, for the chat templates in it.

Source: the GGUF specification of ggml (docs/gguf.md), versions 2 and 3.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from excise.inspect.artifacts.said import Said, broken
from excise.inspect.artifacts.templates import check
from excise.inspect.finding import Severity

MOST_FIELDS = 10_000
MOST_ITEMS = 50_000_000
_WIDTH: Final = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_STRING, _ARRAY = 8, 9


class _Ends(Exception):
    """The bytes end, or a count cannot be true."""


def check_gguf(data: bytes, size: int) -> Iterator[Said]:
    """The templates of a GGUF file, and whether its head is well formed."""
    if len(data) < 24 or data[:4] != b"GGUF":
        yield broken("no GGUF file")
        return
    try:
        for key, value in _fields(data):
            if "chat_template" in key and value is not None:
                for said in check(value):
                    yield Said(said.weakness, said.severity, f"{key[:60]}: {said.what}", said.confidence)
    except _Ends as error:
        cut = size > len(data)
        yield broken(
            f"its head {error}" + (" within the bytes that were read" if cut else ""),
            Severity.LOW if cut else Severity.MEDIUM,
        )


def _fields(data: bytes) -> Iterator[tuple[str, str | None]]:
    version, _tensors, count = struct.unpack_from("<IQQ", data, 4)
    if version not in (2, 3):
        raise _Ends(f"has version {version}")
    if count > MOST_FIELDS:
        raise _Ends(f"says {count:,} fields")
    at = 24
    for _ in range(count):
        key, at = _string(data, at)
        kind = _number(data, at, "<I", 4)
        text, at = _value(data, at + 4, kind, 0)
        yield key, text


def _value(data: bytes, at: int, kind: int, level: int) -> tuple[str | None, int]:
    """The text of a string, None for another value, and where it ends."""
    if kind == _STRING:
        return _string(data, at)
    if kind in _WIDTH:
        return None, at + _WIDTH[kind]
    if kind != _ARRAY or level > 4:
        raise _Ends(f"has a value of kind {kind}")
    inner, count = _number(data, at, "<I", 4), _number(data, at + 4, "<Q", 8)
    at += 12
    if count > MOST_ITEMS or count > len(data):
        raise _Ends(f"says {count:,} items")
    if inner in _WIDTH:
        return None, at + count * _WIDTH[inner]
    for _ in range(count):
        _, at = _value(data, at, inner, level + 1)
    return None, at


def _string(data: bytes, at: int) -> tuple[str, int]:
    length = _number(data, at, "<Q", 8)
    end = at + 8 + length
    if end > len(data):
        raise _Ends("ends in the middle of a text")
    return data[at + 8 : end].decode("utf-8", "replace"), end


def _number(data: bytes, at: int, form: str, width: int) -> int:
    if at + width > len(data):
        raise _Ends("ends in the middle of a field")
    return int(struct.unpack_from(form, data, at)[0])
