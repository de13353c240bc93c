"""The long part of a function's record, packed: most functions are never looked into once they were read.

What is kept unpacked of a function is what links it: its name, its parameters, what its calls refer to. Its sinks, calls
and values are MessagePack, some hundred bytes each where Python would take some thousand.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import msgspec

KEPT: Final = 1_024
"""Functions that stay unpacked."""
_NO_TEXT: Final = 1
"""The kind of MessagePack extension that holds a text with lone surrogates, which MessagePack's own texts cannot."""


class Body(msgspec.Struct, array_like=True, frozen=True):
    """`sinks`, `calls`, the packed value of the `result`, and that of each variable `inner` functions see (`summary`)."""

    sinks: list[Any]
    calls: list[Any]
    result: list[Any]
    inner: dict[str, Any]


def pack(body: Body) -> bytes:
    """`body` as bytes."""
    try:
        return msgspec.msgpack.encode(body)
    except UnicodeEncodeError:
        plain = [body.sinks, body.calls, body.result, body.inner]
        return msgspec.msgpack.encode(_without_surrogates(plain))


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        data = value.encode("utf-8", "surrogatepass")
        return value if value.isascii() else msgspec.msgpack.Ext(_NO_TEXT, data)
    if isinstance(value, dict):
        return {_shown(k): _without_surrogates(v) for k, v in value.items()}
    return [_without_surrogates(v) for v in value] if isinstance(value, (list, tuple)) else value


def _shown(name: str) -> str:
    return name.encode("utf-8", "replace").decode()


def _text(kind: int, data: memoryview) -> Any:
    return bytes(data).decode("utf-8", "surrogatepass") if kind == _NO_TEXT else None


@lru_cache(KEPT)
def unpack(data: bytes) -> Body:
    """The body in `data`."""
    return _DECODER.decode(data)


_DECODER: Final = msgspec.msgpack.Decoder(Body, ext_hook=_text)
