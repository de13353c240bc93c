"""One JSON text to a record: bad UTF-8 and lone surrogates are mended, depth is limited, nothing recurses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from excise.errors import BadRow

if TYPE_CHECKING:
    from excise.ingest.reader import Record

MAX_DEPTH: Final = 64
"""Deeper nesting is no API traffic (requests nest to about 12); it is a bomb for the tools that come after."""

HEAD_LINES: Final = 8
"""How many lines are tried before text is taken not to be one record a line."""

_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


def decode(raw: bytes) -> tuple[Record, bool]:
    """The JSON object in `raw`, and whether its text was mended. Raises `BadRow`: bad-json, deep-json, not-an-object."""
    value, mended = _value(raw)
    if not isinstance(value, dict):
        raise BadRow("not-an-object", f"a JSON {type(value).__name__}")
    if raw.count(b"{") + raw.count(b"[") > MAX_DEPTH and too_deep(value):
        raise BadRow("deep-json", f"nested deeper than {MAX_DEPTH}")
    return value, mended


def has_json_line(head: bytes) -> bool:
    """Whether one of the first lines is a whole JSON object with something in it, even where others are damaged."""
    for line in head.split(b"\n", HEAD_LINES)[:HEAD_LINES]:
        try:
            if decode(line)[0]:
                return True
        except BadRow as bad:
            if bad.reason == "deep-json":
                return True
    return False


def is_json(text: bytes) -> bool:
    """Whether `text` is one whole JSON value of any kind."""
    try:
        _value(text)
    except BadRow:
        return False
    return True


def too_deep(value: Any) -> bool:
    """Whether lists and objects nest deeper than `MAX_DEPTH`, found level by level."""
    level = [value]
    for _ in range(MAX_DEPTH):
        inner: list[Any] = []
        for item in level:
            inner.extend(
                x for x in (item.values() if isinstance(item, dict) else item) if isinstance(x, dict | list)
            )
        if not inner:
            return False
        level = inner
    return True


def _value(raw: bytes) -> tuple[Any, bool]:
    try:
        return msgspec.json.decode(raw), False
    except (ValueError, RecursionError) as error:
        if isinstance(error, RecursionError):
            raise BadRow("deep-json", f"nested deeper than {MAX_DEPTH}") from error
        mended = _ESCAPE.sub(_mend, raw.decode("utf-8", "replace").encode())
        if mended == raw:
            raise BadRow("bad-json", str(error)) from error
    try:
        return msgspec.json.decode(mended), True
    except RecursionError as error:
        raise BadRow("deep-json", f"nested deeper than {MAX_DEPTH}") from error
    except ValueError as error:
        raise BadRow("bad-json", str(error)) from error


def _mend(match: re.Match[bytes]) -> bytes:
    return b"\\ufffd" if match[1] else match[0]
