"""safetensors: the JSON head and the places it gives to tensors.

Source: the format's description (huggingface/safetensors, README "Format"): eight bytes of length, JSON, then bytes
that tensors cover without a hole and without overlap.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from excise.inspect.artifacts.said import Said, broken
from excise.inspect.finding import Severity

MOST_HEAD = 25_000_000
"""Bytes of the head; the format's own reader allows 100 MB."""


def check_safetensors(data: bytes, size: int) -> Iterator[Said]:
    """What is wrong with the head; safetensors hold no code."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 9 or 8 + length > size or data[8:9] != b"{":
        yield broken("no safetensors file: its head does not fit", Severity.MEDIUM)
        return
    if length > min(MOST_HEAD, len(data) - 8):
        yield broken(f"a head of {length:,} bytes is not read")
        return
    try:
        head = json.loads(data[8 : 8 + length])
    except (ValueError, RecursionError) as error:
        yield broken(f"its head is no JSON ({type(error).__name__})", Severity.MEDIUM)
        return
    yield from _tensors(head, size - 8 - length)


def _tensors(head: object, room: int) -> Iterator[Said]:
    places = []
    for name, entry in head.items() if isinstance(head, dict) else ():
        if name == "__metadata__":
            continue
        place = entry.get("data_offsets") if isinstance(entry, dict) else None
        if not isinstance(place, list) or len(place) != 2 or not all(isinstance(n, int) for n in place):
            yield broken(f"the tensor {str(name)[:60]!r} has no place", Severity.MEDIUM)
            return
        places.append((place[0], place[1]))
    end = 0
    for begin, stop in sorted(places):
        if begin != end or stop < begin or stop > room:
            yield broken("tensors overlap, leave a hole or lie outside the file", Severity.MEDIUM)
            return
        end = stop
    if end != room:
        yield broken(f"{room - end:,} bytes that belong to no tensor", Severity.MEDIUM)
